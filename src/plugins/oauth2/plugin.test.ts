import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { fakeExchange } from '#pdk/testing'
import { oauth2 } from './plugin.ts'
import { CALLBACK, hashOf, OTHER, Server, USER } from './testing.ts'

const VERIFIER = 'v'.repeat(43)
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')

test('a code becomes tokens that open the service, once', async () => {
  const server = new Server()
  const { status, redirect_uri, headers } = await server.authorize({ scope: 'email', state: 'ä&b' })
  assert.equal(status, 200)
  assert.equal(headers['Cache-Control'], 'no-store')
  const target = new URL(redirect_uri!)
  assert.equal(target.origin + target.pathname, 'https://app.test/cb')
  assert.equal(target.searchParams.get('own'), '1')
  assert.equal(target.searchParams.get('state'), 'ä&b')
  const code = target.searchParams.get('code')!
  const exchanges = await Promise.all([1, 2, 3].map(() => server.token({ grant_type: 'authorization_code', code })))
  const [issued, ...others] = exchanges.toSorted((one, other) => one.status - other.status)
  assert.equal(issued!.status, 200)
  assert.equal(issued!.expires_in, 7200)
  for (const other of others) assert.equal(other.error_description, 'Invalid code')
  const { status: passed, sent, exchange } = await server.get(issued!.access_token!)
  assert.equal(passed, 200)
  assert.equal(exchange.consumer?.username, 'alice')
  assert.equal(sent['x-consumer-username'], 'alice')
  assert.equal(sent['x-credential-identifier'], 'app')
  assert.equal(sent['x-authenticated-scope'], 'email')
  assert.equal(sent['x-authenticated-userid'], 'ann')
})

test('a code ends after five minutes', async () => {
  const server = new Server()
  const code = await server.code()
  server.clock.advance(300_000)
  assert.equal((await server.token({ grant_type: 'authorization_code', code })).error_description, 'Invalid code')
})

test('a code is of no use to another client, service or plugin, and stays good for its own', async () => {
  const server = new Server()
  const code = await server.code()
  const exchange = { grant_type: 'authorization_code', code }
  const tries = [
    await server.token({ ...exchange, client_id: 'rival' }),
    await server.token(exchange, { service: OTHER }),
    await server.token(exchange, {}, server.other({}, '00000000-0000-4000-8000-0000000000ee')),
  ]
  for (const one of tries) assert.equal(one.error_description, 'Invalid code')
  assert.equal((await server.token(exchange)).status, 200)
})

test('a refresh token is exchanged once, and the access token before ends', async () => {
  const server = new Server()
  const first = await server.token({ grant_type: 'password', scope: 'email profile', ...USER })
  const refresh = { grant_type: 'refresh_token', refresh_token: first.refresh_token }
  for (const [wrong, description] of [
    [{ client_id: 'rival' }, 'Invalid client authentication'],
    [{ scope: 'admin' }, 'Scope mismatch'],
    [{ scope: ['email'] }, 'scope must be a string'],
  ] as const)
    assert.equal((await server.token({ ...refresh, ...wrong })).error_description, description)
  assert.equal((await server.token(refresh, { service: OTHER })).error_description, 'Invalid refresh_token')
  const answers = await Promise.all([1, 2, 3].map(() => server.token({ ...refresh, scope: 'email' })))
  assert.deepEqual(
    answers.map(({ status }) => status).toSorted((one, other) => one - other),
    [200, 400, 400],
  )
  const second = answers.find(({ status }) => status === 200)!
  assert.equal((await server.get(first.access_token!)).status, 401)
  assert.equal((await server.get(second.access_token!)).sent['x-authenticated-scope'], 'email')
  server.clock.advance(7_200_000)
  assert.equal((await server.get(second.access_token!)).status, 401)
  assert.equal((await server.token({ ...refresh, refresh_token: second.refresh_token })).status, 200)
  server.clock.advance(1_209_600_000)
  assert.equal((await server.token({ ...refresh, refresh_token: second.refresh_token })).status, 400)
})

test('with reuse_refresh_token it stays, and only the access token is another one', async () => {
  const server = new Server({ reuse_refresh_token: true })
  const first = await server.token({ grant_type: 'password', ...USER })
  const refresh = { grant_type: 'refresh_token', refresh_token: first.refresh_token }
  const second = await server.token(refresh)
  assert.equal(second.refresh_token, first.refresh_token)
  assert.equal((await server.get(first.access_token!)).status, 401)
  assert.equal((await server.get(second.access_token!)).status, 200)
  assert.equal((await server.token(refresh)).status, 200)
})

test('tokens that the operator wrote open the service until they are refreshed', async () => {
  for (const reuse_refresh_token of [false, true]) {
    const server = new Server({ reuse_refresh_token })
    assert.equal((await server.get('old')).status, 401)
    const { status, sent } = await server.get('taken-along')
    assert.equal(status, 200)
    assert.equal(sent['x-authenticated-userid'], 'ann')
    const refresh = { grant_type: 'refresh_token', refresh_token: 'refresh-along' }
    const issued = await server.token(refresh)
    assert.equal(issued.status, 200)
    assert.equal((await server.get('taken-along')).status, 401)
    assert.equal((await server.get(issued.access_token!)).status, 200)
    assert.equal((await server.token(refresh)).status, reuse_refresh_token ? 200 : 400)
  }
})

test('a token that never ends says no end and brings no refresh token', async () => {
  const server = new Server({ token_expiration: 0 })
  const issued = await server.token({ grant_type: 'password', ...USER })
  assert.equal(issued.expires_in, undefined)
  assert.equal(issued.refresh_token, undefined)
  server.clock.advance(365 * 86_400_000)
  assert.equal((await server.get(issued.access_token!)).status, 200)
})

test('implicit tokens travel in the fragment, without a refresh token', async () => {
  const server = new Server()
  const { redirect_uri } = await server.authorize({ response_type: 'token', state: 's' })
  const [target, fragment] = redirect_uri!.split('#')
  assert.equal(target, CALLBACK)
  const values = new URLSearchParams(fragment)
  assert.deepEqual([...values.keys()].toSorted(), ['access_token', 'expires_in', 'state', 'token_type'])
  assert.equal((await server.get(values.get('access_token')!)).status, 200)
})

test('client credentials bring an access token only, for a user only with the provision key', async () => {
  const server = new Server()
  const issued = await server.token({ grant_type: 'client_credentials', state: 's' })
  assert.equal(issued.status, 200)
  assert.equal(issued.refresh_token, undefined)
  assert.equal(issued.state, 's')
  const claimed = await server.token({ grant_type: 'client_credentials', authenticated_userid: 'ann' })
  assert.equal(claimed.error, 'invalid_provision_key')
  const told = await server.token({ grant_type: 'client_credentials', ...USER })
  assert.equal((await server.get(told.access_token!)).sent['x-authenticated-userid'], 'ann')
})

test('a client may prove itself by a hashed secret, in a header, in a form, without addresses', async () => {
  const server = new Server()
  const grant = { grant_type: 'client_credentials' }
  assert.equal((await server.token({ ...grant, client_id: 'hashed' })).status, 200)
  assert.equal((await server.token({ ...grant, client_id: 'bare' })).status, 200)
  const basic = { Authorization: `Basic ${Buffer.from('app:secret').toString('base64')}` }
  assert.equal((await server.post('token', grant, { headers: basic })).status, 200)
  const form = await server.post('token', grant, {
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=client_credentials&client_id=app&client_secret=secret',
  })
  assert.equal(form.status, 200)
})

test('a public client needs PKCE and may not send a secret', async () => {
  const server = new Server()
  const spa = { client_id: 'spa', client_secret: undefined }
  assert.match((await server.authorize(spa)).redirect_uri!, /code_challenge%20is%20required%20for%20public%20clients/)
  const code = await server.code({ ...spa, code_challenge: CHALLENGE, code_challenge_method: 'S256' })
  const exchange = { ...spa, grant_type: 'authorization_code', code }
  for (const [more, description] of [
    [{ client_secret: 'x', code_verifier: VERIFIER }, 'client_secret is disallowed for public clients'],
    [{}, 'code_verifier is required for PKCE authorization requests'],
    [{ code_verifier: 7 }, 'code_verifier is not a string'],
    [{ code_verifier: 'short' }, 'code_verifier must be between 43 and 128 characters'],
    [{ code_verifier: 'w'.repeat(43) }, 'Invalid code'],
    [{ code_verifier: CHALLENGE }, 'Invalid code'],
  ] as const)
    assert.equal((await server.token({ ...exchange, ...more })).error_description, description)
  assert.equal((await server.token({ ...exchange, code_verifier: VERIFIER })).status, 200)
})

test('the modes of PKCE ask for it of all, of public clients, or of none', async () => {
  const strict = new Server({ pkce: 'strict' })
  assert.match((await strict.authorize()).redirect_uri!, /required%20for%20confidential%20clients/)
  const lax = new Server()
  assert.match((await lax.authorize({ code_challenge: CHALLENGE })).redirect_uri!, /must%20be%20S256/)
  assert.match((await lax.authorize({ code_challenge_method: 'S256' })).redirect_uri!, /when%20code_method%20is/)
  const plain = await lax.authorize({ code_challenge: VERIFIER, code_challenge_method: 'plain' })
  assert.match(plain.redirect_uri!, /must%20be%20S256/)
  assert.ok(await new Server({ pkce: 'none' }).code({ client_id: 'spa' }))
})

test('a code that came without a challenge is not exchanged where one is asked for meanwhile', async () => {
  const server = new Server({ pkce: 'none' })
  const code = await server.code()
  const strict = server.other({ pkce: 'strict' })
  const answer = await server.token({ grant_type: 'authorization_code', code }, {}, strict)
  assert.equal(answer.error_description, 'Invalid code')
})

const REFUSED_AUTHORIZATIONS = [
  ['another provision key', { provision_key: 'no' }, 'invalid_provision_key', null],
  ['no provision key', { provision_key: undefined }, 'invalid_provision_key', null],
  ['a provision key that is no text', { provision_key: ['provision'] }, 'invalid_provision_key', null],
  ['no user', { authenticated_userid: ' ' }, 'invalid_authenticated_userid', null],
  ['an unknown client', { client_id: 'who' }, 'invalid_client', null],
  ['a client without addresses', { client_id: 'bare' }, 'invalid_client', null],
  ['another response type', { response_type: 'id_token' }, 'unsupported_response_type', CALLBACK],
  ['an unknown scope', { scope: 'email root' }, 'invalid_scope', CALLBACK],
  ['an address that only begins right', { redirect_uri: `${CALLBACK}/../x` }, 'invalid_request', CALLBACK],
  ['an address of somebody else', { redirect_uri: 'https://evil.test/' }, 'invalid_request', CALLBACK],
  ['an address with a user part', { redirect_uri: 'https://app.test@evil.test/cb' }, 'invalid_request', CALLBACK],
  ['several addresses', { redirect_uri: [CALLBACK, 'https://evil.test/'] }, 'invalid_request', CALLBACK],
] as const
for (const [name, body, error, target] of REFUSED_AUTHORIZATIONS) {
  test(`authorizes nothing for ${name}`, async () => {
    const server = new Server()
    const answer = await server.authorize(body)
    assert.equal(answer.status, 400)
    assert.deepEqual(server.runtime.live, {})
    if (target === null) return assert.equal(answer.error, error)
    assert.ok(answer.redirect_uri!.startsWith('https://app.test/cb?own=1&'))
    assert.equal(new URL(answer.redirect_uri!).searchParams.get('error'), error)
  })
}

const REFUSED_TOKENS = [
  ['an unknown grant', { grant_type: 'x' }, 'unsupported_grant_type'],
  ['no grant', {}, 'unsupported_grant_type'],
  ['a wrong secret', { grant_type: 'client_credentials', client_secret: 'Secret' }, 'invalid_client'],
  ['no secret', { grant_type: 'client_credentials', client_secret: undefined }, 'invalid_client'],
  ['a secret that is no text', { grant_type: 'client_credentials', client_secret: ['secret'] }, 'invalid_client'],
  [
    'the hash as secret',
    { grant_type: 'client_credentials', client_id: 'hashed', client_secret: hashOf('secret') },
    'invalid_client',
  ],
  ['a hash beyond all bounds', { grant_type: 'client_credentials', client_id: 'odd' }, 'invalid_client'],
  ['no client', { grant_type: 'client_credentials', client_id: undefined }, 'invalid_client'],
  ['no code', { grant_type: 'authorization_code' }, 'invalid_request'],
  ['an invented code', { grant_type: 'authorization_code', code: 'c' }, 'invalid_request'],
  ['a code without end', { grant_type: 'authorization_code', code: 'c'.repeat(100_000) }, 'invalid_request'],
  [
    'an access token as refresh token',
    { grant_type: 'refresh_token', refresh_token: 'taken-along' },
    'invalid_request',
  ],
  [
    'a password without the provision key',
    { grant_type: 'password', authenticated_userid: 'ann' },
    'invalid_provision_key',
  ],
  ['a password without a user', { grant_type: 'password', provision_key: 'provision' }, 'invalid_authenticated_userid'],
  ['an unknown scope', { grant_type: 'client_credentials', scope: 'root' }, 'invalid_scope'],
  [
    'an unregistered address',
    { grant_type: 'password', ...USER, redirect_uri: 'https://evil.test' },
    'invalid_request',
  ],
] as const
for (const [name, body, error] of REFUSED_TOKENS) {
  test(`gives no token for ${name}`, async () => {
    const server = new Server()
    const answer = await server.token(body)
    assert.deepEqual([answer.status, answer.error], [400, error])
    assert.deepEqual(server.runtime.live, {})
  })
}

test('gives no token by a grant that is off', async () => {
  const server = new Server({ enable_client_credentials: false, enable_password_grant: false })
  for (const grant_type of ['client_credentials', 'password'])
    assert.equal((await server.token({ grant_type, ...USER })).error, 'unsupported_grant_type')
})

test('asks for a scope where one is mandatory', async () => {
  const server = new Server({ mandatory_scope: true })
  assert.equal((await server.token({ grant_type: 'client_credentials' })).error_description, 'You must specify a scope')
})

test('a wrong secret in the header is 401 with a challenge', async () => {
  const headers = { Authorization: `Basic ${Buffer.from('app:no').toString('base64')}` }
  const answer = await new Server().post('token', { grant_type: 'client_credentials' }, { headers })
  assert.deepEqual([answer.status, answer.error], [401, 'invalid_client'])
  assert.equal(answer.headers['WWW-Authenticate'], 'Basic realm="OAuth2.0"')
})

test('the endpoints speak POST over TLS only', async () => {
  const server = new Server({ accept_http_if_already_terminated: true })
  for (const [endpoint, word] of [
    ['token', 'token'],
    ['authorize', 'authorization'],
  ] as const) {
    const { exit } = await server.run({ path: `/oauth2/${endpoint}/` })
    assert.equal(exit?.status, 405)
    assert.match(exit?.body as string, new RegExp(`GET is invalid for the ${word} endpoint`))
    const answer = await server.post(endpoint, {}, { scheme: 'http', headers: { 'X-Forwarded-Proto': 'https' } })
    assert.deepEqual([answer.status, answer.error], [400, 'access_denied'])
  }
})

test('a trusted proxy in front may have ended TLS, where the configuration says so', async () => {
  for (const [accepts, status] of [
    [true, 401],
    [false, 400],
  ] as const) {
    const server = new Server({ accept_http_if_already_terminated: accepts })
    const exchange = fakeExchange({
      method: 'POST',
      path: '/oauth2/token',
      headers: { 'X-Forwarded-Proto': 'https', Authorization: 'Basic eDp5' },
    })
    exchange.request.isTrusted = true
    assert.equal(((await oauth2.access!(exchange, server.state)) as Exit).status, status)
    exchange.request.headers.append('X-Forwarded-Proto', 'https')
    assert.equal(((await oauth2.access!(exchange, server.state)) as Exit).status, 400)
  }
})
