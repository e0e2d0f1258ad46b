import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { fakeExchange, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { parseInstructions } from './instructions.ts'
import { aiResponseTransformer } from './plugin.ts'

/** What the model says next, and what it was asked. */
const model = { says: '', asked: '' }
const server = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')))
  request.on('end', () => {
    model.asked = (JSON.parse(body) as { messages: { content: string }[] }).messages[1]!.content
    if (request.url === '/broken') return response.writeHead(503).end()
    const usage = { prompt_tokens: 5, completion_tokens: 2 }
    return response.end(JSON.stringify({ choices: [{ message: { content: model.says } }], usage }))
  })
})
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
after(() => server.close())

async function rewrite(
  body: string | Buffer,
  more: object = {},
  response: FakeExchangeOptions['response'] = {},
  path = '/',
) {
  const { port } = server.address() as AddressInfo
  const llm = {
    route_type: 'llm/v1/chat',
    logging: { log_statistics: true },
    model: { provider: 'openai', name: 'm', options: { upstream_url: `http://127.0.0.1:${port}${path}` } },
  }
  const state = prepare(aiResponseTransformer, { prompt: 'p', llm, ...more })
  const exchange = fakeExchange({ response: { status: 200, ...response } })
  const hold = aiResponseTransformer.responseHold!(exchange, state)!
  const result = await hold.take(Buffer.from(body))
  aiResponseTransformer.close!(state)
  const { status, headers } = exchange.response
  return Buffer.isBuffer(result)
    ? { status, body: result.toString(), fields: { ...headers.toObject() }, exchange }
    : { status: result.status, body: String(result.body), fields: {}, exchange }
}

test("the model's answer takes the place of the body, status and headers stay", async () => {
  model.says = 'shorter'
  const headers = { 'Content-Type': 'text/plain', ETag: '"1"', 'Content-Length': '4' }
  const { status, body, fields, exchange } = await rewrite('long', {}, { status: 404, headers })
  assert.deepEqual([status, body, fields], [404, 'shorter', { 'content-type': 'text/plain' }])
  assert.equal(model.asked, 'long')
  assert.partialDeepStrictEqual(exchange.logFields, {
    ai: { 'ai-response-transformer': { usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 } } },
  })
})

test('compressed bodies are undone, however often', async () => {
  const text = 'gr\u00f6\u00dfer'
  const codings: readonly [string, Buffer][] = [
    ['gzip', gzipSync(text)],
    ['br', brotliCompressSync(text)],
    ['deflate', deflateSync(text)],
    ['zstd', zstdCompressSync(text)],
    ['gzip, br', brotliCompressSync(gzipSync(text))],
  ]
  for (const [coding, bytes] of codings) {
    const { fields } = await rewrite(bytes, {}, { headers: { 'Content-Encoding': coding } })
    assert.equal(model.asked, text, coding)
    assert.deepEqual(fields, {})
  }
})

test('what can not be read is told, and not sent to the model', async () => {
  model.asked = 'nothing'
  const headers = { 'Content-Encoding': 'gzip' }
  for (const [body, response] of [
    ['no gzip', { headers }],
    ['x', { headers: { 'Content-Encoding': 'pack200' } }],
    [Buffer.from([0xff, 0xfe]), {}],
  ] as const)
    assert.partialDeepStrictEqual(await rewrite(body, {}, response), { status: 500 })
  const bomb = await rewrite(gzipSync('x'.repeat(9000)), {}, { headers })
  assert.deepEqual(
    [bomb.status, JSON.parse(bomb.body)],
    [500, { error: { message: 'response body is larger than max_request_body_size (8192 bytes)' } }],
  )
  assert.equal(model.asked, 'nothing')
})

test('a model that fails gives no response', async () => {
  const { status, body } = await rewrite('secret', {}, {}, '/broken')
  assert.deepEqual([status, body], [500, '{"error":{"message":"the AI service answered 503"}}'])
  model.says = 'words'
  const none = await rewrite('x', { transformation_extract_pattern: '\\d+' })
  assert.equal(none.status, 400)
})

test('a model may say the whole response', async () => {
  model.says = 'Here: {"status":201,"headers":{"content-type":"text/csv","X-Count":2},"body":"a,b"}.'
  const more = { parse_llm_response_json_instructions: true, transformation_extract_pattern: '\\{.*\\}' }
  const response = { headers: { 'Content-Type': 'application/json', Vary: 'Accept' } }
  const { status, body, fields } = await rewrite('x', more, response)
  assert.deepEqual([status, body], [201, 'a,b'])
  assert.deepEqual(fields, { 'content-type': 'text/csv', vary: 'Accept', 'x-count': '2' })
  model.says = 'no JSON'
  const broken = await rewrite('x', { parse_llm_response_json_instructions: true })
  assert.deepEqual(
    [broken.status, JSON.parse(broken.body)],
    [500, { error: { message: 'failed to parse JSON response instructions from AI backend: is not JSON' } }],
  )
})

test('instructions', () => {
  assert.deepEqual(parseInstructions('{"body":{"a":1}}'), { status: 200, headers: [], body: '{"a":1}' })
  assert.deepEqual(parseInstructions('{"a":1}'), { status: 200, headers: [], body: '{"a":1}' })
  const framed = '{"headers":{"Transfer-Encoding":"chunked","content-length":"1","A":"1\\r\\nB: 2"},"body":""}'
  assert.deepEqual(parseInstructions(framed), { status: 200, headers: [['A', '1%0D%0AB: 2']], body: '' })
  const wrong: readonly [string, string][] = [
    ['[]', 'is no object'],
    ['null', 'is no object'],
    ['{"status":101}', 'status: expected 200..599, got 101'],
    ['{"status":"200"}', 'status: expected 200..599, got "200"'],
    ['{"headers":[]}', 'headers: expected an object, got []'],
    ['{"headers":{"a b":"1"}}', `headers: "a b" can't be a name`],
    ['{"headers":{"A":{}}}', 'headers.A: expected a text, got {}'],
  ]
  for (const [text, problem] of wrong) assert.deepEqual(parseInstructions(text), { problem }, text)
})

test('a configuration that could not run is refused', () => {
  const llm = { route_type: 'llm/v1/chat', model: { provider: 'bedrock', name: 'm' }, auth: {} }
  assert.throws(() => prepare(aiResponseTransformer, { prompt: 'p', llm }), {
    code: 'CONFIG_INVALID',
    field: 'llm.model.provider',
  })
})
