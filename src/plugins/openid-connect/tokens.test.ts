import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { exportSPKI, importJWK, SignJWT } from 'jose'
import { FakeEntities } from '#pdk/testing'
import { ANN, Client, FakeProvider, NOBODY, NOW, NOW_S, SECRET, signingKey } from './testing.ts'

let provider: FakeProvider
let other: FakeProvider
const clients: Client[] = []
function client(config: object = {}, entities?: FakeEntities): Client {
  const made = new Client(provider, config, entities)
  clients.push(made)
  return made
}
before(async () => {
  provider = await FakeProvider.start()
  other = await FakeProvider.start()
})
beforeEach(() => {
  provider.answers = {}
  provider.metadata = {}
  provider.extraJwks = []
  provider.asked.length = 0
})
after(async () => {
  for (const one of clients) one.close()
  await provider.stop()
  await other.stop()
})

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

test('a token that the provider signed lets in, and tells the upstream who it is', async () => {
  const go = client({
    consumer_claim: ['sub'],
    authenticated_groups_claim: ['realm', 'groups'],
    upstream_headers_claims: ['email', 'roles', 'nothing', 'address'],
    upstream_headers_names: ['X-Email', 'X-Roles', 'X-Nothing', 'X-Address'],
  })
  const token = await provider.sign({
    email: 'ann@example.com\r\nX-Admin: 1',
    roles: ['a', 'b'],
    realm: { groups: ['staff', 'ops'] },
    address: { city: 'Köln' },
  })
  const { status, sent, exchange } = await go.bearer(token, {
    headers: { 'X-Nothing': 'forged', 'X-Email': 'forged', 'X-Authenticated-Groups': 'forged' },
  })
  assert.equal(status, 200)
  assert.equal(exchange.consumer?.username, 'ann')
  assert.equal(exchange.credential?.id, 'ann')
  assert.deepEqual(exchange.shared.get('authenticated_groups'), ['staff', 'ops'])
  assert.equal(sent['x-authenticated-groups'], 'staff, ops')
  assert.equal(sent['x-email'], 'ann@example.com%0D%0AX-Admin: 1')
  assert.equal(sent['x-roles'], 'a, b')
  assert.equal(sent['x-address'], '{"city":"Köln"}')
  assert.equal(sent['x-nothing'], undefined)
  assert.equal(sent['authorization'], `Bearer ${token}`)
})

test('a token is verified once, and again when its time or its key is over', async () => {
  const go = client()
  const token = await provider.sign({ exp: NOW_S + 100 })
  for (let i = 0; i < 3; i++) assert.equal((await go.bearer(token)).status, 200)
  assert.equal(provider.askedFor('/jwks'), 1)
  assert.equal(provider.askedFor('/.well-known/openid-configuration'), 1)
  assert.equal((await go.bearer(token, { now: NOW + 101_000 })).status, 401)
  assert.deepEqual(go.metrics.calls, ['openid-connect discovery answered', 'openid-connect keys answered'])
})

test('a new key is fetched when a token names it, once in an interval and once for all who wait', async () => {
  const go = client({ rediscovery_lifetime: 30 })
  const first = provider.keys[0]!
  assert.equal((await go.bearer(await provider.sign())).status, 200)
  const second = await signingKey('second')
  const rotated = await provider.sign({}, {}, second)
  const at = (seconds: number) => ({ now: NOW + seconds * 1000 })
  assert.equal((await go.bearer(rotated, at(10))).status, 401, 'within the interval nothing is fetched')
  provider.keys = [second]
  const many = await Promise.all(Array.from({ length: 20 }, () => go.bearer(rotated, at(31))))
  assert.deepEqual(new Set(many.map(({ status }) => status)), new Set([200]))
  assert.equal(provider.askedFor('/jwks'), 2)
  assert.equal((await go.bearer(await provider.sign({}, {}, first), at(32))).status, 401, 'the key is gone')
  for (let i = 0; i < 50; i++) {
    const forged = await provider.sign({}, { kid: `random-${i}` }, first)
    assert.equal((await go.bearer(forged, at(40))).status, 401)
  }
  assert.equal(provider.askedFor('/jwks'), 2, 'tokens with made up keys make no traffic')
  provider.keys = [first]
})

test('a key that was withdrawn counts no longer when the keys have been fetched again', async () => {
  const go = client()
  const [first] = provider.keys
  const token = await provider.sign({ exp: NOW_S + 3600 })
  assert.equal((await go.bearer(token)).status, 200)
  provider.keys = [await signingKey('second')]
  assert.equal((await go.bearer(token, { now: NOW + 599_000 })).status, 200)
  // Ten minutes old: this one fetches them, and does not wait for that.
  assert.equal((await go.bearer(token, { now: NOW + 601_000 })).status, 200)
  while (provider.askedFor('/jwks') < 2) await delay(5)
  await until(async () => (await go.bearer(token, { now: NOW + 602_000 })).status === 401)
  provider.keys = [first!]
})

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await isTrue()) return
    await delay(10)
  }
  assert.fail('it did not come true')
}

test('what a forger tries is refused', async (t) => {
  const key = provider.keys[0]!
  const good = { iss: provider.issuer, sub: 'ann', exp: NOW_S + 600 }
  const spki = await exportSPKI((await importJWK(key.jwk, 'RS256')) as never)
  const hmac = (secret: string | Buffer, header: object = {}) => {
    const text = `${part({ alg: 'HS256', kid: key.kid, ...header })}.${part(good)}`
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }
  const real = await provider.sign()
  const [head = '', body = '', signature = ''] = real.split('.')
  const foreign = await signingKey('foreign')
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const oct = randomBytes(32)
  provider.extraJwks = [
    { kty: 'oct', kid: 'oct', alg: 'HS256', k: oct.toString('base64url') },
    { ...weak.publicKey.export({ format: 'jwk' }), kid: 'weak', alg: 'RS256', use: 'sig' },
    { ...(await signingKey('enc')).jwk, use: 'enc' },
    'no key',
    null,
  ]
  const refused: Record<string, string> = {
    'alg none': `${part({ alg: 'none' })}.${part(good)}.`,
    'alg None': `${part({ alg: 'None' })}.${part(good)}.${signature}`,
    'alg none with the real signature': `${part({ alg: 'none', kid: key.kid })}.${body}.${signature}`,
    'no alg': `${part({ kid: key.kid })}.${body}.${signature}`,
    'alg in capitals': `${part({ alg: 'rs256', kid: key.kid })}.${body}.${signature}`,
    'HMAC with the public key as its secret': hmac(spki),
    'HMAC with the JWK as its secret': hmac(JSON.stringify(key.jwk)),
    'HMAC with an empty secret': hmac(''),
    'HMAC with a secret from the set of keys': hmac(oct, { kid: 'oct' }),
    "HMAC with the client's secret where it is not enabled": hmac(SECRET),
    'another alg than the key has': `${part({ alg: 'PS256', kid: key.kid })}.${body}.${signature}`,
    'ES256 with an RSA key': `${part({ alg: 'ES256', kid: key.kid })}.${body}.${signature}`,
    'no signature': `${head}.${body}.`,
    'a shortened signature': real.slice(0, -4),
    'another body': `${head}.${part({ ...good, sub: 'admin' })}.${signature}`,
    'another key of the same kid': await provider.sign({}, { kid: key.kid }, foreign),
    'a key in the header': await provider.sign({}, { jwk: foreign.jwk }, foreign),
    jku: await provider.sign({}, { jku: `${other.issuer}/jwks` }, foreign),
    x5u: await provider.sign({}, { x5u: `${other.issuer}/cert` }, foreign),
    'kid as a path': await provider.sign({}, { kid: '../../../../dev/null' }, foreign),
    'kid as a query': await provider.sign({}, { kid: "' UNION SELECT 'x" }, foreign),
    'kid that is no text': `${part({ alg: 'RS256', kid: { $ne: '' } })}.${body}.${signature}`,
    'kid __proto__': await provider.sign({}, { kid: '__proto__' }, foreign),
    'a weak key': await new SignJWT(good)
      .setProtectedHeader({ alg: 'PS256', kid: 'weak' })
      .sign(foreign.privateKey)
      .catch(() => 'a.b.c'),
    'crit that nobody knows': await provider
      .sign({}, { crit: ['exp'], exp: 1 })
      .catch(() => `${part({ alg: 'RS256', kid: key.kid, crit: ['x'], x: 1 })}.${body}.${signature}`),
    'another issuer': await provider.sign({ iss: other.issuer }),
    'an issuer with a slash more': await provider.sign({ iss: `${provider.issuer}/` }),
    'an issuer that begins the same': await provider.sign({ iss: `${provider.issuer}.evil.test` }),
    'no issuer': await provider.sign({ iss: undefined }),
    'an issuer in a list': await provider.sign({ iss: [provider.issuer] }),
    expired: await provider.sign({ exp: NOW_S - 1 }),
    'exp as text': await provider.sign({ exp: String(NOW_S + 600) }),
    'no exp': await provider.sign({ exp: undefined }),
    'not yet': await provider.sign({ nbf: NOW_S + 5 }),
    'a logout token': await provider.sign({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }),
    'five parts': `${real}.x.y`,
    'two parts': `${head}.${body}`,
    'no JSON': `${Buffer.from('{').toString('base64url')}.${body}.${signature}`,
    'a list as claims': `${head}.${part([])}.${signature}`,
    oversized: await provider.sign({ pad: 'x'.repeat(20_000) }),
  }
  for (const [name, token] of Object.entries(refused)) {
    await t.test(name, async () => {
      const go = client({ auth_methods: ['bearer'] })
      const { status, exit, exchange } = await go.bearer(token)
      assert.equal(status, 401)
      assert.deepEqual(exit?.headers[0], ['WWW-Authenticate', 'Bearer error="invalid_token"'])
      assert.equal(exchange.credential, null)
    })
  }
  assert.equal(other.asked.length, 0, 'no address of a token was asked')
  assert.equal((await client().bearer(real)).status, 200)
})

test('a token is taken from one place', async () => {
  const go = client({
    bearer_token_param_type: ['header', 'query', 'cookie'],
    bearer_token_cookie_name: 'at',
    hide_credentials: true,
    upstream_access_token_header: null,
  })
  const token = await provider.sign()
  assert.equal((await go.ask({ path: `/?a=1&access_token=${token}&b=2` })).exchange.request.query, 'a=1&b=2')
  assert.equal((await go.ask({}, { at: token })).status, 200)
  assert.equal((await go.bearer(token)).sent['authorization'], undefined)
  for (const reply of [
    await go.bearer(token, { path: `/?access_token=${token}` }),
    await go.ask({ path: `/?access_token=${token}&access_token=${token}` }),
    await go.ask({
      headers: [
        ['Authorization', `Bearer ${token}`],
        ['Authorization', `Bearer ${token}`],
      ],
    }),
    await go.bearer(`${token} x`),
    await go.bearer(''),
  ])
    assert.equal(reply.status, 401)
})

test("tokens of each issuer are held against that issuer's keys only", async () => {
  const go = client({ issuers_allowed: [provider.issuer, other.issuer] })
  assert.equal((await go.bearer(await provider.sign())).status, 200)
  assert.equal((await go.bearer(await other.sign())).status, 200)
  const crossed = await provider.sign({ iss: other.issuer })
  assert.equal((await go.bearer(crossed)).status, 401)
  const only = client({ issuers_allowed: [other.issuer] })
  assert.equal((await only.bearer(await provider.sign())).status, 401)
})

test('what only this plugin may say is taken off also where another has let the request in', async () => {
  const go = client({
    anonymous: NOBODY.id,
    upstream_headers_claims: ['email'],
    upstream_headers_names: ['X-Email'],
    upstream_id_token_header: 'X-Id-Token',
    authenticated_groups_claim: ['groups'],
  })
  const headers = { 'X-Email': 'forged', 'X-Id-Token': 'forged', 'X-Authenticated-Groups': 'admins', apikey: 'k' }
  const { status, sent, exchange } = await go.ask({ headers, consumer: ANN, credential: { id: 'key' } })
  assert.deepEqual([status, exchange.credential?.id], [200, 'key'])
  assert.deepEqual(
    [sent['x-email'], sent['x-id-token'], sent['x-authenticated-groups']],
    [undefined, undefined, undefined],
  )
})

test('HMAC counts where it is enabled, with the secret of the client', async () => {
  const go = client({ enable_hs_signatures: true, client_id: ['app'], client_secret: [SECRET] })
  const token = (secret: string) =>
    new SignJWT({ iss: provider.issuer, sub: 'ann', exp: NOW_S + 60 })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from(secret))
  assert.equal((await go.bearer(await token(SECRET))).status, 200)
  assert.equal((await go.bearer(await token(`${SECRET}x`))).status, 401)
  assert.equal((await go.bearer(await provider.sign())).status, 200)
})

test('claims decide who may in: alternatives, and all words of one', async () => {
  const go = client({
    audience_required: ['orders', 'other'],
    scopes_required: ['read write', 'admin'],
    groups_required: ['staff'],
    roles_required: ['boss'],
    roles_claim: ['realm_access', 'roles'],
  })
  const right = { aud: ['x', 'orders'], scope: 'write read', groups: ['staff'], realm_access: { roles: ['boss'] } }
  const cases: [object, number][] = [
    [right, 200],
    [{ ...right, scope: ['admin'] }, 200],
    [{ ...right, scope: 'read' }, 403],
    [{ ...right, aud: 'order' }, 403],
    [{ ...right, aud: 'other' }, 200],
    [{ ...right, groups: 'staffing' }, 403],
    [{ ...right, groups: { staff: true } }, 403],
    [{ ...right, realm_access: undefined, roles: ['boss'] }, 403],
  ]
  for (const [claims, status] of cases) {
    const reply = await go.bearer(await provider.sign(claims))
    assert.equal(reply.status, status, JSON.stringify(claims))
    if (status === 403) assert.equal(reply.exchange.credential, null)
  }
})

test('a claim names the consumer, by the fields in their order', async () => {
  const claims = { sub: 'x', id: ANN.id, name: 'ann', custom: 'ann-custom', number: 7 }
  for (const [consumer_claim, consumer_by, status] of [
    [['name'], ['username'], 200],
    [['custom'], ['username', 'custom_id'], 200],
    [['custom'], ['username'], 403],
    [['id'], ['id'], 200],
    [['name'], ['id'], 403],
    [['number'], ['username'], 403],
    [['missing'], ['username'], 403],
  ] as const) {
    for (const mode of ['sync', 'async'] as const) {
      const go = client({ consumer_claim, consumer_by }, new FakeEntities({ consumers: [ANN] }, mode))
      assert.equal((await go.bearer(await provider.sign(claims))).status, status, consumer_claim[0])
    }
  }
  const optional = await client({ consumer_claim: ['missing'], consumer_optional: true }).bearer(await provider.sign())
  assert.deepEqual([optional.status, optional.exchange.consumer], [200, null])
  const down = client({ consumer_claim: ['sub'] }, new FakeEntities({}, 'unavailable'))
  assert.equal((await down.bearer(await provider.sign())).status, 503)
})

test('tokens that say nothing are asked for, once for all who wait, and remembered until they end', async () => {
  const go = client({ client_id: ['app'], client_secret: [SECRET], upstream_introspection_header: 'X-Introspection' })
  provider.answers['/introspect'] = ({ form }) => ({
    body: form.get('token') === 'right' ? { active: true, sub: 'ann', exp: NOW_S + 100 } : { active: false },
  })
  const many = await Promise.all(Array.from({ length: 20 }, () => go.bearer('right')))
  assert.deepEqual(new Set(many.map(({ status }) => status)), new Set([200]))
  assert.equal(
    (await go.bearer('right')).sent['x-introspection'],
    Buffer.from('{"active":true,"sub":"ann","exp":1893456100}').toString('base64'),
  )
  assert.equal(provider.askedFor('/introspect'), 1)
  assert.equal((await go.bearer('wrong')).status, 401)
  assert.equal((await go.bearer('right', { now: NOW + 101_000 })).status, 401)
  const { headers, form } = provider.asked.find(({ path }) => path === '/introspect')!
  assert.equal(headers.authorization, `Basic ${Buffer.from(`app:${SECRET}`).toString('base64')}`)
  assert.deepEqual([form.get('token'), form.get('token_type_hint')], ['right', 'access_token'])
})

test('nobody passes by an answer that is none', async (t) => {
  const answers: Record<string, object> = {
    'active as text': { body: { active: 'true' } },
    'no active': { body: { sub: 'ann' } },
    'a list': { body: [] },
    'no JSON': { body: 'active' },
    'an error about the client': { status: 401, body: { error: 'invalid_client' } },
    'a failure': { status: 500, body: { active: true } },
    'a redirect': { status: 302, headers: { Location: '/elsewhere' }, body: { active: true } },
    'another success': { status: 201, body: { active: true } },
    'too long': { body: { active: true, pad: 'x'.repeat(1_100_000) } },
  }
  for (const [name, answer] of Object.entries(answers)) {
    await t.test(name, async () => {
      provider.answers['/introspect'] = () => answer
      const go = client({ client_id: ['app'], anonymous: NOBODY.id })
      const reply = await go.bearer('opaque')
      assert.deepEqual([reply.status, reply.exchange.consumer], [503, null])
    })
  }
  assert.equal(provider.askedFor('/elsewhere'), 0)
})

test('userinfo stands in where tokens are not asked for', async () => {
  const go = client({ auth_methods: ['userinfo'], upstream_user_info_header: 'X-User' })
  provider.answers['/userinfo'] = ({ headers }) =>
    headers.authorization === 'Bearer right'
      ? { body: { sub: 'ann' } }
      : { status: 401, body: { error: 'invalid_token' } }
  const { status, sent } = await go.bearer('right')
  assert.deepEqual([status, sent['x-user']], [200, Buffer.from('{"sub":"ann"}').toString('base64')])
  assert.equal((await go.bearer('wrong')).status, 401)
})

test('a client with its secret gets a token, and goes on with that', async () => {
  const go = client({
    auth_methods: ['client_credentials', 'bearer'],
    scopes: ['openid', 'read'],
    scopes_required: ['read'],
  })
  const token = await provider.sign({ scope: 'read' })
  provider.answers['/token'] = ({ headers, form }) =>
    headers.authorization === `Basic ${Buffer.from('batch:pass%3Aword').toString('base64')}` &&
    form.get('grant_type') === 'client_credentials' &&
    form.get('scope') === 'read'
      ? { body: { access_token: token, token_type: 'Bearer', expires_in: 60 } }
      : { status: 401, body: { error: 'invalid_client' } }
  const basic = (text: string) => ({ headers: { Authorization: `Basic ${Buffer.from(text).toString('base64')}` } })
  for (let i = 0; i < 3; i++) {
    const { status, sent } = await go.ask(basic('batch:pass:word'))
    assert.deepEqual([status, sent['authorization']], [200, `Bearer ${token}`])
  }
  assert.equal(provider.askedFor('/token'), 1)
  assert.equal((await go.ask(basic('batch:wrong'))).status, 401)
  assert.equal((await go.ask(basic('nothing'))).status, 401)
})

test('nobody passes while the provider is down, also not as the anonymous consumer; who is known goes on', async () => {
  const gone = await FakeProvider.start()
  const token = await gone.sign()
  const known = new Client(gone)
  const fresh = new Client(gone, { anonymous: NOBODY.id, client_id: ['app'], client_secret: [SECRET] })
  clients.push(known, fresh)
  assert.equal((await known.bearer(token)).status, 200)
  await gone.stop()
  assert.equal((await known.bearer(token)).status, 200)
  for (const shown of [token, 'opaque']) {
    const { status, exchange } = await fresh.bearer(shown)
    assert.deepEqual([status, exchange.consumer], [503, null])
  }
  assert.deepEqual(fresh.logged, ['the identity provider cannot be asked'])
  const browser = new Client(gone, { client_id: ['app'], client_secret: [SECRET] })
  clients.push(browser)
  assert.equal((await browser.ask()).status, 503)
  assert.equal((await fresh.ask()).exchange.consumer?.username, 'nobody', 'who shows nothing is nobody')
})

test('an ill-meaning or broken discovery document counts for nothing, and nothing it names is asked', async (t) => {
  const cases: Record<string, object> = {
    'another issuer': { issuer: other.issuer },
    'an issuer that begins the same': { issuer: `${provider.issuer}/x` },
    'no issuer': { issuer: undefined },
    'keys in a file': { jwks_uri: 'file:///etc/passwd' },
    'keys by another protocol': { jwks_uri: 'gopher://127.0.0.1/' },
    'keys with a password': { jwks_uri: `http://user:pass@127.0.0.1/` },
    'no keys': { jwks_uri: undefined },
    'keys as a list': { jwks_uri: [`${other.issuer}/jwks`] },
  }
  const token = await provider.sign()
  for (const [name, metadata] of Object.entries(cases)) {
    await t.test(name, async () => {
      provider.metadata = metadata as Record<string, unknown>
      assert.equal((await client().bearer(token)).status, 503)
    })
  }
  provider.metadata = {}
  const redirects = (path: string) => () => ({ status: 302, headers: { Location: `${other.issuer}${path}` } })
  await t.test('a redirect of the document', async () => {
    provider.answers = { '/.well-known/openid-configuration': redirects('/.well-known/openid-configuration') }
    assert.equal((await client().bearer(token)).status, 503)
  })
  await t.test('a redirect of the keys', async () => {
    provider.answers = { '/jwks': redirects('/jwks') }
    assert.equal((await client().bearer(token)).status, 503)
  })
  await t.test('keys that never end', async () => {
    provider.answers = { '/jwks': () => ({ body: { keys: [], pad: 'x'.repeat(2_000_000) } }) }
    assert.equal((await client().bearer(token)).status, 503)
  })
  assert.equal(other.asked.length - other.askedFor('/jwks') - other.askedFor('/.well-known/openid-configuration'), 0)
})

test('an issuer with https takes no endpoints in the clear', async () => {
  const { parseMetadata } = await import('./metadata.ts')
  const document = { issuer: 'https://idp.test', jwks_uri: 'https://idp.test/jwks' }
  assert.ok(!('problem' in parseMetadata(document, 'https://idp.test/')))
  for (const [name, value] of [
    ['jwks_uri', 'http://169.254.169.254/latest/meta-data'],
    ['token_endpoint', 'http://localhost/token'],
    ['userinfo_endpoint', 'ftp://idp.test/'],
  ] as const) {
    const parsed = parseMetadata({ ...document, [name]: value }, 'https://idp.test')
    assert.ok('problem' in parsed && parsed.problem.includes(name), name)
  }
})

test('configurations that could not work are refused with the field named', () => {
  const cases: [object, RegExp][] = [
    [{ auth_methods: ['password'] }, /auth_methods/],
    [{ client_id: ['app'], scopes: ['profile'] }, /scopes: expected 'openid'/],
    [{ client_id: ['app'], client_auth: ['private_key_jwt'] }, /client_jwk: required/],
    [{ client_id: ['app'], client_auth: ['client_secret_basic'] }, /client_secret: required/],
    [{ client_id: ['a', 'b'] }, /client_id/],
    [{ enable_hs_signatures: true, client_secret: ['short'] }, /client_secret: expected at least 32/],
    [{ upstream_headers_claims: ['a'] }, /upstream_headers_names: expected as many/],
    [{ issuer: 'https://idp.test', extra_jwks_uris: ['http://idp.test/jwks'] }, /extra_jwks_uris: expected https/],
    [{ backchannel_logout_path: '/b' }, /client_id: required/],
  ]
  for (const [config, message] of cases) assert.throws(() => client(config), message)
})
