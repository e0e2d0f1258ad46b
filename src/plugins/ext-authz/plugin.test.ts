import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { fakeExchange, FakeMetrics, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { fakeServiceOfFile } from '../authorization/testing.ts'
import { extAuthz } from './plugin.ts'

const { service, open } = fakeServiceOfFile(() => ({}))

function instance(config: object = {}) {
  const metrics = new FakeMetrics()
  const state = prepare(extAuthz, { url: `http://127.0.0.1:${service.port}/check?x=1`, ...config }, { metrics })
  open.push(() => extAuthz.close!(state))
  const go = async (options: FakeExchangeOptions = {}) => {
    const exchange = fakeExchange(options)
    const exit = ((await extAuthz.access!(exchange, state)) as Exit | undefined) ?? null
    return { status: exit?.status ?? 200, exit, sent: headersOf(exchange.request.headers) }
  }
  return Object.assign(go, { metrics })
}

test('the service is told of the request, with the headers that are named', async () => {
  const go = instance({ extra_headers: { 'X-Gateway': 'g' }, request_headers: ['Authorization', 'Cookie', 'X-Team'] })
  await go({
    method: 'DELETE',
    path: '/orders/7?a=1',
    clientIp: '10.0.0.1',
    headers: [
      ['Host', 'shop.test'],
      ['Authorization', 'Bearer t'],
      ['Cookie', 'a=1'],
      ['Cookie', 'b=2'],
      ['X-Other', 'x'],
      ['X-Forwarded-Method', 'GET'],
    ],
    consumer: { id: 'c1' },
    credential: { id: 'k' },
  })
  const { method, url, headers, text } = service.asked[0]!
  assert.deepEqual([method, url, text], ['GET', '/check?x=1', ''])
  const told = ['method', 'proto', 'host', 'uri', 'for'].map((name) => headers[`x-forwarded-${name}`])
  assert.deepEqual(told, ['DELETE', 'http', 'shop.test', '/orders/7?a=1', '10.0.0.1'])
  assert.deepEqual(
    ['authorization', 'cookie', 'x-consumer-id', 'x-gateway', 'x-other'].map((name) => headers[name]),
    ['Bearer t', 'a=1; b=2', 'c1', 'g', undefined],
  )
})

test('2xx lets pass with headers for the upstream, which no client can send', async () => {
  service.says = () => ({ status: 204, headers: { 'X-User': 'ann', 'X-Secret': 's' } })
  const go = instance({ upstream_headers: ['X-User', 'X-Role'] })
  const { status, sent } = await go({ headers: { 'X-User': 'forged', 'X-Role': 'admin' } })
  assert.deepEqual([status, sent['x-user'], sent['x-role'], sent['x-secret']], [200, 'ann', undefined, undefined])
})

test('3xx and 4xx are what the client gets, with the headers that are named', async () => {
  const go = instance()
  service.says = () => ({ status: 302, headers: { Location: 'https://login.test/', 'X-Internal': 'x' } })
  const sentAway = await go()
  assert.deepEqual([sentAway.status, sentAway.exit?.headers], [302, [['location', 'https://login.test/']]])
  service.says = () => ({
    status: 401,
    headers: { 'WWW-Authenticate': 'Bearer', 'Content-Type': 'text/plain' },
    body: 'no',
  })
  const refused = await go()
  assert.deepEqual([refused.status, refused.exit?.body], [401, 'no'])
  assert.deepEqual(refused.exit?.headers, [
    ['content-type', 'text/plain'],
    ['www-authenticate', 'Bearer'],
  ])
  assert.deepEqual(go.metrics.calls, ['ext-authz decision refused', 'ext-authz decision refused'])
})

test('nobody passes while the service fails, unless that is configured', async () => {
  for (const says of [
    () => ({ status: 500 }),
    () => ({ status: 503 }),
    () => ({ isSilent: true as const }),
    () => ({ body: 'x'.repeat(300_000) }),
  ]) {
    service.says = says
    assert.equal((await instance({ timeout: 200 })()).status, 503)
    assert.equal((await instance({ timeout: 200, fail_open: true })()).status, 200)
  }
  assert.equal((await instance({ url: 'http://127.0.0.1:1/' })()).status, 503)
})

test('with fail_open, too, no client says what only the service may', async () => {
  service.says = () => ({ status: 500 })
  const { status, sent } = await instance({ fail_open: true, upstream_headers: ['X-User'] })({
    headers: { 'X-User': 'forged' },
  })
  assert.deepEqual([status, sent['x-user']], [200, undefined])
})

test('a decision is remembered for the same question, and no other', async () => {
  const go = instance({ cache_ttl: 60 })
  service.says = ({ headers }) => ({ status: headers['x-forwarded-uri'] === '/a' ? 200 : 403 })
  await Promise.all(Array.from({ length: 10 }, () => go({ path: '/a' })))
  assert.equal(service.asked.length, 1)
  assert.equal((await go({ path: '/b' })).status, 403)
  assert.equal((await go({ path: '/a', headers: { Authorization: 'other' } })).status, 200)
  assert.equal((await go({ path: '/a', method: 'PUT' })).status, 200)
  assert.equal(service.asked.length, 4)
})

test('a body goes along whole, or the request does not pass', async () => {
  const go = instance({ method: 'POST', include_body: true, max_body_bytes: 10 })
  service.says = ({ text }) => ({ status: text === 'good' ? 200 : 403 })
  assert.equal((await go({ method: 'POST', body: 'good' })).status, 200)
  assert.equal((await go({ method: 'POST', body: 'bad' })).status, 403)
  assert.equal((await go({ method: 'POST', body: 'x'.repeat(11) })).status, 413)
  assert.throws(() => instance({ include_body: true }), /method: expected POST/)
})
