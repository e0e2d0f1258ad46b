import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { TextSeal } from '#pdk/text-seal.ts'
import {
  FakeClock,
  FakeEntities,
  fakeExchange,
  FakeRuntime,
  headersOf,
  prepare,
  type FakeExchangeOptions,
} from '#pdk/testing'
import { session } from './plugin.ts'

const ALICE = { id: '11111111-1111-4111-8111-000000000001', username: 'alice', custom_id: null, tags: null }
const BOB = { id: '11111111-1111-4111-8111-000000000002', username: 'bob', custom_id: null, tags: null }
const S = 1000
const MINUTE = 60 * S
const HOUR = 60 * MINUTE
const STORAGES = ['cookie', 'kong'] as const

interface Answer {
  readonly exit: Exit | null
  readonly consumer: string | null
  readonly sent: Record<string, string | string[]>
  readonly headers: Record<string, string | string[]>
  /** Set-Cookie, by name. */
  readonly set: ReadonlyMap<string, string>
}

/** A browser behind the plugin: keeps cookies, and logs in where a test says so. */
class Browser {
  readonly clock = new FakeClock()
  readonly runtime = new FakeRuntime(this.clock)
  readonly rows = { consumers: [ALICE, BOB] }
  readonly cookies = new Map<string, string>()
  state: ReturnType<typeof session.prepare>

  constructor(config: object = {}) {
    this.state = this.configured(config)
  }

  configured(config: object) {
    return prepare(
      session,
      { secret: 'a-secret', ...config },
      { runtime: this.runtime, entities: new FakeEntities(this.rows) },
    )
  }

  async go(request: FakeExchangeOptions & { login?: typeof ALICE | null; groups?: string[] } = {}): Promise<Answer> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...(cookie === '' ? {} : { Cookie: cookie }), ...(request.headers as Record<string, string>) }
    const exchange = fakeExchange({ now: this.clock.nowMs, ...request, headers })
    const exit = (await session.access!(exchange, this.state)) ?? null
    // What an authentication plugin with an anonymous consumer does.
    if (exit === null && request.login != null && exchange.credential === null) {
      exchange.authenticate(request.login as never, { id: `credential-${request.login.username}` })
      if (request.groups !== undefined) exchange.shared.set('authenticated_groups', request.groups)
    }
    session.responseHeaders!(exchange, this.state)
    const set = new Map<string, string>()
    for (const text of exchange.response.headers.getAll('set-cookie')) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(text)!
      set.set(name!, text)
      if (text.includes('Max-Age=0')) this.cookies.delete(name!)
      else this.cookies.set(name!, value!)
    }
    return {
      exit,
      consumer: exchange.consumer?.username ?? null,
      sent: headersOf(exchange.request.headers),
      headers: headersOf(exchange.response.headers),
      set,
    }
  }

  /** What a thief has who copied the cookies now. */
  copy(): Browser {
    const other = new Browser()
    Object.assign(other, { clock: this.clock, runtime: this.runtime, state: this.state, rows: this.rows })
    for (const [name, value] of this.cookies) other.cookies.set(name, value)
    return other
  }
}

for (const storage of STORAGES) {
  test(`who logged in is known by the cookie (${storage})`, async () => {
    const browser = new Browser({ storage })
    assert.equal((await browser.go()).set.size, 0)
    const first = await browser.go({ login: ALICE })
    assert.match(first.set.get('session')!, /^session=[\w-]+; Path=\/; SameSite=Strict; Secure; HttpOnly$/)
    const { consumer, sent, set } = await browser.go()
    assert.equal(consumer, 'alice')
    assert.equal(sent['x-consumer-id'], ALICE.id)
    assert.equal(sent['x-credential-identifier'], 'credential-alice')
    assert.equal(sent['x-anonymous-consumer'], undefined)
    assert.equal(set.size, 0, 'a session that is new need not be written again')
    assert.equal(Object.keys(browser.runtime.live).length, storage === 'kong' ? 1 : 0)
  })

  test(`groups of the login come along (${storage})`, async () => {
    const browser = new Browser({ storage })
    await browser.go({ login: ALICE, groups: ['a', 'b'] })
    const { sent } = await browser.go({ headers: { 'X-Authenticated-Groups': 'admin' } })
    assert.equal(sent['x-authenticated-groups'], 'a, b')
  })

  test(`a session that nobody uses ends after the time for idle ones (${storage})`, async () => {
    const browser = new Browser({ storage })
    await browser.go({ login: ALICE })
    for (let minutes = 0; minutes < 40; minutes += 10) {
      browser.clock.advance(10 * MINUTE)
      assert.equal((await browser.go()).consumer, 'alice')
    }
    browser.clock.advance(15 * MINUTE)
    assert.equal((await browser.go()).consumer, null)
  })

  test(`a session in use is renewed under another id, and the one before is good for some seconds (${storage})`, async () => {
    const browser = new Browser({ storage, idling_timeout: 0, response_headers: ['id'] })
    const { headers } = await browser.go({ login: ALICE })
    const before = browser.copy()
    browser.clock.advance(45 * MINUTE)
    const renewal = await browser.go()
    assert.equal(renewal.consumer, 'alice')
    assert.notEqual(renewal.headers['session-id'], headers['session-id'])
    assert.equal((await before.copy().go()).consumer, 'alice')
    browser.clock.advance(11 * S)
    if (storage === 'kong') assert.equal((await before.copy().go()).consumer, null)
    browser.clock.advance(20 * MINUTE)
    assert.equal((await before.go()).consumer, null)
    assert.equal((await browser.go()).consumer, 'alice')
  })

  test(`no session outlives the absolute time (${storage})`, async () => {
    const browser = new Browser({ storage, absolute_timeout: 2 * 3600 })
    await browser.go({ login: ALICE })
    for (let minutes = 0; minutes < 115; minutes += 5) {
      browser.clock.advance(5 * MINUTE)
      assert.equal((await browser.go()).consumer, 'alice')
    }
    browser.clock.advance(5 * MINUTE)
    assert.equal((await browser.go()).consumer, null)
  })

  test(`a browser that was closed is remembered (${storage})`, async () => {
    const browser = new Browser({
      storage,
      remember: true,
      remember_rolling_timeout: 7200,
      remember_absolute_timeout: 10_000,
    })
    const { set } = await browser.go({ login: ALICE })
    assert.match(set.get('remember')!, /; Max-Age=7200;/)
    browser.cookies.delete('session')
    browser.clock.advance(1.5 * HOUR)
    const back = await browser.go()
    assert.equal(back.consumer, 'alice')
    assert.deepEqual([...back.set.keys()].toSorted(), ['remember', 'session'])
    browser.cookies.delete('session')
    browser.clock.advance(1.5 * HOUR)
    assert.equal((await browser.go()).consumer, null)
  })

  test(`a logout ends it, by query or body, with the methods that may (${storage})`, async () => {
    const config = { storage, read_body_for_logout: true, remember: true }
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
    for (const request of [
      { method: 'POST', path: '/?session_logout=true' },
      { method: 'DELETE', path: '/?a=1&session_logout' },
      { method: 'POST', headers: form, body: 'session_logout=1' },
      { method: 'POST', body: { session_logout: true } },
    ]) {
      const browser = new Browser(config)
      await browser.go({ login: ALICE })
      const copy = browser.copy()
      const { exit, set } = await browser.go(request)
      assert.deepEqual([exit?.status, exit?.body], [200, null])
      assert.match(set.get('session')!, /^session=; Path=\/; Max-Age=0;/)
      assert.match(set.get('remember')!, /^remember=; Path=\/; Max-Age=0;/)
      assert.equal((await browser.go()).consumer, null)
      assert.equal((await copy.go()).consumer, storage === 'kong' ? null : 'alice')
    }
    const browser = new Browser({ storage })
    assert.equal((await browser.go({ method: 'POST', path: '/?session_logout' })).exit, null)
    await browser.go({ login: ALICE })
    for (const request of [
      { path: '/?session_logout' },
      { method: 'POST', path: '/?logout' },
      { method: 'POST', headers: form, body: 'session_logout=1' },
    ])
      assert.equal((await browser.go(request)).consumer, 'alice')
  })

  test(`a session ends with its consumer (${storage})`, async () => {
    const browser = new Browser({ storage })
    await browser.go({ login: ALICE })
    browser.rows.consumers.shift()
    const { exit, consumer, set } = await browser.go()
    assert.deepEqual([exit, consumer], [null, null])
    assert.match(set.get('session')!, /Max-Age=0/)
  })

  test(`who logs in as somebody else gets another session, never the one that he brought (${storage})`, async () => {
    const browser = new Browser({ storage, response_headers: ['id'] })
    const { headers } = await browser.go({ login: ALICE })
    const brought = browser.copy()
    const exchange = fakeExchange({
      now: browser.clock.nowMs,
      headers: { Cookie: `session=${browser.cookies.get('session')}` },
    })
    await session.access!(exchange, browser.state)
    exchange.authenticate(BOB as never, { id: 'credential-bob' })
    session.responseHeaders!(exchange, browser.state)
    assert.notEqual(headersOf(exchange.response.headers)['session-id'], headers['session-id'])
    if (storage === 'kong') assert.equal((await brought.go()).consumer, null)
  })
}

test('a cookie of our making serves for nothing else', async () => {
  const browser = new Browser({ remember: true })
  await browser.go({ login: ALICE })
  const good = browser.cookies.get('session')!
  const remember = browser.cookies.get('remember')!
  const fixed = new TextSeal('guessed', 'session session').seal(
    JSON.stringify({
      i: 'fixed',
      a: 'default',
      s: browser.clock.nowMs,
      r: browser.clock.nowMs,
      t: browser.clock.nowMs,
      l: [ALICE.id, 'c', null],
    }),
  )
  const table: readonly (readonly [name: string, browser: Browser, value: string])[] = [
    ['the remember cookie as session', new Browser(), remember],
    ['of another name', new Browser({ cookie_name: 'other' }), good],
    ['for another audience', new Browser({ audience: 'other' }), good],
    ['under another secret', new Browser({ secret: 'another' }), good],
    ['sealed by somebody else', new Browser(), fixed],
    ['where logins are stored', new Browser({ storage: 'kong' }), good],
    ['cut', new Browser(), good.slice(0, -4)],
    ['changed', new Browser(), `${good.slice(0, 60)}A${good.slice(61)}`],
    ['empty', new Browser(), ''],
    ['no base64', new Browser(), '"}{%00'],
    ['very long', new Browser(), 'A'.repeat(100_000)],
  ]
  for (const [name, other, value] of table) {
    other.cookies.set(other.state.cookie.name, value)
    const { exit, consumer } = await other.go()
    assert.deepEqual([exit, consumer], [null, null], name)
  }
})

test('of several cookies with the name the one that is good counts', async () => {
  const browser = new Browser()
  await browser.go({ login: ALICE })
  const headers = { Cookie: `session=old; session=${browser.cookies.get('session')}` }
  browser.cookies.clear()
  assert.equal((await browser.go({ headers })).consumer, 'alice')
})

test('a secret can be exchanged without logging users out', async () => {
  const browser = new Browser({ secret: 'old' })
  await browser.go({ login: ALICE })
  browser.state = browser.configured({ secret: 'new\nold' })
  assert.equal((await browser.go()).consumer, 'alice')
  browser.clock.advance(50 * MINUTE)
  browser.state = browser.configured({ secret: 'new\nold', idling_timeout: 0 })
  await browser.go()
  browser.state = browser.configured({ secret: 'new' })
  assert.equal((await browser.go()).consumer, 'alice')
})

test('tells upstream and client what the configuration names, and nothing that a client claims', async () => {
  const names = ['id', 'audience', 'subject', 'timeout', 'idling-timeout', 'rolling-timeout', 'absolute-timeout']
  const browser = new Browser({ request_headers: names, response_headers: names, rolling_timeout: 1800 })
  const claimed = await browser.go({ headers: { 'Session-Subject': 'admin' } })
  assert.equal(claimed.sent['session-subject'], undefined)
  const { headers } = await browser.go({ login: ALICE })
  browser.clock.advance(30 * S)
  const { sent } = await browser.go()
  assert.equal(sent['session-subject'], ALICE.id)
  assert.equal(sent['session-audience'], 'default')
  assert.equal(sent['session-id'], headers['session-id'])
  assert.deepEqual(
    names.slice(3).map((name) => [headers[`session-${name}`], sent[`session-${name}`]]),
    [
      ['900', '870'],
      ['900', '870'],
      ['1800', '1770'],
      ['86400', '86370'],
    ],
  )
})

test('attributes of the cookie are as configured', async () => {
  const { set } = await new Browser({
    cookie_name: 'c',
    cookie_path: '/p',
    cookie_domain: 'a.test',
    cookie_same_site: 'Default',
    cookie_secure: false,
    cookie_http_only: false,
  }).go({ login: ALICE })
  assert.match(set.get('c')!, /^c=[\w-]+; Path=\/p; Domain=a\.test$/)
})

test('a login that does not fit in a cookie is none, and is told', async () => {
  const browser = new Browser()
  const { set } = await browser.go({ login: ALICE, groups: Array.from({ length: 500 }, (_, n) => `group-${n}`) })
  assert.equal(set.size, 0)
})

test('answers 503, never an anonymous pass, when the store can not be asked', async () => {
  const browser = new Browser({ storage: 'kong' })
  await browser.go({ login: ALICE })
  browser.runtime.isUnavailable = true
  assert.equal((await browser.go()).exit?.status, 503)
  const { exit, set } = await browser.go({ method: 'POST', path: '/?session_logout' })
  assert.deepEqual([exit?.status, set.size], [503, 0])
  browser.runtime.isUnavailable = false
  assert.equal((await browser.go()).consumer, 'alice')
})
