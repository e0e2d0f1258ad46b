import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { BARE_NODE, completeConfig, fakeExchange, FakeRuntime, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { acme } from './plugin.ts'

const ACCOUNT = { account_email: 'ops@example.com', tos_accepted: true }

function instance(config: object = { domains: ['a.example', '*.b.example'] }, known: readonly string[] = []) {
  const runtime = new FakeRuntime()
  const wanted: string[] = []
  const certificates = { has: (name: string) => known.includes(name), want: (name: string) => void wanted.push(name) }
  const state = prepare(acme, { ...ACCOUNT, ...config }, { runtime, certificates })
  const ask = async (path: string, host = 'a.example', more: FakeExchangeOptions = {}) => {
    const exchange = fakeExchange({ path, headers: { Host: host }, ...more })
    return ((await acme.rewrite!(exchange, state)) as Exit | undefined) ?? null
  }
  const shake = (sni: string | null, scheme: 'http' | 'https' = 'https') => {
    const exchange = fakeExchange({ scheme })
    exchange.request.sni = sni
    assert.equal(acme.access!(exchange, state), undefined)
  }
  return { runtime, wanted, ask, shake }
}
const challenge = (token: string) => `/.well-known/acme-challenge/${token}`

test('a challenge is answered with what the main thread left for it', async () => {
  const { runtime, ask } = instance()
  await runtime.put('http-01', 'token_1-A', 'token_1-A.thumbprint', 1000)
  for (const host of ['a.example', 'A.Example:80', 'x.b.example']) {
    const exit = await ask(challenge('token_1-A'), host)
    assert.deepEqual(
      [exit?.status, exit?.body, exit?.contentType],
      [200, 'token_1-A.thumbprint', 'application/octet-stream'],
    )
  }
})

test('what is no challenge of ours goes on, or is not there', async () => {
  const { runtime, ask } = instance()
  await runtime.put('http-01', 't', 't.thumbprint', 1000)
  await runtime.put('tls-alpn-01', 'object', { cert: 'c', key: 'secret' }, 1000)
  assert.equal(await ask(challenge('t'), 'other.example'), null, 'a name that is not in the domains')
  assert.equal(await ask(challenge('t'), 'a.example', { scheme: 'https' }), null)
  assert.equal(await ask('/orders'), null)
  assert.equal(await ask('/.well-known/acme-challenge'), null)
  for (const token of ['x', 'unknown', '', 't/', '../t', 't%00', 'é', 't?', 'a'.repeat(2000), 'object']) {
    const exit = await ask(challenge(token), 'a.example', { query: null })
    assert.deepEqual([exit?.status, exit?.body], token === 't?' ? [200, 't.thumbprint'] : [404, 'Not found\n'], token)
  }
})

test('a store that cannot be asked is no answer', async () => {
  const { runtime, ask } = instance()
  runtime.isUnavailable = true
  assert.equal((await ask(challenge('t')))?.status, 503)
})

test('names without a certificate are wanted, where that is allowed', () => {
  const { wanted, shake } = instance(undefined, ['x.b.example'])
  shake('A.example')
  shake('x.b.example')
  shake('y.b.example')
  shake('c.example')
  shake(null)
  shake('a.example', 'http')
  assert.deepEqual(wanted, ['a.example', 'y.b.example'])
  const any = instance({ allow_any_domain: true })
  any.shake('c.example')
  assert.deepEqual(any.wanted, ['c.example'])
  const none = instance({})
  none.shake('c.example')
  assert.deepEqual(none.wanted, [])
})

test('what can not be kept, or was not agreed to, is refused by name', () => {
  const cases: [object, string, typeof BARE_NODE][] = [
    [ACCOUNT, '', { ...BARE_NODE, hasDatabase: false }],
    [{ ...ACCOUNT, account_email: undefined }, 'account_email', BARE_NODE],
    [{ ...ACCOUNT, challenge: 'dns-01' }, 'challenge', BARE_NODE],
    [{ ...ACCOUNT, domains: ['a.*.example'] }, 'domains.0', BARE_NODE],
    [{ ...ACCOUNT, cert_type: 'dsa' }, 'cert_type', BARE_NODE],
    [{ ...ACCOUNT, storage: 'redis' }, 'storage_config.redis.host', BARE_NODE],
  ]
  for (const [config, field, node] of cases)
    assert.throws(() => completeConfig(acme, config, node), { code: 'CONFIG_INVALID', field }, JSON.stringify(config))
})
