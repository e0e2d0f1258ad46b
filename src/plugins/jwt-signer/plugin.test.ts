import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import type { Exit } from '#pdk'
import { FakeClock, fakeExchange, FakeRuntime, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { jwtSigner } from './plugin.ts'

const NOW = Date.parse('2030-01-01T00:00:00Z')
const ANN: FakeExchangeOptions = { consumer: { id: 'c1', username: 'ann', custom_id: 'a-1' }, credential: { id: 'k1' } }

function instance(config: object = {}, runtime = new FakeRuntime(new FakeClock(NOW))) {
  const state = prepare(jwtSigner, { jwks_path: '/keys', ...config }, { runtime })
  const go = async (options: FakeExchangeOptions = {}) => {
    const exchange = fakeExchange({ now: NOW, ...options })
    const exit = ((await jwtSigner.access!(exchange, state)) as Exit | undefined) ?? null
    return { status: exit?.status ?? 200, exit, sent: headersOf(exchange.request.headers) }
  }
  const keys = async (now = NOW) =>
    JSON.parse((await go({ path: '/keys', now })).exit!.body as string) as { keys: any[] }
  const token = async (options: FakeExchangeOptions = ANN) => (await go(options)).sent['x-identity-token'] as string
  return { go, keys, token, runtime }
}
const verify = (token: string, keys: { keys: any[] }, nowMs = NOW) =>
  jwtVerify(token, createLocalJWKSet(keys), {
    currentDate: new Date(nowMs),
    issuer: 'meridian',
    requiredClaims: ['exp', 'jti'],
  })

for (const algorithm of ['ES256', 'RS256', 'EdDSA']) {
  test(`the upstream can verify who it is by the published keys, ${algorithm}`, async () => {
    const { token, keys } = instance({ algorithm, audience: ['orders'], claims: { gateway: 'eu' } })
    const { payload, protectedHeader } = await verify(await token(), await keys())
    const { iat, exp, jti, ...rest } = payload
    assert.deepEqual(rest, {
      iss: 'meridian',
      aud: 'orders',
      gateway: 'eu',
      sub: 'c1',
      consumer_id: 'c1',
      consumer_username: 'ann',
      consumer_custom_id: 'a-1',
      credential: 'k1',
    })
    assert.deepEqual([iat, exp, typeof jti], [NOW / 1000, NOW / 1000 + 300, 'string'])
    assert.equal(protectedHeader.alg, algorithm)
    for (const key of (await keys()).keys) {
      assert.deepEqual(
        ['d', 'p', 'q', 'k'].filter((part) => part in key),
        [],
        'nothing private is published',
      )
      assert.equal(key.use, 'sig')
    }
  })
}

test('nobody gets no token, and no client can bring one', async () => {
  const { go } = instance()
  const forged = { headers: { 'X-Identity-Token': 'forged' } }
  assert.equal((await go(forged)).sent['x-identity-token'], undefined)
  assert.equal((await go({ ...forged, consumer: { id: 'anonymous' } })).sent['x-identity-token'], undefined)
  assert.notEqual((await go({ ...forged, ...ANN })).sent['x-identity-token'], 'forged')
})

test('somebody without a consumer is named by the credential', async () => {
  const { token, keys } = instance()
  const { payload } = await verify(await token({ credential: { id: 'ldap-ann' } }), await keys())
  assert.deepEqual([payload.sub, payload['consumer_id']], ['ldap-ann', undefined])
})

test('a token is used again for half of its life, by its own subject only', async () => {
  const { token } = instance({ lifetime: 100 })
  const first = await token()
  assert.equal(await token({ ...ANN, now: NOW + 49_000 }), first)
  assert.notEqual(await token({ ...ANN, now: NOW + 50_000 }), first)
  assert.notEqual(await token({ ...ANN, credential: { id: 'k2' } }), first)
})

test('workers that start at the same time sign with one key, and another one after its period', async () => {
  const runtime = new FakeRuntime(new FakeClock(NOW))
  const workers = Array.from({ length: 5 }, () => instance({ rotation_period: 3600 }, runtime))
  const tokens = await Promise.all(workers.map(({ token }) => token()))
  const kids = new Set(tokens.map((one) => decodeProtectedHeader(one).kid))
  assert.equal(kids.size, 1)
  const before = await workers[1]!.keys()
  const later = NOW + 3_600_000
  const next = await workers[2]!.token({ ...ANN, now: later })
  assert.ok(!kids.has(decodeProtectedHeader(next).kid))
  await verify(next, before, later)
  const published = await workers[3]!.keys(later)
  await verify(tokens[0]!, published, NOW)
  assert.equal(published.keys.length, 3)
  const much = NOW + 4 * 3_600_000
  const kidsThen = (await workers[4]!.keys(much)).keys.map(({ kid }) => kid as string)
  assert.ok(!kidsThen.some((kid) => kids.has(kid)), 'the first key is over')
})

test('sets of keys are apart, and all of one name are the same', async () => {
  const runtime = new FakeRuntime(new FakeClock(NOW))
  const kid = async (config: object) => decodeProtectedHeader(await instance(config, runtime).token()).kid
  assert.equal(await kid({ key_set: 'a' }), await kid({ key_set: 'a', issuer: 'other' }))
  assert.notEqual(await kid({ key_set: 'a' }), await kid({ key_set: 'b' }))
})

test('keys that are given sign, the first of them, and all are published', async () => {
  const pem = () =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  const [one, two] = [pem(), pem()]
  const { token, keys, runtime } = instance({ private_keys: [one, two] })
  runtime.isUnavailable = true
  const published = await keys()
  assert.equal(published.keys.length, 2)
  assert.equal(decodeProtectedHeader(await token()).kid, published.keys[0].kid)
  assert.equal(decodeProtectedHeader(await instance({ private_keys: [two, one] }).token()).kid, published.keys[1].kid)
})

test('nothing goes on unsigned when there is no key', async () => {
  const { go, runtime } = instance()
  runtime.isUnavailable = true
  assert.equal((await go(ANN)).status, 503)
  assert.equal((await go({ path: '/keys' })).status, 503)
  assert.equal((await go()).status, 200, 'nobody needs none')
})

test('configurations that could not work are refused with the field named', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  for (const [config, message] of [
    [{ private_keys: ['x'] }, /private_keys/],
    [{ private_keys: [rsa], algorithm: 'RS256' }, /private_keys.*RS256/],
    [{ private_keys: [rsa] }, /private_keys/],
    [{ claims: { sub: 'admin' } }, /claims.sub/],
    [{ header: 'a b' }, /header/],
    [{ algorithm: 'none' }, /algorithm/],
  ] as const)
    assert.throws(() => instance(config), message)
})

test('Authorization may be the header, and keys are read only', async () => {
  const { go } = instance({ header: 'authorization:bearer' })
  assert.match(
    (await go({ ...ANN, headers: { Authorization: 'Basic x' } })).sent['authorization'] as string,
    /^Bearer eyJ/,
  )
  assert.equal((await go({ method: 'POST', path: '/keys' })).status, 405)
})
