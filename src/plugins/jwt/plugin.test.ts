import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { SignJWT } from 'jose'
import type { Exit } from '#pdk'
import { FakeEntities, fakeExchange, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { jwt } from './plugin.ts'

const ALICE = { id: '11111111-1111-4111-8111-000000000001', username: 'alice', custom_id: 'alice-custom', tags: null }
const NOBODY = { id: '11111111-1111-4111-8111-00000000000a', username: 'anonymous-user', custom_id: null, tags: null }
const NOW = Date.parse('2030-01-01T00:00:00Z') / 1000

const credential = (key: string, values: object) => ({
  id: `credential-${key}`,
  key,
  secret: 'secret',
  rsa_public_key: null,
  algorithm: 'HS256',
  consumer: { id: ALICE.id },
  ...values,
})

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const KEY_PAIRS = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: p256,
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  EdDSA: generateKeyPairSync('ed25519'),
}
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' })

const CREDENTIALS = [
  credential('alice', {}),
  credential('HS384', { algorithm: 'HS384' }),
  credential('HS512', { algorithm: 'HS512' }),
  ...Object.entries(KEY_PAIRS).map(([algorithm, { publicKey }]) =>
    credential(algorithm, { algorithm, rsa_public_key: pem(publicKey) }),
  ),
  credential('base64', { secret: Buffer.from([0, 1, 255]).toString('base64') }),
  credential('wrong-curve', { algorithm: 'ES384', rsa_public_key: pem(p256.publicKey) }),
  credential('keyless', { algorithm: 'ES256' }),
  credential('orphan', { consumer: { id: 'gone' } }),
  credential('schlüssel', {}),
]
const ROWS = { consumers: [ALICE, NOBODY], jwt_secrets: CREDENTIALS }

type Signer = KeyObject | Uint8Array
/** A token as another implementation makes it. */
function signed(claims: object, key: Signer = Buffer.from('secret'), alg = 'HS256', header: object = {}) {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg, ...header }).sign(key)
}
const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
/** A token of parts that need not make sense, well signed. */
function raw(header: unknown, claims: unknown, secret = 'secret'): string {
  const text = `${part(header)}.${part(claims)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

async function run(config: object, request: FakeExchangeOptions, mode: FakeEntities['mode'] = 'sync') {
  const exchange = fakeExchange(request)
  const exit = (await jwt.access!(exchange, prepare(jwt, config, { entities: new FakeEntities(ROWS, mode) }))) ?? null
  return { exchange, exit, sent: headersOf(exchange.request.headers) }
}
const bearer = (token: string): FakeExchangeOptions => ({ headers: { Authorization: `Bearer ${token}` } })

function assertRefused(exit: Exit | null, reason: string | object, challenge = 'Bearer error="invalid_token"'): void {
  assert.ok(exit !== null, 'the request passed')
  assert.deepEqual(
    [exit.status, JSON.parse(exit.body as string), exit.headers],
    [401, typeof reason === 'string' ? { message: reason } : reason, [['WWW-Authenticate', challenge]]],
  )
}

test('lets a signed token pass and tells the upstream whose it is', async () => {
  const token = await signed({ iss: 'alice' })
  for (const mode of ['sync', 'async'] as const) {
    const { exchange, exit, sent } = await run({}, bearer(token), mode)
    assert.equal(exit, null)
    assert.deepEqual(sent, {
      authorization: `Bearer ${token}`,
      'x-consumer-id': ALICE.id,
      'x-consumer-custom-id': 'alice-custom',
      'x-consumer-username': 'alice',
      'x-credential-identifier': 'alice',
    })
    assert.equal(exchange.consumer, ALICE)
    assert.equal(exchange.shared.get('authenticated_jwt_token'), token)
  }
})

for (const [algorithm, { privateKey }] of Object.entries(KEY_PAIRS)) {
  test(`takes ${algorithm}, and no signature over something else`, async () => {
    const token = await signed({ iss: algorithm }, privateKey, algorithm)
    assert.equal((await run({}, bearer(token))).exit, null)
    const [header, , signature] = token.split('.')
    const forged = `${header}.${part({ iss: algorithm, admin: true })}.${signature}`
    assertRefused((await run({}, bearer(forged))).exit, 'Invalid signature')
  })
}
for (const algorithm of ['HS384', 'HS512']) {
  test(`takes ${algorithm}, and no shorter signature`, async () => {
    const token = await signed({ iss: algorithm }, Buffer.from('secret'), algorithm)
    assert.equal((await run({}, bearer(token))).exit, null)
    assertRefused((await run({}, bearer(token.slice(0, -4)))).exit, 'Invalid signature')
    assertRefused((await run({}, bearer(`${token.split('.').slice(0, 2).join('.')}.`))).exit, 'Invalid signature')
  })
}

test('refuses a signature by another key', async () => {
  assertRefused((await run({}, bearer(raw({ alg: 'HS256' }, { iss: 'alice' }, 'no')))).exit, 'Invalid signature')
  const token = await signed({ iss: 'RS256' }, otherRsa.privateKey, 'RS256')
  assertRefused((await run({}, bearer(token))).exit, 'Invalid signature')
})

test('takes the algorithm from the credential, so that a public key is no secret', async () => {
  const confused = raw({ alg: 'HS256' }, { iss: 'RS256' }, pem(rsa.publicKey))
  assertRefused((await run({}, bearer(confused))).exit, 'Invalid algorithm')
  const none = `${part({ alg: 'none' })}.${part({ iss: 'alice' })}.`
  assertRefused((await run({}, bearer(none))).exit, 'Bad token; invalid alg')
})

test('refuses a key of another curve, and a credential without a key', async () => {
  const claims = { iss: 'wrong-curve' }
  const token = await signed(claims, KEY_PAIRS.ES384.privateKey, 'ES384')
  assertRefused((await run({}, bearer(token))).exit, 'Invalid key/secret')
  const keyless = await signed({ iss: 'keyless' }, p256.privateKey, 'ES256')
  assertRefused((await run({}, bearer(keyless))).exit, 'Invalid key/secret')
})

test('decodes secrets when told that they are base64', async () => {
  const config = { secret_is_base64: true }
  const token = await signed({ iss: 'base64' }, Buffer.from([0, 1, 255]))
  assert.equal((await run(config, bearer(token))).exit, null)
  assertRefused((await run({}, bearer(token))).exit, 'Invalid signature')
  // A PEM text is no base64.
  const rs = await signed({ iss: 'RS256' }, rsa.privateKey, 'RS256')
  assertRefused((await run(config, bearer(rs))).exit, 'Invalid key/secret')
})

const BAD_TOKENS = [
  ['one part', 'abc', 'invalid JSON'],
  ['two parts', `${part({ alg: 'HS256' })}.${part({})}`, 'invalid JSON'],
  ['no base64', '!!.!!.!!', 'invalid JSON'],
  ['a header that is no JSON', raw('nope', {}), 'invalid JSON'],
  ['a header that is no object', raw('[1]', {}), 'invalid JSON'],
  ['claims that are no JSON', raw({ alg: 'HS256' }, 'nope'), 'invalid JSON'],
  ['claims that are no object', raw({ alg: 'HS256' }, '"text"'), 'invalid claims'],
  ['no algorithm', raw({}, { iss: 'alice' }), 'invalid alg'],
  ['an algorithm that is no text', raw({ alg: 256 }, { iss: 'alice' }), 'invalid alg'],
  ['an algorithm that every object has', raw({ alg: 'constructor' }, { iss: 'alice' }), 'invalid alg'],
  ['four parts', `${raw({ alg: 'HS256' }, { iss: 'alice' })}.x`, 'invalid signature'],
] as const
for (const [name, token, problem] of BAD_TOKENS) {
  test(`refuses a token with ${name}`, async () => {
    assertRefused((await run({}, bearer(token))).exit, `Bad token; ${problem}`)
  })
}

test('names the credential by a claim, or else by the header', async () => {
  const config = { key_claim_name: 'kid' }
  const secret = Buffer.from('secret')
  assert.equal((await run(config, bearer(await signed({ kid: 'alice' })))).exit, null)
  assert.equal((await run(config, bearer(await signed({}, secret, 'HS256', { kid: 'alice' })))).exit, null)
  assert.equal((await run({}, bearer(await signed({ iss: 'schlüssel' })))).exit, null)
  assertRefused((await run(config, bearer(await signed({ iss: 'alice' })))).exit, "No mandatory 'kid' in claims")
  assertRefused((await run({}, bearer(raw({ alg: 'HS256' }, { iss: 7 })))).exit, "No mandatory 'iss' in claims")
  assertRefused((await run({}, bearer(await signed({ iss: '' })))).exit, "Invalid 'iss' in claims")
  assertRefused((await run({}, bearer(await signed({ iss: 'zzz' })))).exit, "No credentials found for given 'iss'")
  assertRefused(
    (await run({}, bearer(await signed({ iss: 'orphan' })))).exit,
    "Could not find consumer for 'iss=orphan'",
  )
})

test('verifies times only when told to', async () => {
  const config = { claims_to_verify: ['exp', 'nbf'] }
  const good = { iss: 'alice', exp: NOW + 1, nbf: NOW }
  assert.equal((await run(config, bearer(await signed(good)))).exit, null)
  const bad = await signed({ iss: 'alice', exp: NOW, nbf: NOW + 1 })
  assertRefused((await run(config, bearer(bad))).exit, { exp: 'token expired', nbf: 'token not valid yet' })
  assert.equal((await run({}, bearer(bad))).exit, null)
  const missing = { exp: 'must be a number', nbf: 'must be a number' }
  assertRefused((await run(config, bearer(await signed({ iss: 'alice' })))).exit, missing)
  const texts = raw({ alg: 'HS256' }, { iss: 'alice', exp: String(NOW + 1), nbf: null })
  assertRefused((await run(config, bearer(texts))).exit, missing)
})

test('limits how long a token may still be good', async () => {
  const config = { claims_to_verify: ['exp'], maximum_expiration: 300 }
  assert.equal((await run(config, bearer(await signed({ iss: 'alice', exp: NOW + 300 })))).exit, null)
  assertRefused((await run(config, bearer(await signed({ iss: 'alice', exp: NOW + 301 })))).exit, {
    exp: 'exceeds maximum allowed expiration',
  })
})

test('finds the token in arguments, cookies and headers, and only where it is told to look', async () => {
  const token = await signed({ iss: 'alice' })
  const config = { uri_param_names: ['t1', 't2'], cookie_names: ['tok'], header_names: ['x-token'] }
  const places: readonly FakeExchangeOptions[] = [
    { path: `/?a=1&t2=${token}` },
    { headers: { Cookie: `a=b; tok=${token}; c=d` } },
    { headers: { 'X-Token': `bearer   ${token}` } },
  ]
  for (const place of places) {
    assert.equal((await run(config, place)).exit, null)
    assertRefused((await run({}, place)).exit, 'Unauthorized', 'Bearer')
  }
  assert.equal((await run({}, { path: `/?jwt=${token}` })).exit, null)
})

test('one token in several places is one, several are too many', async () => {
  const token = await signed({ iss: 'alice' })
  const other = await signed({ iss: 'alice', n: 1 })
  const both = (argument: string) => ({ ...bearer(token), path: `/?jwt=${argument}` })
  assert.equal((await run({}, both(token))).exit, null)
  assert.equal((await run({}, { path: `/?jwt=${token}&jwt=&jwt=${token}` })).exit, null)
  assertRefused((await run({}, both(other))).exit, 'Multiple tokens provided')
  assertRefused((await run({}, { path: `/?jwt=${token}&jwt=${other}` })).exit, 'Multiple tokens provided')
})

test('refuses requests without a token', async () => {
  for (const Authorization of ['', 'Bearer', 'Bearer ', 'Basic abc', await signed({ iss: 'alice' })]) {
    assertRefused((await run({}, { headers: { Authorization } })).exit, 'Unauthorized', 'Bearer')
  }
  assertRefused((await run({}, { path: '/?jwt=' })).exit, 'Unauthorized', 'Bearer')
  assertRefused((await run({}, { path: '/?jwt' })).exit, 'Unrecognizable token')
})

test('names the realm', async () => {
  assertRefused((await run({ realm: 'r' }, {})).exit, 'Unauthorized', 'Bearer realm="r"')
  assertRefused(
    (await run({ realm: 'r' }, bearer('x'))).exit,
    'Bad token; invalid JSON',
    'Bearer realm="r" error="invalid_token"',
  )
})

test('with an anonymous consumer, whoever fails is that consumer, and who is known stays so', async () => {
  for (const request of [{}, bearer('x'), bearer(await signed({ iss: 'zzz' }))]) {
    const { exchange, exit } = await run({ anonymous: NOBODY.id }, request)
    assert.equal(exit, null)
    assert.equal(exchange.consumer?.id, NOBODY.id)
  }
  const known = await run({ anonymous: NOBODY.id }, { consumer: ALICE, credential: { id: 'other' } })
  assert.equal(known.exchange.consumer, ALICE)
})

test('lets OPTIONS pass without a token only when told to', async () => {
  assertRefused((await run({}, { method: 'OPTIONS' })).exit, 'Unauthorized', 'Bearer')
  assert.equal((await run({ run_on_preflight: false }, { method: 'OPTIONS' })).exit, null)
})

test('answers 503, never 401, when the store can not be asked', async () => {
  const { exit } = await run({}, bearer(await signed({ iss: 'alice' })), 'unavailable')
  assert.equal(exit?.status, 503)
})

test('a maximum of expiration needs the claim that it is about', () => {
  assert.throws(() => prepare(jwt, { maximum_expiration: 300, claims_to_verify: ['nbf'] }), { code: 'CONFIG_INVALID' })
})
