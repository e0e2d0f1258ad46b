import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { type BodyResult, readBody } from './body.ts'

const LIMITS = { limitBytes: 10_000, timeoutMs: 2000 }

interface Sent {
  readonly type?: string
  readonly body?: string | Buffer
  readonly takesYaml?: boolean
  readonly limits?: typeof LIMITS
  /** Sent without its end. */
  readonly isCut?: boolean
}

/** What a body is read as, by a real request. */
async function read(
  t: TestContext,
  { type, body = '', takesYaml = false, limits = LIMITS, isCut = false }: Sent,
): Promise<BodyResult> {
  const { promise, resolve, reject } = Promise.withResolvers<BodyResult>()
  const server = createServer((incoming: IncomingMessage, response) => {
    readBody(incoming, limits, takesYaml)
      .then(resolve, reject)
      .finally(() => response.end())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const client = request({
    port,
    method: 'POST',
    headers: { ...(type === undefined ? {} : { 'Content-Type': type }), ...(isCut ? { 'Content-Length': 100 } : {}) },
  })
  // Refusals may close the connection while the body is sent.
  client.on('error', () => {})
  if (isCut) client.write(body)
  else client.end(body)
  return await promise
}

async function refusal(t: TestContext, sent: Sent): Promise<readonly [number, string]> {
  const result = await read(t, sent)
  assert.ok(!result.ok, 'it was accepted')
  return [result.answer.status, (result.answer.body as { json: { message: string } }).json.message]
}

test('JSON is an object; an empty list is one too, as in Lua', async (t) => {
  assert.deepEqual(await read(t, { type: 'application/json; charset=utf-8', body: '{"a":[1,null]}' }), {
    ok: true,
    body: { type: 'json', value: { a: [1, null] } },
  })
  assert.deepEqual(await read(t, { type: 'application/json', body: '[]' }), {
    ok: true,
    body: { type: 'json', value: {} },
  })
})

test('what is no JSON object, and what is no UTF-8, is refused as Kong words it', async (t) => {
  for (const body of [
    '{bad',
    '',
    '"text"',
    '5',
    'null',
    '[1]',
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  ]) {
    assert.deepEqual(await refusal(t, { type: 'application/json', body }), [400, 'Cannot parse JSON body'])
  }
})

test('a member called __proto__ stays a member', async (t) => {
  const result = await read(t, { type: 'application/json', body: '{"__proto__":{"polluted":true}}' })
  assert.ok(result.ok && result.body.type === 'json')
  assert.deepEqual(Object.keys(result.body.value), ['__proto__'])
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

test('no body needs no type; a body of no type or another type is 415', async (t) => {
  assert.deepEqual(await read(t, {}), { ok: true, body: { type: 'none' } })
  for (const type of ['text/plain', 'APPLICATION/JSON', 'application/vnd.api+json', 'text/yaml'])
    assert.equal((await refusal(t, { type, body: 'x' }))[0], 415, type)
  assert.equal((await refusal(t, { body: '{}' }))[0], 415)
  assert.equal((await refusal(t, { type: 'text/plain', body: '' }))[0], 415)
})

test('YAML is taken where the endpoint takes it', async (t) => {
  for (const type of ['text/yaml', 'application/yaml', 'application/x-yaml']) {
    assert.deepEqual(await read(t, { type, body: 'a: 1', takesYaml: true }), {
      ok: true,
      body: { type: 'text', text: 'a: 1' },
    })
  }
})

test('forms are decoded; plus is a blank', async (t) => {
  const result = await read(t, { type: 'application/x-www-form-urlencoded', body: 'a%5B%5D=x+y&a[]=%C3%A9&b=' })
  assert.ok(result.ok && result.body.type === 'form')
  assert.deepEqual(
    result.body.form.named.get('a')?.appended.map(({ values }) => values[0]),
    [{ text: 'x y' }, { text: 'é' }],
  )
  assert.deepEqual(result.body.form.named.get('b')?.values, [{ text: '' }])
})

test('a form of more fields than anybody types is refused, and not cut', async (t) => {
  assert.equal(
    (
      await refusal(t, {
        type: 'application/x-www-form-urlencoded',
        body: Array.from({ length: 1001 }, (_, i) => `a${i}=1`).join('&'),
      })
    )[0],
    400,
  )
})

const part = (name: string, value: string, header = '') =>
  `--b\r\nContent-Disposition: form-data; name="${name}"${header}\r\n\r\n${value}\r\n`

test('multipart parts are text, JSON where they say so, and the content of files', async (t) => {
  const body = [
    part('name', 'm'),
    part('n', '[1,{"a":2}]', '\r\nContent-Type: application/json'),
    part('config', '_format_version: "3.0"', '; filename="kong.yml"\r\nContent-Type: text/yaml'),
    '--b--\r\n',
  ].join('')
  const result = await read(t, { type: 'multipart/form-data; boundary=b', body })
  assert.ok(result.ok && result.body.type === 'form')
  const values = Object.fromEntries([...result.body.form.named].map(([name, node]) => [name, node.values[0]]))
  assert.deepEqual(values, {
    name: { text: 'm' },
    n: { json: [1, { a: 2 }] },
    config: { text: '_format_version: "3.0"' },
  })
})

test('malformed multipart bodies are refused with what is wrong', async (t) => {
  assert.match((await refusal(t, { type: 'multipart/form-data', body: 'x' }))[1], /[Bb]oundary/)
  assert.match(
    (await refusal(t, { type: 'multipart/form-data; boundary=b', body: part('a', '1') }))[1],
    /Cannot parse multipart body/,
  )
  assert.match(
    (
      await refusal(t, {
        type: 'multipart/form-data; boundary=b',
        body: `${part('a', '{', '\r\nContent-Type: application/json')}--b--\r\n`,
      })
    )[1],
    /part 'a'.*not JSON/,
  )
  const many = Array.from({ length: 1001 }, (_, i) => part(`a${i}`, '')).join('')
  assert.match(
    (
      await refusal(t, {
        type: 'multipart/form-data; boundary=b',
        body: `${many}--b--\r\n`,
        limits: { limitBytes: 1e6, timeoutMs: 5000 },
      })
    )[1],
    /at most 1000 parts/,
  )
})

test('a body over the limit is 413, also when its length is not declared', async (t) => {
  assert.equal((await refusal(t, { type: 'application/json', body: 'x'.repeat(10_001) }))[0], 413)
})

test('a body that does not come is 408', async (t) => {
  assert.equal(
    (
      await refusal(t, {
        type: 'application/json',
        body: '{',
        isCut: true,
        limits: { limitBytes: 1000, timeoutMs: 20 },
      })
    )[0],
    408,
  )
})
