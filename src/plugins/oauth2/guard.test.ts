import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sentBody } from '#pdk/testing'
import { NOBODY, OTHER, ROWS, Server, type Answer } from './testing.ts'

test('a token opens the service that it is for, or all with global_credentials', async () => {
  const server = new Server()
  const { access_token: own } = await server.token({ grant_type: 'client_credentials' })
  assert.equal((await server.get(own!)).status, 200)
  assert.equal((await server.get(own!, { service: OTHER })).status, 401)
  const global = server.other({ global_credentials: true })
  const { access_token: wide } = await server.token({ grant_type: 'client_credentials' }, {}, global)
  assert.equal((await server.get(wide!, { service: OTHER }, global)).status, 200)
  assert.equal((await server.get(own!, { service: OTHER }, global)).status, 200)
  assert.match((await server.get(wide!)).exit?.body as string, /The access token is global/)
})

test('a token ends with its client and with the consumer', async () => {
  const rows = { ...ROWS, oauth2_credentials: [...ROWS.oauth2_credentials] }
  const server = new Server({}, rows)
  const { access_token: token } = await server.token({ grant_type: 'client_credentials' })
  rows.oauth2_credentials.shift()
  assert.equal((await server.get(token!)).status, 401)
  const { access_token: orphan } = await server.token({ grant_type: 'client_credentials', client_id: 'orphan' })
  const { status, sent } = await server.get(orphan!)
  assert.equal(status, 401)
  assert.equal(sent['x-authenticated-scope'], undefined)
})

test('finds a token in query and body, and hides it where it was', async () => {
  const server = new Server({ hide_credentials: true })
  const { access_token: token } = await server.token({ grant_type: 'client_credentials' })
  const query = await server.run({ path: `/?a=1&access_token=${token}` })
  assert.deepEqual([query.exit, query.exchange.request.query], [null, 'a=1'])
  const type = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const body = await server.run({ method: 'POST', headers: type, body: `access_token=${token}&b=2` })
  assert.deepEqual([body.exit, sentBody(body.exchange)], [null, 'b=2'])
  const header = await server.get(token!)
  assert.deepEqual([header.status, header.sent['authorization']], [200, undefined])
  const named = server.other({ auth_header_name: 'x-token' })
  assert.equal((await server.get('', { headers: { 'X-Token': `token ${token}` } }, named)).status, 200)
})

const KEPT_OUT = [
  ['no token', {}, 'The access token is missing', 'Bearer realm="r"'],
  ['an empty header', { Authorization: '' }, 'The access token is missing', 'Bearer realm="r"'],
  ['an unknown token', { Authorization: 'Bearer x' }, null, null],
  ['another scheme', { Authorization: 'Basic dGFrZW4tYWxvbmc6' }, null, null],
  ['two tokens', { Authorization: 'Bearer taken-along taken-along' }, null, null],
  ['a refresh token', { Authorization: 'Bearer refresh-along' }, null, null],
  ['a token without end', { Authorization: `Bearer ${'x'.repeat(5000)}` }, null, null],
  ['control characters', { Authorization: 'Bearer taken-along\0' }, null, null],
] as const
for (const [name, headers, description, challenge] of KEPT_OUT) {
  test(`refuses ${name}`, async () => {
    const { exit } = await new Server({ realm: 'r' }).run({ headers })
    assert.equal(exit?.status, 401)
    const invalid = 'The access token is invalid or has expired'
    assert.equal((JSON.parse(exit.body as string) as Answer).error_description, description ?? invalid)
    const told = challenge ?? `Bearer realm="r" error="invalid_token" error_description="${invalid}"`
    assert.deepEqual(exit.headers, [['WWW-Authenticate', told]])
  })
}

test('with an anonymous consumer, who has no token is that consumer, and claims no user', async () => {
  const server = new Server({ anonymous: NOBODY.id })
  const claims = { 'X-Authenticated-UserId': 'admin', 'X-Authenticated-Scope': 'root' }
  const { status, sent } = await server.get('nope', { headers: claims })
  assert.equal(status, 200)
  assert.equal(sent['x-consumer-username'], 'anonymous-user')
  assert.equal(sent['x-authenticated-userid'], undefined)
  assert.equal(sent['x-authenticated-scope'], undefined)
})

test('answers 503, never 401 or a pass, when the store can not be asked', async () => {
  const server = new Server({ anonymous: NOBODY.id })
  const code = await server.code()
  const { access_token: token } = await server.token({ grant_type: 'client_credentials' })
  server.runtime.isUnavailable = true
  assert.equal((await server.get(token!)).status, 503)
  assert.equal((await server.get('nope')).status, 503)
  for (const grant of [{ grant_type: 'authorization_code', code }, { grant_type: 'client_credentials' }]) {
    const { exit } = await server.run({
      method: 'POST',
      path: '/oauth2/token',
      body: { client_id: 'app', client_secret: 'secret', ...grant },
    })
    assert.equal(exit?.status, 503)
  }
})
