import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { fakeExchange, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { requestTermination } from './plugin.ts'

async function run(config: object, request: FakeExchangeOptions = {}): Promise<Exit | null> {
  return (await requestTermination.access!(fakeExchange(request), prepare(requestTermination, config))) ?? null
}

const JSON_TYPE = 'application/json; charset=utf-8'

test('answers 503 with a message by default', async () => {
  assert.partialDeepStrictEqual(await run({}), {
    status: 503,
    body: '{"message":"Service unavailable"}',
    contentType: JSON_TYPE,
  })
})

const DEFAULTS: readonly (readonly [status: number, message: string])[] = [
  [401, 'Unauthorized'],
  [404, 'Not found'],
  [405, 'Method not allowed'],
  [500, 'An unexpected error occurred'],
  [502, 'Bad Gateway'],
  [503, 'Service unavailable'],
]
for (const [status, message] of DEFAULTS) {
  test(`has a message for ${status}`, async () => {
    assert.partialDeepStrictEqual(await run({ status_code: status }), { status, body: JSON.stringify({ message }) })
  })
}

test('a status without a message has no body', async () => {
  for (const status of [204, 200, 301, 402, 418, 599]) {
    assert.partialDeepStrictEqual(await run({ status_code: status }), {
      status,
      body: null,
      contentType: null,
      message: null,
    })
  }
})

test('a status of a gateway error has the text of one, in the form that the client accepts', async () => {
  assert.partialDeepStrictEqual(await run({ status_code: 504 }), {
    status: 504,
    body: 'The upstream server is timing out\n',
    contentType: 'text/plain; charset=utf-8',
  })
  assert.partialDeepStrictEqual(await run({ status_code: 504 }, { headers: { Accept: 'text/html' } }), {
    status: 504,
    body: null,
    message: 'The upstream server is timing out',
  })
})

test('answers with a configured message or body', async () => {
  assert.partialDeepStrictEqual(await run({ status_code: 418, message: 'so long & "thanks"' }), {
    status: 418,
    body: '{"message":"so long & \\"thanks\\""}',
  })
  assert.partialDeepStrictEqual(await run({ body: '<a/>', content_type: 'text/xml' }), {
    body: '<a/>',
    contentType: 'text/xml',
  })
  assert.partialDeepStrictEqual(await run({ status_code: 201, body: 'x' }), {
    status: 201,
    body: 'x',
    contentType: null,
  })
})

test('with a trigger it answers only requests that carry it, as header or argument, whatever its value', async () => {
  const config = { trigger: 'stop', message: 'triggered' }
  assert.equal(await run(config), null)
  assert.equal(await run(config, { path: '/?stopped=1', headers: { 'X-Stop': '1' } }), null)
  for (const request of [
    { headers: { Stop: '1' } },
    { headers: { stop: '' } },
    { path: '/?stop' },
    { path: '/?a=1&stop=0' },
  ]) {
    assert.partialDeepStrictEqual(await run(config, request), { status: 503 })
  }
})

test('echoes the request', async () => {
  const exit = await run(
    { echo: true, status_code: 404 },
    {
      method: 'POST',
      path: '/echo/x?q=1&q=2&bare&u=%C3%BC',
      headers: { Host: 'gw.test:8000', 'X-A': ['b', 'c'] },
      body: { a: [1] },
      captures: { named: { id: '7' }, unnamed: ['7'] },
      route: { id: 'r', name: 'echo' },
      service: { id: 's', name: 'svc' },
    },
  )
  assert.equal(exit?.status, 404)
  assert.equal(exit.contentType, JSON_TYPE)
  const shown = JSON.parse(exit.body as string) as Record<string, any>
  assert.equal(shown['message'], 'Not found')
  assert.deepEqual(Object.keys(shown['kong']), ['node_id', 'worker_pid', 'hostname'])
  assert.deepEqual(shown['request'], {
    scheme: 'http',
    host: 'gw.test',
    port: 8000,
    headers: { host: 'gw.test:8000', 'x-a': ['b', 'c'], 'content-type': 'application/json' },
    query: { q: ['1', '2'], bare: true, u: 'ü' },
    body: { a: [1] },
    raw_body: '{"a":[1]}',
    method: 'POST',
    path: '/echo/x',
    uri_captures: { named: { id: '7' }, unnamed: ['7'] },
  })
  assert.deepEqual(shown['matched_route'], { id: 'r', name: 'echo' })
  assert.deepEqual(shown['matched_service'], { id: 's', name: 'svc' })
})

test('echoes forms field by field, and a body of another type only raw', async () => {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const form = JSON.parse(
    (await run({ echo: true }, { body: 'a=1&a=2&__proto__=x', headers }))!.body as string,
  ) as Record<string, any>
  assert.deepEqual(Object.entries(form['request'].body), [
    ['a', ['1', '2']],
    ['__proto__', 'x'],
  ])
  const text = JSON.parse((await run({ echo: true }, { body: 'hi' }))!.body as string) as Record<string, any>
  assert.equal(text['request'].raw_body, 'hi')
  assert.equal('body' in text['request'], false)
})

test('a config that contradicts itself is refused', () => {
  assert.throws(() => prepare(requestTermination, { status_code: 99 }), {
    code: 'CONFIG_INVALID',
    field: 'status_code',
  })
  assert.throws(
    () => prepare(requestTermination, { message: 'a', body: 'b' }),
    /message cannot be used with content_type or body/,
  )
  assert.throws(() => prepare(requestTermination, { content_type: 'a' }), /content_type requires a body/)
})
