import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Exit } from '#pdk'
import { FakeEntities, fakeExchange, FakeMetrics, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { ANN, FakeProvider, NOBODY, NOW_S, type Answer } from '../openid-connect/testing.ts'
import { oauth2Introspection } from './plugin.ts'

let provider: FakeProvider
const open: (() => void)[] = []
before(async () => {
  provider = await FakeProvider.start()
})
beforeEach(() => {
  provider.answers = {}
  provider.asked.length = 0
})
after(async () => {
  for (const close of open) close()
  await provider.stop()
})

function instance(config: object = {}, mode: 'sync' | 'async' | 'unavailable' = 'async') {
  const metrics = new FakeMetrics()
  const state = prepare(
    oauth2Introspection,
    {
      introspection_url: `${provider.issuer}/introspect`,
      authorization_value: 'Basic c2VjcmV0',
      timeout: 2000,
      ...config,
    },
    { entities: new FakeEntities({ consumers: [ANN, NOBODY] }, mode), metrics },
  )
  open.push(() => oauth2Introspection.close!(state))
  const go = async (token: string | null, options: FakeExchangeOptions = {}) => {
    const shown = token === null ? {} : { Authorization: `Bearer ${token}` }
    const exchange = fakeExchange({ ...options, headers: { ...(options.headers as object), ...shown } })
    const exit = ((await oauth2Introspection.access!(exchange, state)) as Exit | undefined) ?? null
    return { status: exit?.status ?? 200, exit, exchange, sent: headersOf(exchange.request.headers) }
  }
  return Object.assign(go, { metrics })
}

const answers = (body: unknown, more: Answer = {}) => {
  provider.answers['/introspect'] = () => ({ body, ...more })
}

test('an active token lets in, and its claims are told', async () => {
  const go = instance({
    custom_claims_forward: ['tenant'],
    token_type_hint: 'access_token',
    custom_introspection_headers: { 'X-Realm': 'r' },
  })
  answers({
    active: true,
    username: 'ann',
    client_id: 'shop',
    scope: 'read write',
    exp: NOW_S + 60,
    aud: ['a', 'b'],
    tenant: 'x',
  })
  const { status, sent, exchange } = await go('right', {
    headers: { 'X-Credential-Tenant': 'forged', 'X-Credential-Sub': 'forged', 'X-Consumer-Username': 'forged' },
  })
  assert.equal(status, 200)
  assert.equal(exchange.consumer?.username, 'ann')
  assert.deepEqual(
    ['scope', 'client-id', 'username', 'exp', 'aud', 'tenant', 'sub', 'identifier'].map(
      (name) => sent[`x-credential-${name}`],
    ),
    ['read write', 'shop', 'ann', String(NOW_S + 60), 'a, b', 'x', undefined, 'shop'],
  )
  const [{ headers, form }] = provider.asked as [(typeof provider.asked)[number]]
  assert.deepEqual([headers.authorization, headers['x-realm']], ['Basic c2VjcmV0', 'r'])
  assert.deepEqual([form.get('token'), form.get('token_type_hint')], ['right', 'access_token'])
  assert.deepEqual(go.metrics.calls, ['oauth2-introspection introspection answered'])
})

test('a client may name the consumer by its custom id, and who is no consumer gets in without one', async () => {
  answers({ active: true, client_id: 'ann-custom', username: 'nobody-known' })
  assert.equal((await instance({ consumer_by: 'client_id' })('t')).exchange.consumer?.username, 'ann')
  const { status, exchange, sent } = await instance()('t')
  assert.deepEqual([status, exchange.consumer, sent['x-consumer-username']], [200, null, undefined])
  assert.equal((await instance({}, 'unavailable')('t')).status, 503)
})

test('an answer is asked for once, and remembered until the token ends', async () => {
  const go = instance({ ttl: 30 })
  answers({ active: true, exp: NOW_S + 10 })
  const many = await Promise.all(Array.from({ length: 20 }, () => go('right')))
  assert.deepEqual(new Set(many.map(({ status }) => status)), new Set([200]))
  assert.equal(provider.asked.length, 1)
  assert.equal((await go('right', { now: (NOW_S + 11) * 1000 })).status, 401)
})

test('where the server is told of the request, its answer is for that request', async () => {
  const go = instance({ introspect_request: true })
  provider.answers['/introspect'] = ({ headers }) => ({
    body: { active: headers['x-request-path'] === '/orders' && headers['x-request-http-method'] === 'GET' },
  })
  assert.equal((await go('t', { path: '/orders' })).status, 200)
  assert.equal((await go('t', { path: '/admin' })).status, 401)
  assert.equal((await go('t', { path: '/orders', method: 'DELETE' })).status, 401)
})

test('what does not say that the token holds, lets nobody in', async (t) => {
  const cases: [string, unknown, Answer, number][] = [
    ['inactive', { active: false, username: 'ann' }, {}, 401],
    ['ended', { active: true, exp: NOW_S - 1 }, {}, 401],
    ['not begun', { active: true, nbf: NOW_S + 60 }, {}, 401],
    ['active as text', { active: 'true' }, {}, 503],
    ['active as a number', { active: 1 }, {}, 503],
    ['no active', {}, {}, 503],
    ['no object', [{ active: true }], {}, 503],
    ['no JSON', 'active', {}, 503],
    ['refused', { error: 'invalid_client' }, { status: 401 }, 503],
    ['failed', { active: true }, { status: 500 }, 503],
    ['sent elsewhere', { active: true }, { status: 307, headers: { Location: '/other' } }, 503],
    ['too long', { active: true, pad: 'x'.repeat(300_000) }, {}, 503],
  ]
  for (const [name, body, more, status] of cases) {
    await t.test(name, async () => {
      answers(body, more)
      const reply = await instance({ anonymous: status === 503 ? NOBODY.id : '' })('t')
      assert.deepEqual([reply.status, reply.exchange.credential], [status, null])
    })
  }
})

test('tokens that can be none are refused without asking', async (t) => {
  const go = instance()
  const refused: Record<string, FakeExchangeOptions> = {
    'no token': {},
    'another scheme': { headers: { Authorization: 'Basic x' } },
    'two headers': {
      headers: [
        ['Authorization', 'Bearer a'],
        ['Authorization', 'Bearer b'],
      ],
    },
    'header and query': { headers: { Authorization: 'Bearer a' }, path: '/?access_token=b' },
    'two arguments': { path: '/?access_token=a&access_token=b' },
    spaces: { headers: { Authorization: 'Bearer a b' } },
    'too long': { headers: { Authorization: `Bearer ${'a'.repeat(20_000)}` } },
  }
  for (const [name, options] of Object.entries(refused)) {
    await t.test(name, async () => {
      const exchange = fakeExchange(options)
      assert.equal((await go(null, options)).status, 401)
      assert.equal(exchange.credential, null)
    })
  }
  assert.equal(provider.asked.length, 0)
  assert.deepEqual((await go(null)).exit?.headers, [['WWW-Authenticate', 'Bearer']])
})

test('credentials are hidden where they were', async () => {
  answers({ active: true })
  const go = instance({ hide_credentials: true })
  assert.equal((await go('t')).sent['authorization'], undefined)
  assert.equal((await go(null, { path: '/?a=1&access_token=t' })).exchange.request.query, 'a=1')
})

test('the anonymous consumer stands in for who has no token that holds', async () => {
  answers({ active: false })
  const go = instance({ anonymous: 'nobody', run_on_preflight: false })
  assert.equal((await go('wrong')).exchange.consumer?.username, 'nobody')
  assert.equal((await go(null)).exchange.consumer?.username, 'nobody')
  assert.equal((await instance({ run_on_preflight: false })(null, { method: 'OPTIONS' })).status, 200)
})
