import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { fakeExchange, FakeMetrics, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { fakeServiceOfFile, type FakeService } from '../authorization/testing.ts'
import { opa } from './plugin.ts'

const { service, open } = fakeServiceOfFile(() => ({ body: { result: true } }))

function instance(config: object = {}) {
  const metrics = new FakeMetrics()
  const logged: string[] = []
  const log = (_fields: object, message: string) => void logged.push(message)
  const state = prepare(
    opa,
    { opa_host: '127.0.0.1', opa_port: service.port, opa_path: '/v1/data/gateway/allow', timeout: 1000, ...config },
    { metrics, log: { error: log, warn: log, info: log, debug: log } },
  )
  open.push(() => opa.close!(state))
  const go = async (options: FakeExchangeOptions = {}) => {
    const exchange = fakeExchange(options)
    const exit = ((await opa.access!(exchange, state)) as Exit | undefined) ?? null
    return { status: exit?.status ?? 200, exit, sent: headersOf(exchange.request.headers) }
  }
  return Object.assign(go, { metrics, logged })
}
const inputOf = (at = 0) => (JSON.parse(service.asked[at]!.text) as { input: any }).input

test('the policy gets the request in the form of Kong', async () => {
  const go = instance({
    include_consumer_in_opa_input: true,
    include_route_in_opa_input: true,
    include_service_in_opa_input: true,
    include_uri_captures_in_opa_input: true,
    include_body_in_opa_input: true,
    include_parsed_json_body_in_opa_input: true,
  })
  await go({
    method: 'POST',
    path: '/orders/7?a=1&a=2&b&__proto__=x&c=%C3%BC',
    headers: { Host: 'gw.test:8000', 'X-Team': 'blue' },
    body: { total: 5 },
    clientIp: '10.0.0.1',
    consumer: { id: 'c1', username: 'ann' },
    route: { id: 'r1' },
    service: { id: 's1' },
    captures: { named: { id: '7' }, unnamed: ['7'] },
  })
  const { method, url, headers } = service.asked[0]!
  assert.deepEqual([method, url, headers['content-type']], ['POST', '/v1/data/gateway/allow', 'application/json'])
  const { request, ...rest } = inputOf()
  assert.deepEqual(rest, {
    client_ip: '10.0.0.1',
    consumer: { id: 'c1', username: 'ann' },
    route: { id: 'r1' },
    service: { id: 's1' },
  })
  const { http } = request
  assert.deepEqual(
    [http.host, http.port, http.tls, http.method, http.scheme, http.path],
    ['gw.test', '8000', {}, 'POST', 'http', '/orders/7'],
  )
  assert.deepEqual(Object.entries(http.querystring), [
    ['a', ['1', '2']],
    ['b', true],
    ['__proto__', 'x'],
    ['c', 'ü'],
  ])
  assert.equal(http.headers['x-team'], 'blue')
  assert.deepEqual([http.body, http.body_size, http.parsed_body], ['{"total":5}', 11, { total: 5 }])
  assert.deepEqual(http.uri_captures, { named: { id: '7' }, unnamed: ['7'] })
})

test('what is not asked for is not told', async () => {
  await instance({ input_headers: ['X-Team'] })({
    body: 'secret',
    consumer: { id: 'c1' },
    headers: { Authorization: 'x', 'X-Team': 'blue' },
  })
  const input = inputOf()
  assert.deepEqual(Object.keys(input), ['request', 'client_ip'])
  assert.deepEqual(input.request.http.headers, { 'x-team': 'blue' })
  assert.equal(input.request.http.body, undefined)
})

test('a yes lets pass, with headers; a no answers, with what the policy says', async () => {
  const cases: [unknown, number, string | null][] = [
    [true, 200, null],
    [false, 403, '{"message":"unauthorized"}'],
    [{ allow: true, headers: { 'X-Tier': 'gold\r\nX-Admin: 1' } }, 200, null],
    [{ allow: false }, 403, '{"message":"unauthorized"}'],
    [{ allow: false, status: 451, message: 'not there', headers: { 'X-Why': 'law' } }, 451, '{"message":"not there"}'],
    [{ allow: false, message: { error: 'quota' } }, 403, '{"error":"quota"}'],
  ]
  for (const [result, status, body] of cases) {
    service.says = () => ({ body: { result } })
    const reply = await instance()({ headers: { 'X-Tier': 'forged' } })
    assert.deepEqual([reply.status, reply.exit?.body ?? null], [status, body], JSON.stringify(result))
    if (reply.status === 451) assert.deepEqual(reply.exit?.headers, [['X-Why', 'law']])
    if (status === 200 && result !== true) assert.equal(reply.sent['x-tier'], 'gold%0D%0AX-Admin: 1')
  }
})

test('an answer that is no decision lets nobody pass, unless that is configured', async (t) => {
  const cases: Record<string, () => ReturnType<FakeService['says']>> = {
    'no result': () => ({ body: {} }),
    null: () => ({ body: { result: null } }),
    'a text': () => ({ body: { result: 'true' } }),
    'a number': () => ({ body: { result: 1 } }),
    'a list': () => ({ body: { result: [true] } }),
    'allow as text': () => ({ body: { result: { allow: 'true' } } }),
    'no allow': () => ({ body: { result: { status: 200 } } }),
    'a status that is none': () => ({ body: { result: { allow: false, status: 42 } } }),
    'a header name that is none': () => ({ body: { result: { allow: true, headers: { 'a b': 'c' } } } }),
    'no JSON': () => ({ body: 'true' }),
    'too long': () => ({ body: { result: true, pad: 'x'.repeat(300_000) } }),
    'an error': () => ({ status: 500, body: { result: true } }),
    'a redirect': () => ({ status: 302, headers: { Location: '/yes' }, body: { result: true } }),
    silence: () => ({ isSilent: true }),
  }
  for (const [name, says] of Object.entries(cases)) {
    await t.test(name, async () => {
      service.says = says
      const closed = instance({ timeout: 200 })
      assert.equal((await closed()).status, 503)
      assert.deepEqual(closed.metrics.calls, ['opa decision failed'])
      assert.equal((await instance({ fail_open: true, timeout: 200 })()).status, 200)
    })
  }
  const go = instance({ opa_port: 1 })
  assert.deepEqual([(await go()).status, (await go()).status], [503, 503])
  assert.deepEqual(go.logged, ['the service that decides about requests cannot be asked'], 'said once')
})

test('a decision is remembered for the very same question', async () => {
  const go = instance({ cache_ttl: 60, input_headers: ['authorization'] })
  service.says = ({ text }) => ({ body: { result: text.includes('"/orders"') } })
  const many = await Promise.all(Array.from({ length: 20 }, () => go({ path: '/orders' })))
  assert.deepEqual(new Set(many.map(({ status }) => status)), new Set([200]))
  assert.equal((await go({ path: '/orders', headers: { 'X-Request-Id': '7' } })).status, 200)
  assert.equal(service.asked.length, 1)
  assert.equal((await go({ path: '/admin' })).status, 403)
  assert.equal((await go({ path: '/orders', headers: { Authorization: 'other' } })).status, 200)
  assert.equal((await go({ path: '/orders', clientIp: '10.0.0.9' })).status, 200)
  assert.equal(service.asked.length, 4)
  service.says = () => ({ status: 500 })
  assert.equal((await go({ path: '/new' })).status, 503)
  service.says = () => ({ body: { result: true } })
  assert.equal((await go({ path: '/new' })).status, 200, 'a failure is not remembered')
})

test('a body that the policy could not see whole does not pass', async () => {
  const go = instance({ include_body_in_opa_input: true, max_body_bytes: 10 })
  assert.equal((await go({ method: 'POST', body: 'x'.repeat(11) })).status, 413)
  assert.equal((await go({ method: 'POST', body: 'x'.repeat(10) })).status, 200)
  assert.equal(service.asked.length, 1)
})
