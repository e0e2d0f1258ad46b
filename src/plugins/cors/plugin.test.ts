import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { fakeExchange, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { cors } from './plugin.ts'

const ALL_METHODS = 'GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT'

function run(config: object, request: FakeExchangeOptions) {
  const state = prepare(cors, config)
  const exchange = fakeExchange(request)
  const exit = (cors.access!(exchange, state) ?? null) as Exit | null
  for (const [name, value] of exit?.headers ?? []) exchange.response.headers.append(name, value)
  cors.responseHeaders!(exchange, state)
  return { status: exit?.status ?? null, body: exit?.body ?? null, headers: headersOf(exchange.response.headers) }
}

const simple = (config: object, origin?: string) =>
  run(config, { headers: origin === undefined ? {} : { Origin: origin } }).headers
const preflight = (config: object, headers: Readonly<Record<string, string>> = {}) =>
  run(config, {
    method: 'OPTIONS',
    headers: { Origin: 'http://one.test', 'Access-Control-Request-Method': 'PUT', ...headers },
  })

test('without origins, or with *, everybody may read', () => {
  for (const config of [{}, { origins: ['*'] }, { origins: ['http://one.test', '*'] }]) {
    assert.deepEqual(simple(config, 'http://any.test'), { 'access-control-allow-origin': '*' })
  }
})

test('a preflight is answered with 200 and no body', () => {
  assert.deepEqual(preflight({}), {
    status: 200,
    body: null,
    headers: { 'access-control-allow-origin': '*', 'access-control-allow-methods': ALL_METHODS },
  })
})

test('a preflight is told what is configured', () => {
  const config = {
    origins: ['http://one.test'],
    methods: ['GET', 'POST'],
    headers: ['X-A', 'X-B'],
    exposed_headers: ['X-E'],
    max_age: 0,
    credentials: true,
  }
  assert.deepEqual(preflight(config).headers, {
    vary: 'Origin',
    'access-control-allow-origin': 'http://one.test',
    'access-control-allow-credentials': 'true',
    'access-control-allow-headers': 'X-A,X-B',
    'access-control-allow-methods': 'GET,POST',
    'access-control-max-age': '0',
  })
})

test('without configured headers a preflight is allowed those that it asks for', () => {
  assert.equal(
    preflight({}, { 'Access-Control-Request-Headers': 'x-foo, x-bar' }).headers['access-control-allow-headers'],
    'x-foo, x-bar',
  )
})

test('a private network is opened only when told to, and when asked', () => {
  const asked = { 'Access-Control-Request-Private-Network': 'true' }
  assert.equal(preflight({ private_network: true }, asked).headers['access-control-allow-private-network'], 'true')
  assert.equal(preflight({ private_network: true }).headers['access-control-allow-private-network'], undefined)
  assert.equal(preflight({}, asked).headers['access-control-allow-private-network'], undefined)
})

test('what is not a preflight goes to the upstream', () => {
  const config = { origins: ['http://one.test'] }
  assert.equal(run(config, { method: 'OPTIONS', headers: { Origin: 'http://one.test' } }).status, null)
  assert.equal(run(config, { method: 'OPTIONS', headers: { 'Access-Control-Request-Method': 'PUT' } }).status, null)
  assert.equal(
    run(config, { method: 'GET', headers: { Origin: 'http://one.test', 'Access-Control-Request-Method': 'PUT' } })
      .status,
    null,
  )
})

test('a preflight that the upstream is to answer is left to it wholly', () => {
  assert.deepEqual(preflight({ origins: ['http://one.test'], preflight_continue: true }), {
    status: null,
    body: null,
    headers: {},
  })
})

test('one plain origin is named, whoever asks', () => {
  const headers = { vary: 'Origin', 'access-control-allow-origin': 'http://one.test' }
  for (const origin of ['http://one.test', 'https://other.test', 'null', undefined]) {
    assert.deepEqual(simple({ origins: ['http://one.test'] }, origin), headers)
  }
})

test('of several origins the one that asks is named, without its default port', () => {
  const config = { origins: ['http://one.test', 'https://two.test:443', 'http://three.test:8080'] }
  const named: readonly (readonly [asks: string, named: string | undefined])[] = [
    ['http://one.test', 'http://one.test'],
    ['http://one.test:80', 'http://one.test'],
    ['https://two.test', 'https://two.test'],
    ['http://three.test:8080', 'http://three.test:8080'],
    ['https://one.test', undefined],
    ['http://one.test:8080', undefined],
    ['http://one.test.evil.test', undefined],
    ['http://evil.test/http://one.test', undefined],
    ['HTTP://ONE.TEST', undefined],
    ['null', undefined],
    ['', undefined],
  ]
  for (const [asks, expected] of named) {
    const headers = simple(config, asks)
    assert.equal(headers['access-control-allow-origin'], expected, asks)
    assert.equal(headers['vary'], 'Origin')
  }
})

test('a pattern has to match the whole origin', () => {
  const config = { origins: ['^https?://.*\\.rx\\.test$', 'http://a\\.test|http://b\\.test'] }
  assert.equal(simple(config, 'https://x.rx.test')['access-control-allow-origin'], 'https://x.rx.test')
  assert.equal(simple(config, 'http://b.test')['access-control-allow-origin'], 'http://b.test')
  assert.equal(simple(config, 'http://a.test.evil.test')['access-control-allow-origin'], undefined)
  assert.equal(simple(config, 'https://x.rx.test.evil.test')['access-control-allow-origin'], undefined)
  assert.equal(simple(config, 'https://xrx.test')['access-control-allow-origin'], undefined)
})

test('a pattern without a colon is about the host only', () => {
  const config = { origins: ['.*\\.partial\\.test'] }
  assert.equal(simple(config, 'http://x.partial.test:99')['access-control-allow-origin'], 'http://x.partial.test:99')
  assert.equal(simple(config, 'http://evil.test/.partial.test')['access-control-allow-origin'], undefined)
})

test('a pattern that could run for ever is answered at once', () => {
  const config = { origins: ['http://(a+)+\\.test'] }
  assert.equal(simple(config, `http://${'a'.repeat(400)}`)['access-control-allow-origin'], undefined)
})

test('an upstream that names an origin which is not allowed is overruled', () => {
  const response = { headers: { 'Access-Control-Allow-Origin': '*', Vary: 'Accept' } }
  const { headers } = run(
    { origins: ['http://one.test', 'http://two.test'] },
    { headers: { Origin: 'http://evil.test' }, response },
  )
  assert.deepEqual(headers, { vary: ['Accept', 'Origin'] })
})

test('with credentials * becomes the origin that asks', () => {
  const config = { origins: ['*'], credentials: true }
  assert.deepEqual(simple(config, 'http://any.test'), {
    vary: 'Origin',
    'access-control-allow-origin': 'http://any.test',
    'access-control-allow-credentials': 'true',
  })
  assert.deepEqual(simple(config), { 'access-control-allow-origin': '*' })
})

test('headers are exposed on responses', () => {
  assert.equal(
    simple({ exposed_headers: ['X-E', 'X-F'] }, 'http://any.test')['access-control-expose-headers'],
    'X-E,X-F',
  )
})

test('a config with a pattern that does not compile, or an unknown method, names the field', () => {
  assert.throws(() => prepare(cors, { origins: ['('] }), { code: 'CONFIG_INVALID', field: 'origins.0' })
  assert.throws(() => prepare(cors, { methods: ['ZZZ'] }), { code: 'CONFIG_INVALID', field: 'methods.0' })
})
