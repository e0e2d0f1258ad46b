/** The plugins that answer by language models, on a real gateway before servers that speak the form of each provider. */
import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { ask, type Reply } from '../support/ask.ts'
import { makeCertificate } from '../support/certificates.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startModelServices, type ModelServices } from '../support/model-services.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const KEY = 'sk-the-key'
const bearer = { header_name: 'Authorization', header_value: `Bearer ${KEY}` }
const inQuery = { param_name: 'key', param_value: KEY, param_location: 'query' }
const inBody = { param_name: 'key', param_value: KEY, param_location: 'body' }
const anthropicKey = { header_name: 'x-api-key', header_value: KEY }

/** Where it is asked, as whom, how, and what the model is called in its answers. */
const PROVIDERS: readonly [at: string, provider: string, options: object, auth: object, answers: string][] = [
  ['/openai', 'openai', {}, bearer, 'm-2026'],
  ['/openai', 'azure', { azure_instance: 'a', azure_deployment_id: 'd' }, inBody, 'm-2026'],
  ['/openai', 'mistral', { mistral_format: 'openai' }, bearer, 'm-2026'],
  ['/openai', 'llama2', { llama2_format: 'openai' }, bearer, 'm-2026'],
  ['/anthropic', 'anthropic', { anthropic_version: '2023-06-01' }, anthropicKey, 'm'],
  ['/cohere', 'cohere', {}, bearer, 'm'],
  ['/gemini', 'gemini', {}, inQuery, 'm-001'],
  ['/gemini-list', 'gemini', {}, inQuery, 'm-001'],
  ['/ollama', 'mistral', { mistral_format: 'ollama' }, bearer, 'm'],
  ['/ollama', 'llama2', { llama2_format: 'ollama' }, bearer, 'm'],
]

let model: ModelServices
/** What is behind the routes whose responses are transformed. */
let upstream: Upstream
/** Gets log records. */
let records: Upstream
let gateway: Gateway | undefined
before(async () => {
  model = await startModelServices(KEY)
  upstream = await startUpstream(({ target }, response) => {
    const text = target === '/long' ? 'x'.repeat(9000) : 'some words'
    if (target === '/gzip') response.writeHead(203, { 'content-encoding': 'gzip', etag: '"1"' }).end(gzipSync(text))
    else response.writeHead(target === '/missing' ? 404 : 200, { 'content-type': 'text/plain' }).end(text)
  })
  records = await startUpstream((_request, response) => response.end())
  gateway = await startGateway({ declarative: declarative(), settings: { proxy_access_log: '/dev/stdout' } })
})
after(async () => {
  await gateway?.stop()
  for (const one of [model, upstream, records]) await one.close()
})

function proxy(at: string, provider: string, options: object, auth: object | null, more: object = {}) {
  return {
    name: 'ai-proxy',
    config: {
      route_type: 'llm/v1/chat',
      auth,
      logging: { log_statistics: true, log_payloads: true },
      model: {
        provider,
        name: 'm',
        options: { ...options, input_cost: 10, output_cost: 20, upstream_url: `http://127.0.0.1:${model.port}${at}` },
      },
      ...more,
    },
  }
}

function transformer(more: object = {}, at = '/openai') {
  const options = { upstream_url: `http://127.0.0.1:${model.port}${at}` }
  return {
    name: 'ai-response-transformer',
    config: {
      prompt: 'Say it louder.',
      ...more,
      llm: { route_type: 'llm/v1/chat', auth: bearer, model: { provider: 'openai', name: 'm', options } },
    },
  }
}

function declarative(): object {
  const streamed = (at: string) => (at.startsWith('/gemini') ? `${at}?stream=1` : at)
  const completions = { route_type: 'llm/v1/completions' }
  const models = {
    ...Object.fromEntries(PROVIDERS.map(([at, who, how, key], n) => [`/p${n}`, [proxy(at, who, how, key)]])),
    ...Object.fromEntries(PROVIDERS.map(([at, who, how, key], n) => [`/s${n}`, [proxy(streamed(at), who, how, key)]])),
    '/raw': [proxy('/raw', 'llama2', { llama2_format: 'raw' }, bearer)],
    '/completions': [proxy('/completions', 'openai', {}, bearer, completions)],
    '/always': [proxy('/openai', 'openai', {}, bearer, { response_streaming: 'always' })],
    '/slow': [proxy('/slow', 'openai', {}, bearer)],
    '/denied': [proxy('/openai', 'openai', {}, { ...bearer, header_value: 'Bearer other' })],
    '/form': [proxy('/anthropic', 'openai', {}, bearer)],
    '/preserve': [proxy('/openai', 'openai', {}, bearer, { route_type: 'preserve' })],
    '/both': [proxy('/cohere', 'cohere', {}, bearer), transformer()],
    '/gone': [
      { name: 'ai-proxy', config: { ...proxy('', 'openai', {}, bearer).config, model: unreachable(), auth: inQuery } },
    ],
  }
  const extract = { transformation_extract_pattern: '\\{.*\\}' }
  const responses = {
    '/louder': [transformer()],
    '/told': [transformer({ ...extract, parse_llm_response_json_instructions: true })],
    '/refused': [transformer({}, '/anthropic')],
  }
  const routesOf = (given: object) => Object.entries(given).map(([path, plugins]) => ({ paths: [path], plugins }))
  const logging = [
    {
      name: 'http-log',
      config: { http_endpoint: `http://127.0.0.1:${records.port}/`, queue: { max_coalescing_delay: 0 } },
    },
    { name: 'prometheus', config: { ai_metrics: true } },
  ]
  return {
    _format_version: '3.0',
    services: [
      { name: 'models', url: 'http://127.0.0.1:1', plugins: logging, routes: routesOf(models) },
      { name: 'texts', url: `http://127.0.0.1:${upstream.port}`, routes: routesOf(responses) },
    ],
  }
}

const unreachable = () => ({ provider: 'openai', name: 'm', options: { upstream_url: 'http://127.0.0.1:1/v1' } })

const post = (path: string, body: object, headers: Record<string, string> = {}): Promise<Reply> =>
  ask(gateway!.proxyUrl + path, { method: 'POST', body, headers })

interface Chunk {
  readonly object: string
  readonly choices: {
    readonly delta: { readonly role?: string; readonly content?: string }
    readonly finish_reason: string | null
  }[]
}

/** The events of a stream that ended as it should. */
function chunksOf({ text }: Reply): Chunk[] {
  const events = text.split('\n\n').filter((event) => event !== '')
  assert.equal(events.pop(), 'data: [DONE]', text)
  return events.map((event) => JSON.parse(event.slice('data: '.length)) as Chunk)
}

const CHAT = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'a gr\u00e1ve word' },
]
const SAID = 'A GR\u00c1VE WORD'

test('every provider answers a chat in the form of OpenAI', async () => {
  for (const [index, [at, provider, , , answers]] of PROVIDERS.entries()) {
    const { status, json, headers } = await post(`/p${index}`, { messages: CHAT, model: 'm' })
    assert.equal(status, 200, `${provider} as ${at}: ${JSON.stringify(json)}`)
    assert.partialDeepStrictEqual(json, {
      object: 'chat.completion',
      model: answers,
      choices: [{ index: 0, message: { role: 'assistant', content: SAID }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    })
    assert.equal(headers['x-kong-llm-model'], `${provider}/m`)
    assert.equal(headers['set-cookie'], undefined)
    assert.equal(headers['content-type'], 'application/json')
    assert.notEqual(headers['x-kong-upstream-latency'], undefined)
  }
  const version = model.received.find(({ target }) => target === '/anthropic')?.headers['anthropic-version']
  assert.equal(version, '2023-06-01')
  const raw = await post('/raw', { messages: CHAT })
  assert.equal(raw.json.choices[0].message.content, SAID)
  const prompt = await post('/completions', { prompt: 'some words' })
  assert.equal(prompt.json.choices[0].text, 'SOME WORDS')
})

test('every provider answers a stream in the form of OpenAI', async () => {
  for (const [index, [at, provider]] of PROVIDERS.entries()) {
    const reply = await post(`/s${index}`, { messages: CHAT, stream: true })
    const who = `${provider} as ${at}: ${reply.text}`
    assert.equal(reply.status, 200, who)
    assert.equal(reply.headers['content-type'], 'text/event-stream', who)
    const chunks = chunksOf(reply)
    assert.ok(chunks.every(({ object }) => object === 'chat.completion.chunk'))
    assert.equal(chunks[0]!.choices[0]!.delta.role, 'assistant', who)
    assert.equal(chunks.map(({ choices }) => choices[0]!.delta.content ?? '').join(''), SAID, who)
    assert.equal(chunks.at(-1)!.choices[0]!.finish_reason, 'stop', who)
  }
  assert.equal(chunksOf(await post('/always', { messages: CHAT })).length, 5)
  assert.equal(chunksOf(await post('/completions', { prompt: 'some words', stream: true })).length, 2)
})

test('an event is with the client before the next one is made', async () => {
  const signal = AbortSignal.timeout(20_000)
  const body = JSON.stringify({ messages: CHAT, stream: true })
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch(`${gateway!.proxyUrl}/slow`, { method: 'POST', body, headers, signal })
  const reader = reply.body!.getReader()
  for (let i = 0; i < 3; i++) {
    const { value } = await reader.read()
    assert.match(Buffer.from(value).toString(), new RegExp(`"content":"event ${i}"`))
    model.release()
  }
  await reader.cancel()
})

test('what services refuse passes with their status, what they can not be asked is told', async () => {
  for (const stream of [false, true]) {
    const denied = await post('/denied', { messages: CHAT, stream })
    assert.deepEqual([denied.status, denied.json], [401, { error: { message: 'refused with 401' } }])
    const form = await post('/form', { messages: CHAT, stream })
    assert.equal(form.status, 400)
  }
  const gone = await post('/gone', { messages: CHAT })
  assert.equal(gone.status, 502)
  const refused = await post('/p0', { messages: CHAT, model: 'other' })
  assert.deepEqual([refused.status, refused.json], [400, { error: { message: 'cannot use own model - must be: m' } }])
  const kept = await post('/preserve', { messages: CHAT, model: 'any' })
  assert.equal(kept.json.model, 'any-2026')
})

test('tokens and costs are logged and counted, and keys are nowhere', async () => {
  const asked = { messages: CHAT, stream: true }
  await post('/s0', asked)
  await post('/p6', { messages: CHAT })
  await post('/gone', { messages: CHAT })
  const logged = () => records.received.map(({ body }) => JSON.parse(body.toString()) as LogRecord)
  const find = (path: string) => logged().findLast(({ request }) => request.uri.startsWith(path))
  await waitUntil('the records', () => find('/gone') !== undefined && find('/p6')?.ai !== undefined)
  assert.partialDeepStrictEqual(find('/s0')!.ai, {
    proxy: {
      meta: { provider_name: 'openai', request_model: 'm', response_model: 'm-2026' },
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10, cost: 0.00013 },
      payload: { request: JSON.stringify(asked) },
    },
  })
  assert.match(find('/s0')!.ai!.proxy.payload.response, /"content":"A GR\u00c1VE WORD"/)
  assert.partialDeepStrictEqual(find('/p6')!.ai, { proxy: { usage: { prompt_tokens: 7, completion_tokens: 3 } } })
  assert.ok(!records.received.some(({ body }) => body.includes(KEY)), 'a record has the key')
  await waitUntil('the access log', () => gateway!.child.output.includes('"POST /p6 HTTP/1.1" 200'))
  assert.ok(!gateway!.child.output.includes(KEY), 'the log has the key')
  const { text } = await ask(`${gateway!.adminUrl}/metrics`)
  const line =
    /^kong_ai_llm_tokens_total\{ai_provider="gemini",ai_model="m",.*token_type="total_tokens"\} (\d+)$/m.exec(text)
  assert.ok(Number(line?.[1]) >= 10, text)
  assert.match(text, /^kong_ai_llm_provider_latency_ms_count\{ai_provider="openai",/m)
})

interface LogRecord {
  readonly request: { readonly uri: string }
  readonly ai?: { readonly proxy: { readonly payload: { readonly request: string; readonly response: string } } }
}

test('a model rewrites responses, whatever the upstream answers', async () => {
  const get = (path: string) => ask(gateway!.proxyUrl + path)
  const ok = await get('/louder')
  assert.deepEqual([ok.status, ok.text, ok.headers['content-type']], [200, 'SOME WORDS', 'text/plain; charset=UTF-8'])
  assert.equal(ok.headers['content-length'], '10')
  const missing = await get('/louder/missing')
  assert.deepEqual([missing.status, missing.text], [404, 'SOME WORDS'])
  const packed = await get('/louder/gzip')
  assert.deepEqual([packed.status, packed.text, packed.headers['etag']], [203, 'SOME WORDS', undefined])
  const long = await get('/louder/long')
  assert.deepEqual(
    [long.status, long.json],
    [500, { error: { message: 'response body is larger than max_request_body_size (8192 bytes)' } }],
  )
  const told = await get('/told')
  assert.deepEqual(
    [told.status, told.json.error.message],
    [400, 'transformation failed: the answer does not match the pattern'],
  )
  const refused = await get('/refused')
  assert.deepEqual([refused.status, refused.json], [500, { error: { message: 'the AI service answered 400' } }])
  const head = await ask(`${gateway!.proxyUrl}/louder`, { method: 'HEAD' })
  assert.deepEqual([head.status, head.text], [200, ''])
})

test('the answer of one model is rewritten by another', async () => {
  const { status, text } = await post('/both', { messages: CHAT })
  assert.equal(status, 200)
  // The first one's answer in the form of OpenAI, in capitals.
  assert.match(text, /"OBJECT":"CHAT\.COMPLETION".*"CONTENT":"A GR\u00c1VE WORD"/)
})

test("a model is asked over TLS by its name, and verified as the route's service says", async () => {
  const seen: (string | undefined)[] = []
  const server = createServer(await makeCertificate(['localhost']), (request, response) => {
    const { servername } = request.socket as TLSSocket & { servername?: string }
    seen.push(servername, request.headers.host)
    response.end(JSON.stringify({ choices: [{ message: { content: 'yes' } }] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const { config } = proxy('', 'openai', {}, bearer)
  const options = { upstream_url: `https://localhost:${port}/v1/chat/completions` }
  const plugins = [{ name: 'ai-proxy', config: { ...config, model: { provider: 'openai', name: 'm', options } } }]
  const services = ([true, false] as const).map((tls_verify) => ({
    url: 'https://127.0.0.1:1',
    tls_verify,
    retries: 0,
    routes: [{ paths: [`/${tls_verify}`], plugins }],
  }))
  const secure = await startGateway({ declarative: { _format_version: '3.0', services } })
  try {
    const asked = async (path: string) =>
      (await ask(secure.proxyUrl + path, { method: 'POST', body: { messages: CHAT } })).status
    assert.equal(await asked('/true'), 502)
    assert.deepEqual(seen, [])
    assert.equal(await asked('/false'), 200)
    assert.deepEqual(seen, ['localhost', `localhost:${port}`])
  } finally {
    await secure.stop()
    server.closeAllConnections()
    server.close()
  }
})
