import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { FakeEntities, fakeExchange } from '#pdk/testing'
import {
  ANN,
  CALLBACK,
  Client,
  FakeProvider,
  NOBODY,
  NOW,
  NOW_S,
  SECRET,
  signingKey,
  type Answer,
  type Reply,
} from './testing.ts'

let provider: FakeProvider
const clients: Client[] = []
const CONFIG = { client_id: ['app'], client_secret: [SECRET], redirect_uri: [CALLBACK], login_action: 'redirect' }
function client(config: object = {}): Client {
  const made = new Client(provider, { ...CONFIG, ...config }, new FakeEntities({ consumers: [ANN, NOBODY] }))
  clients.push(made)
  return made
}
before(async () => {
  provider = await FakeProvider.start()
})
beforeEach(() => {
  provider.answers = {}
  provider.metadata = {}
  provider.asked.length = 0
})
after(async () => {
  for (const one of clients) one.close()
  await provider.stop()
})

type Jar = Record<string, string>
const at = (seconds: number) => ({ now: NOW + seconds * 1000 })

/** Grants codes as the provider would, with what a test has to say about the ID token and the rest of the answer. */
function grants(claims: object = {}, more: object = {}, key = provider.keys[0]!): void {
  provider.answers['/token'] = async ({ form }): Promise<Answer> => {
    const nonce = form.get('code')
    const id_token = await provider.sign({ aud: 'app', nonce, sid: 'session-1', iat: NOW_S, ...claims }, {}, key)
    return { body: { access_token: 'opaque-access', token_type: 'Bearer', expires_in: 300, id_token, ...more } }
  }
}

async function begin(go: Client, jar: Jar, path = '/app?x=1'): Promise<URL> {
  const reply = await go.ask({ path }, jar)
  assert.equal(reply.status, 302)
  return reply.location!
}

/** The provider sends the browser back; its code is the nonce, so that `grants` knows it. */
function comeBack(go: Client, jar: Jar, sentTo: URL, more = ''): Promise<Reply> {
  const { searchParams } = sentTo
  return go.ask({ path: `/callback?code=${searchParams.get('nonce')}&state=${searchParams.get('state')}${more}` }, jar)
}

async function logIn(go: Client, jar: Jar = {}): Promise<Jar> {
  const reply = await comeBack(go, jar, await begin(go, jar))
  assert.equal(reply.status, 302)
  return jar
}

test('a browser without a session is sent to the provider, with PKCE, state and nonce', async () => {
  const go = client({
    scopes: ['openid', 'email'],
    audience: ['orders'],
    authorization_query_args_names: ['prompt', 'redirect_uri', 'state'],
    authorization_query_args_values: ['login', 'https://evil.test', 'known'],
  })
  const jar: Jar = {}
  const first = await begin(go, jar)
  const { searchParams: sent } = first
  assert.equal(first.origin + first.pathname, `${provider.issuer}/auth`)
  assert.deepEqual(
    ['fixed', 'response_type', 'client_id', 'redirect_uri', 'scope', 'audience', 'prompt', 'code_challenge_method'].map(
      (name) => sent.get(name),
    ),
    ['1', 'code', 'app', CALLBACK, 'openid email', 'orders', 'login', 'S256'],
  )
  assert.match(sent.get('state')!, /^[\w-]{22}$/)
  assert.match(sent.get('nonce')!, /^[\w-]{22}$/)
  const { searchParams: again } = await begin(go, {})
  for (const name of ['state', 'nonce', 'code_challenge']) assert.notEqual(sent.get(name), again.get(name))
  grants()
  assert.equal((await comeBack(go, jar, first)).status, 302)
  const { form } = provider.asked.find(({ path }) => path === '/token')!
  assert.equal(createHash('sha256').update(form.get('code_verifier')!).digest('base64url'), sent.get('code_challenge'))
  assert.deepEqual([form.get('grant_type'), form.get('redirect_uri')], ['authorization_code', CALLBACK])
  const post = await go.ask({ method: 'POST' })
  assert.equal(post.status, 401, 'a form is not sent elsewhere')
})

for (const storage of ['cookie', 'kong']) {
  test(`who has logged in is known until the session ends, storage ${storage}`, async () => {
    const go = client({ session_storage: storage, consumer_claim: ['sub'], upstream_id_token_header: 'X-Id-Token' })
    grants()
    const jar: Jar = { theme: 'dark' }
    const back = await comeBack(go, jar, await begin(go, jar))
    assert.equal(back.location!.href, 'http://gw.test/app?x=1')
    assert.equal(jar['authorization'], undefined, 'nothing is pending any more')
    const { status, sent, exchange, cookies } = await go.ask({ headers: { 'X-Id-Token': 'forged' } }, jar)
    assert.equal(status, 200)
    assert.equal(exchange.consumer?.username, 'ann')
    assert.equal(sent['authorization'], 'Bearer opaque-access')
    assert.equal(sent['cookie'], 'theme=dark', 'the session is not for the upstream')
    assert.match(sent['x-id-token'] as string, /^eyJ/)
    assert.deepEqual(cookies, {}, 'nothing is due')
    assert.equal((await go.ask(at(901), jar)).status, 302, 'idle for too long')
    assert.equal((await go.ask({}, { session: `${jar['session']!.slice(0, -3)}AAA` })).status, 302)
    assert.equal((await client({ session_secret: 'another' }).ask({}, { ...jar })).status, 302)
    assert.equal((await client({ session_audience: 'another' }).ask({}, { ...jar })).status, 302)
  })
}

test('cookies say how browsers keep them', async () => {
  const go = client()
  grants()
  const jar: Jar = {}
  const begun = await go.ask({ scheme: 'https' }, jar)
  assert.match(begun.setCookies[0]!, /^authorization=[\w-]+; Path=\/; Max-Age=600; Secure; HttpOnly$/)
  const back = await comeBack(go, jar, begun.location!)
  assert.match(
    back.setCookies.find((text) => text.startsWith('session='))!,
    /; Path=\/; SameSite=Lax; HttpOnly$/,
  )
})

test('a session is renewed under another id while it is used, and ends at last', async () => {
  const go = client({ session_storage: 'kong', session_absolute_timeout: 7200, refresh_tokens: false })
  grants({ exp: NOW_S + 90_000 }, { expires_in: 90_000 })
  const jar = await logIn(go)
  const first = jar['session']
  for (let seconds = 600; seconds <= 6600; seconds += 600)
    assert.equal((await go.ask(at(seconds), jar)).status, 200, String(seconds))
  assert.notEqual(jar['session'], first)
  assert.equal((await go.ask(at(7000), { session: first! })).status, 302, 'the id from before is gone')
  assert.equal((await go.ask(at(7201), jar)).status, 302)
})

test('tokens that fit in no single cookie are spread, and taken together again', async () => {
  const go = client()
  grants({ pad: 'x'.repeat(6000) })
  const jar = await logIn(go)
  assert.ok(jar['session_2'] !== undefined && jar['session_3'] !== undefined)
  const reply = await go.ask({}, jar)
  assert.deepEqual([reply.status, reply.sent['cookie']], [200, undefined])
  assert.equal((await go.ask({}, { session: jar['session']! })).status, 302)
  const large = client()
  grants({ pad: 'x'.repeat(30_000) })
  const other: Jar = {}
  const refused = await comeBack(large, other, await begin(large, other))
  assert.equal(refused.status, 500)
  assert.deepEqual(large.logged, ["a login's tokens do not fit in cookies; session_storage = kong would do"])
  const stored = client({ session_storage: 'kong' })
  const third: Jar = await logIn(stored)
  assert.equal((await stored.ask({}, third)).exchange.credential?.id, 'ann')
})

test('an answer that this browser did not ask for logs nobody in', async (t) => {
  grants()
  const go = client({ session_storage: 'kong' })
  const other: Jar = {}
  const ofOther = await begin(go, other)
  const cases: Record<string, (jar: Jar, own: URL) => Promise<Reply>> = {
    'without a login under way': () => comeBack(go, {}, ofOther),
    "another browser's state": (jar) => comeBack(go, jar, ofOther),
    'no state': (jar, own) => go.ask({ path: `/callback?code=${own.searchParams.get('nonce')}&state=` }, jar),
    'two states': (jar, own) => comeBack(go, jar, own, `&state=${ofOther.searchParams.get('state')}`),
    'two codes': (jar, own) => comeBack(go, jar, own, '&code=x'),
    'another issuer': (jar, own) => comeBack(go, jar, own, '&iss=https://evil.test'),
    'an error': (jar, own) =>
      go.ask({ path: `/callback?error=access_denied&state=${own.searchParams.get('state')}` }, jar),
    'a login that took too long': (jar, own) =>
      go.ask({ path: `/callback?code=x&state=${own.searchParams.get('state')}`, ...at(601) }, jar),
  }
  for (const [name, attempt] of Object.entries(cases)) {
    await t.test(name, async () => {
      const jar: Jar = {}
      const reply = await attempt(jar, await begin(go, jar))
      assert.equal(reply.status, 401)
      assert.equal(jar['session'], undefined)
    })
  }
  await t.test('the same answer twice, with the cookie from before', async () => {
    grants()
    const jar: Jar = {}
    const own = await begin(go, jar)
    const kept = { ...jar }
    assert.equal((await comeBack(go, jar, own)).status, 302)
    assert.equal((await comeBack(go, kept, own)).status, 401)
    assert.equal(kept['session'], undefined)
  })
  await t.test('an answer that names no issuer where the provider always does', async () => {
    grants()
    provider.metadata = { authorization_response_iss_parameter_supported: true }
    const naming = client()
    const jar: Jar = {}
    assert.equal((await comeBack(naming, jar, await begin(naming, jar))).status, 401)
    assert.equal(
      (await comeBack(naming, jar, await begin(naming, jar), `&iss=${encodeURIComponent(provider.issuer)}`)).status,
      302,
    )
  })
})

test('an ID token that is not for this login logs nobody in', async (t) => {
  const foreign = await signingKey('first')
  const cases: Record<string, () => void> = {
    'another nonce': () => grants({ nonce: 'another' }),
    'no nonce': () => grants({ nonce: undefined }),
    'for another client': () => grants({ aud: 'other' }),
    'for several, without a word who': () => grants({ aud: ['app', 'other'] }),
    'for several, and for another': () => grants({ aud: ['app', 'other'], azp: 'other' }),
    'another issuer': () => grants({ iss: 'https://evil.test' }),
    expired: () => grants({ exp: NOW_S - 1 }),
    'not yet': () => grants({ nbf: NOW_S + 60 }),
    'no subject': () => grants({ sub: undefined }),
    'another key': () => grants({}, {}, foreign),
    'none at all': () => grants({}, { id_token: undefined }),
    unsigned: () => grants({}, { id_token: `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.` }),
    'a login that is too old': () => grants({ auth_time: NOW_S - 120 }),
  }
  for (const [name, prepare] of Object.entries(cases)) {
    await t.test(name, async () => {
      prepare()
      const go = client(name === 'a login that is too old' ? { max_age: 60 } : {})
      const jar: Jar = {}
      const reply = await comeBack(go, jar, await begin(go, jar))
      assert.equal(reply.status, 401)
      assert.equal(jar['session'], undefined)
    })
  }
})

test('a login begins a session of its own, whatever the browser brought', async () => {
  const go = client({ session_storage: 'kong' })
  grants({ sub: 'mallory' })
  const mallory = await logIn(go)
  grants()
  // The victim's browser was given another's session; it logs in again.
  const fresh: Jar = {}
  const sentTo = await begin(go, fresh)
  const both: Jar = { ...mallory, ...fresh }
  assert.equal((await comeBack(go, both, sentTo)).status, 302)
  assert.notEqual(both['session'], mallory['session'])
  assert.equal((await go.ask({}, both)).exchange.credential?.id, 'ann')
  assert.equal((await go.ask({}, mallory)).status, 302, 'the session from before is over')
})

test('a browser is sent back to a path of this host only', async () => {
  grants()
  for (const [path, back] of [
    ['//evil.test/x', 'http://gw.test/evil.test/x'],
    ['/\\evil.test', 'http://gw.test/%5Cevil.test'],
    ['///evil.test?a=//b', 'http://gw.test/evil.test?a=//b'],
    ['/a?next=https://evil.test', 'http://gw.test/a?next=https://evil.test'],
    [`/a?x=${'y'.repeat(2000)}`, 'http://gw.test/'],
  ] as const) {
    const go = client()
    const jar: Jar = {}
    assert.equal((await comeBack(go, jar, await begin(go, jar, path))).location?.href, back, path)
  }
  const elsewhere = client({ login_redirect_uri: ['https://home.test/'] })
  const jar: Jar = {}
  assert.equal((await comeBack(elsewhere, jar, await begin(elsewhere, jar))).location?.href, 'https://home.test/')
})

test('several tabs log in at once, the oldest of many is dropped', async () => {
  const go = client()
  grants()
  const jar: Jar = {}
  const tabs: URL[] = []
  for (let i = 0; i < 5; i++) tabs.push(await begin(go, jar, `/tab${i}`))
  assert.ok(jar['authorization']!.length < 4000)
  assert.equal((await comeBack(go, { ...jar }, tabs[0]!)).status, 401)
  assert.equal((await comeBack(go, jar, tabs[2]!)).location?.pathname, '/tab2')
  assert.equal((await comeBack(go, jar, tabs[4]!)).location?.pathname, '/tab4')
})

test('login_action decides what the callback answers', async () => {
  grants({}, { refresh_token: 'refresh' })
  const upstream = client({ login_action: 'upstream' })
  let jar: Jar = {}
  const passed = await comeBack(upstream, jar, await begin(upstream, jar), '&own=1&session_state=s')
  assert.deepEqual([passed.status, passed.exchange.request.query], [200, 'own=1'])
  assert.equal(passed.exchange.credential?.id, 'ann')
  assert.equal(passed.sent['cookie'], undefined, 'the login under way is not for the upstream')
  const response = client({ login_action: 'response', login_tokens: ['tokens'] })
  jar = {}
  const answer = await comeBack(response, jar, await begin(response, jar))
  assert.deepEqual(Object.keys(JSON.parse(answer.exit!.body as string) as object), [
    'id_token',
    'access_token',
    'refresh_token',
  ])
})

test('the address to come back to is that by which the client came, as a trusted proxy says it', async () => {
  const go = client({ redirect_uri: null })
  const uri = async (isTrusted: boolean, headers: Record<string, string>) => {
    const exchange = fakeExchange({ now: NOW, path: '/app?x=1', headers: { Host: 'shop.test:8080', ...headers } })
    exchange.request.isTrusted = isTrusted
    return new URL((await go.run(exchange)).location!).searchParams.get('redirect_uri')
  }
  assert.equal(await uri(false, {}), 'http://shop.test:8080/app')
  assert.equal(await uri(true, { 'X-Forwarded-Proto': 'https' }), 'https://shop.test:8080/app')
  assert.equal(await uri(false, { 'X-Forwarded-Proto': 'https' }), 'http://shop.test:8080/app')
})

test('who may not in gets no session', async () => {
  const go = client({ groups_required: ['staff'] })
  grants({ groups: ['guests'] })
  const jar: Jar = {}
  assert.equal((await comeBack(go, jar, await begin(go, jar))).status, 403)
  assert.equal(jar['session'], undefined)
})

test('userinfo is of the user who logged in', async () => {
  const go = client({ search_user_info: true, upstream_headers_claims: ['email'], upstream_headers_names: ['X-Email'] })
  grants()
  provider.answers['/userinfo'] = () => ({ body: { sub: 'ann', email: 'ann@example.com' } })
  const jar = await logIn(go)
  assert.equal((await go.ask({}, jar)).sent['x-email'], 'ann@example.com')
  provider.answers['/userinfo'] = () => ({ body: { sub: 'mallory' } })
  const other: Jar = {}
  assert.equal((await comeBack(go, other, await begin(go, other))).status, 401)
})

for (const storage of ['cookie', 'kong']) {
  test(`tokens are refreshed once for all requests that come, storage ${storage}`, async () => {
    const go = client({ session_storage: storage })
    grants({}, { refresh_token: 'refresh-1' })
    const jar = await logIn(go)
    const before = { ...jar }
    let times = 0
    provider.answers['/token'] = async ({ form }) => {
      if (form.get('grant_type') !== 'refresh_token' || form.get('refresh_token') !== 'refresh-1')
        return { status: 400, body: { error: 'invalid_grant' } }
      times++
      return { body: { access_token: 'second', expires_in: 300, refresh_token: 'refresh-2' } }
    }
    const many = await Promise.all(Array.from({ length: 20 }, () => go.ask(at(300), { ...before })))
    assert.deepEqual(
      new Set(many.map(({ status, sent }) => `${status} ${String(sent['authorization'])}`)),
      new Set(['200 Bearer second']),
    )
    assert.equal(times, 1)
    assert.equal((await go.ask(at(301), { ...before })).status, 200, 'one that comes late gets the same')
    assert.equal((await go.ask(at(302), jar)).sent['authorization'], 'Bearer second')
    assert.equal(times, 1)
  })
}

test('a session ends with its tokens when they are not refreshed, and waits when the provider is down', async () => {
  const go = client()
  grants({}, { refresh_token: 'refresh-1' })
  const jar = await logIn(go)
  provider.answers['/token'] = () => ({ status: 500 })
  assert.equal((await go.ask(at(301), { ...jar })).status, 503)
  provider.answers['/token'] = () => ({ body: { access_token: 'x', expires_in: 9, id_token: 'forged' } })
  assert.equal((await go.ask(at(301), { ...jar })).status, 302)
  const other = client()
  grants({}, { refresh_token: 'refresh-2' })
  const second = await logIn(other)
  provider.answers['/token'] = () => ({ status: 400, body: { error: 'invalid_grant' } })
  const over = await other.ask(at(301), second)
  assert.equal(over.status, 302)
  assert.equal(second['session'], undefined)
  const without = client({ refresh_tokens: false })
  grants({}, { refresh_token: 'refresh-3' })
  const third = await logIn(without)
  assert.equal((await without.ask(at(299), third)).status, 200)
  assert.equal((await without.ask(at(301), third)).status, 302)
})

test('logging out ends the session, tells the provider and revokes the tokens', async () => {
  const go = client({
    session_storage: 'kong',
    logout_uri_suffix: '/logout',
    logout_methods: ['GET', 'POST'],
    logout_redirect_uri: ['https://bye.test/'],
    logout_revoke: true,
  })
  grants({}, { refresh_token: 'refresh' })
  const jar = await logIn(go)
  const kept = { ...jar }
  const { status, location } = await go.ask({ path: '/app/logout' }, jar)
  assert.equal(status, 302)
  assert.equal(location!.origin + location!.pathname, `${provider.issuer}/end`)
  assert.equal(location!.searchParams.get('post_logout_redirect_uri'), 'https://bye.test/')
  assert.match(location!.searchParams.get('id_token_hint')!, /^eyJ/)
  const revoked = provider.asked.filter(({ path }) => path === '/revoke').map(({ form }) => form.get('token'))
  assert.deepEqual(revoked, ['refresh', 'opaque-access'])
  assert.equal(jar['session'], undefined)
  assert.equal((await go.ask({}, kept)).status, 302, 'the cookie from before is of no use')
  assert.equal((await go.ask({ method: 'DELETE', path: '/app/logout' }, kept)).status, 401)
})

test('a session is not ended when the store can not be asked', async () => {
  const go = client({ session_storage: 'kong', logout_query_arg: 'bye' })
  grants()
  const jar = await logIn(go)
  go.runtime.isUnavailable = true
  assert.equal((await go.ask({ method: 'POST', path: '/?bye=1' }, { ...jar })).status, 503)
  assert.equal((await go.ask({}, { ...jar })).status, 503)
  go.runtime.isUnavailable = false
  assert.equal((await go.ask({}, jar)).status, 200)
})

const LOGOUT = { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }
const backchannel = (go: Client, token: string) =>
  go.ask({
    method: 'POST',
    path: '/backchannel',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ logout_token: token }).toString(),
  })

test('the provider ends logins by the back channel, in cookies too', async () => {
  const go = client({ backchannel_logout_path: '/backchannel' })
  grants()
  const first = await logIn(go)
  grants({ sid: 'session-2' })
  const second = await logIn(go)
  const logoutToken = (claims: object) => provider.sign({ aud: 'app', iat: NOW_S, ...LOGOUT, ...claims })
  const told = await backchannel(go, await logoutToken({ sid: 'session-1', jti: '1' }))
  assert.equal(told.status, 200)
  assert.equal((await go.ask({}, first)).status, 302)
  assert.equal((await go.ask({}, second)).status, 200)
  assert.equal((await backchannel(go, await logoutToken({ jti: '2', exp: undefined }))).status, 200, 'by subject')
  assert.equal((await client({ backchannel_logout_path: '/backchannel' }).ask({}, {})).status, 302)
})

test('a logout token that is none ends nothing', async (t) => {
  const go = client({ backchannel_logout_path: '/backchannel' })
  grants()
  const jar = await logIn(go)
  const foreign = await signingKey('first')
  const right = { aud: 'app', iat: NOW_S, sid: 'session-1', jti: 'x', ...LOGOUT }
  const cases: Record<string, Promise<string> | string> = {
    'no event': provider.sign({ ...right, events: undefined }),
    'another event': provider.sign({ ...right, events: { 'http://schemas.openid.net/event/other': {} } }),
    'an ID token with a nonce': provider.sign({ ...right, nonce: 'n' }),
    'for another client': provider.sign({ ...right, aud: 'other' }),
    'another issuer': provider.sign({ ...right, iss: 'https://evil.test' }),
    'another key': provider.sign(right, {}, foreign),
    'nobody named': provider.sign({ ...right, sid: undefined, sub: undefined }),
    'no jti': provider.sign({ ...right, jti: undefined }),
    old: provider.sign({ ...right, iat: NOW_S - 301 }),
    'no iat': provider.sign({ ...right, iat: undefined }),
    expired: provider.sign({ ...right, exp: NOW_S - 1 }),
    'no token': 'x',
  }
  for (const [name, token] of Object.entries(cases)) {
    await t.test(name, async () => {
      assert.equal((await backchannel(go, await token)).status, 400)
    })
  }
  assert.equal((await go.ask({ path: '/backchannel' }, { ...jar })).status, 405)
  assert.equal((await go.ask({}, jar)).status, 200)
  const used = await provider.sign({ ...right, sid: 'other', jti: 'once' })
  assert.deepEqual([(await backchannel(go, used)).status, (await backchannel(go, used)).status], [200, 400])
})

test('the provider ends logins by the front channel, where browsers send no cookies', async () => {
  const go = client({ frontchannel_logout_path: '/front' })
  grants()
  const jar = await logIn(go)
  const issuer = encodeURIComponent(provider.issuer)
  assert.equal((await go.ask({ path: `/front?iss=https://evil.test&sid=session-1` })).status, 400)
  assert.equal((await go.ask({ path: `/front?iss=${issuer}` })).status, 400)
  assert.equal((await go.ask({}, { ...jar })).status, 200)
  assert.equal((await go.ask({ path: `/front?iss=${issuer}&sid=session-1` })).status, 200)
  assert.equal((await go.ask(at(2), jar)).status, 302)
})

test('requests of nobody pass as the anonymous consumer and are not sent away', async () => {
  const go = client({ anonymous: NOBODY.id })
  const { status, exchange } = await go.ask()
  assert.deepEqual([status, exchange.consumer?.username], [200, 'nobody'])
})
