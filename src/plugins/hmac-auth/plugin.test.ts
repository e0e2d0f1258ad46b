import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { FakeEntities, fakeExchange, headersOf, prepare, type FakeBody, type FakeExchangeOptions } from '#pdk/testing'
import { hmacAuth } from './plugin.ts'

const ALICE = { id: '11111111-1111-4111-8111-000000000001', username: 'alice', custom_id: 'alice-custom', tags: null }
const NOBODY = { id: '11111111-1111-4111-8111-00000000000a', username: 'anonymous-user', custom_id: null, tags: null }
const credential = (username: string, secret: string | null, consumer = ALICE.id) => ({
  id: `credential-${username}`,
  username,
  secret,
  consumer: { id: consumer },
})
const ROWS = {
  consumers: [ALICE, NOBODY],
  hmacauth_credentials: [
    credential('alice', 'secret'),
    credential('jürgen', 'schlüssel'),
    credential('secretless', null),
    credential('orphan', 'secret', 'gone'),
  ],
}
const DATE = 'Tue, 01 Jan 2030 00:00:00 GMT'

interface Signed {
  readonly username?: string
  readonly secret?: string
  readonly algorithm?: string
  /** Names in `headers`. */
  readonly names?: string
  /** What is signed. */
  readonly text?: string
}
function sign({
  username = 'alice',
  secret = 'secret',
  algorithm = 'hmac-sha256',
  names = 'date',
  text = `date: ${DATE}`,
}: Signed = {}) {
  const signature = createHmac(algorithm.replace('hmac-', ''), secret).update(text).digest('base64')
  return `hmac username="${username}", algorithm="${algorithm}", headers="${names}", signature="${signature}"`
}

async function run(config: object, request: FakeExchangeOptions, mode: FakeEntities['mode'] = 'sync') {
  const exchange = fakeExchange(request)
  const exit =
    (await hmacAuth.access!(exchange, prepare(hmacAuth, config, { entities: new FakeEntities(ROWS, mode) }))) ?? null
  return { exchange, exit, sent: headersOf(exchange.request.headers) }
}
const withHeader = (Authorization: string, more: Readonly<Record<string, string>> = {}): FakeExchangeOptions => ({
  headers: { Date: DATE, Authorization, ...more },
})

const CANNOT = 'HMAC signature cannot be verified'
const MISMATCH = 'HMAC signature does not match'
const NO_DATE = `${CANNOT}, a valid date or x-date header is required for HMAC Authentication`

function assertRefused(exit: Exit | null, message: string, challenge = 'hmac'): void {
  assert.ok(exit !== null, 'the request passed')
  assert.deepEqual([exit.status, exit.message, exit.headers], [401, message, [['WWW-Authenticate', challenge]]])
}

test('lets a signed request pass and tells the upstream who it is', async () => {
  for (const mode of ['sync', 'async'] as const) {
    const { exchange, exit, sent } = await run({}, withHeader(sign()), mode)
    assert.equal(exit, null)
    assert.deepEqual(sent, {
      date: DATE,
      authorization: sign(),
      'x-consumer-id': ALICE.id,
      'x-consumer-custom-id': 'alice-custom',
      'x-consumer-username': 'alice',
      'x-credential-identifier': 'alice',
    })
    assert.equal(exchange.consumer, ALICE)
  }
})

for (const algorithm of ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512']) {
  test(`takes ${algorithm} where it is allowed`, async () => {
    const request = withHeader(sign({ algorithm }))
    assert.equal((await run({}, request)).exit, null)
    assert.equal((await run({ algorithms: [algorithm] }, request)).exit, null)
    const others = algorithm === 'hmac-sha1' ? ['hmac-sha256'] : ['hmac-sha1']
    assertRefused((await run({ algorithms: others }, request)).exit, CANNOT)
  })
}

const LINES = [
  ['request-line', 'POST /a/b?c=%7e&d HTTP/1.1'],
  ['@request-target', '@request-target: post /a/b?c=%7e&d'],
  ['host', 'host: api.test:8000'],
  ['Host date', `Host: api.test:8000\ndate: ${DATE}`],
  ['x-custom', 'x-custom: v'],
  ['x-missing', 'x-missing:'],
  ['request-line x-custom', 'POST /a/b?c=%7e&d HTTP/1.1\nx-custom: v'],
] as const
for (const [names, text] of LINES) {
  test(`signs ${names} as ${JSON.stringify(text)}`, async () => {
    const request = {
      ...withHeader(sign({ names, text }), { Host: 'api.test:8000', 'X-Custom': 'v' }),
      method: 'POST',
      path: '/a/b?c=%7e&d',
    }
    assert.equal((await run({}, request)).exit, null)
    assertRefused(
      (await run({}, { ...request, headers: { Date: DATE, Authorization: sign({ names, text: 'no' }) } })).exit,
      MISMATCH,
    )
  })
}

test('what was signed as missing can not be added', async () => {
  const header = sign({ names: 'date x-role', text: `date: ${DATE}\nx-role:` })
  assert.equal((await run({}, withHeader(header))).exit, null)
  assertRefused((await run({}, withHeader(header, { 'X-Role': 'admin' }))).exit, MISMATCH)
})

test('refuses another secret, an unknown user, and one who has no secret or no consumer', async () => {
  assertRefused((await run({}, withHeader(sign({ secret: 'no' })))).exit, MISMATCH)
  assertRefused((await run({}, withHeader(sign({ username: 'nobody' })))).exit, CANNOT)
  assertRefused((await run({}, withHeader(sign({ username: 'secretless', secret: '' })))).exit, CANNOT)
  assertRefused((await run({}, withHeader(sign({ username: 'orphan' })))).exit, CANNOT)
})

test('takes names and secrets beyond ASCII', async () => {
  assert.equal((await run({}, withHeader(sign({ username: 'jürgen', secret: 'schlüssel' })))).exit, null)
})

test('asks Proxy-Authorization first, and hides only what it used', async () => {
  const headers = { Date: DATE, 'Proxy-Authorization': sign(), Authorization: 'Bearer for-the-upstream' }
  const { exit, sent } = await run({ hide_credentials: true }, { headers })
  assert.equal(exit, null)
  assert.equal(sent['proxy-authorization'], undefined)
  assert.equal(sent['authorization'], 'Bearer for-the-upstream')
  const plain = await run({ hide_credentials: true }, withHeader(sign()))
  assert.equal(plain.exit, null)
  assert.equal(plain.sent['authorization'], undefined)
})

test('a request is good only near the time that it names', async () => {
  const at = (name: string, date: string) => ({
    headers: {
      [name]: date,
      Authorization: sign({ names: name.toLowerCase(), text: `${name.toLowerCase()}: ${date}` }),
    },
  })
  const skewed = (seconds: number) => new Date(Date.parse(DATE) + seconds * 1000).toUTCString()
  for (const name of ['Date', 'X-Date']) {
    for (const seconds of [-300, 0, 300]) assert.equal((await run({}, at(name, skewed(seconds)))).exit, null)
    for (const seconds of [-301, 301]) assertRefused((await run({}, at(name, skewed(seconds)))).exit, NO_DATE)
    assertRefused((await run({ clock_skew: 10 }, at(name, skewed(11)))).exit, NO_DATE)
    assertRefused((await run({}, at(name, '2030-01-01'))).exit, NO_DATE)
  }
  assertRefused((await run({}, { headers: { Authorization: sign() } })).exit, NO_DATE)
})

test('headers that are enforced have to be signed', async () => {
  const config = { enforce_headers: ['Date', 'request-line'] }
  const text = `date: ${DATE}\nGET / HTTP/1.1`
  assert.equal((await run(config, withHeader(sign({ names: 'date request-line', text })))).exit, null)
  assertRefused((await run(config, withHeader(sign()))).exit, CANNOT)
})

test('refuses what says nothing, or not all of it', async () => {
  assertRefused((await run({}, { headers: { Date: DATE } })).exit, 'Unauthorized')
  const incomplete = ['', 'hmac', 'Basic x', 'hmac username="alice"', sign().replace('hmac-sha256', 'hmac-md5')]
  for (const header of incomplete) assertRefused((await run({}, withHeader(header))).exit, CANNOT)
})

test('names the realm', async () => {
  assertRefused((await run({ realm: 'r' }, {})).exit, 'Unauthorized', 'hmac realm="r"')
})

test('holds the body against its digest when told to', async () => {
  const config = { validate_request_body: true }
  const digest = (text: string) => `SHA-256=${createHash('sha256').update(text).digest('base64')}`
  const post = (body: string | null, headers: Readonly<Record<string, string>> = {}): FakeExchangeOptions => ({
    ...withHeader(sign(), headers),
    method: 'POST',
    body,
  })
  assert.equal((await run(config, post('hello', { Digest: digest('hello') }))).exit, null)
  assert.equal((await run(config, post(null))).exit, null)
  assert.equal((await run(config, post(null, { Digest: digest('') }))).exit, null)
  assert.equal((await run({}, post('hello'))).exit, null)
  assertRefused((await run(config, post('hello'))).exit, MISMATCH)
  assertRefused((await run(config, post('hello', { Digest: digest('other') }))).exit, MISMATCH)
  assertRefused((await run(config, post(null, { Digest: digest('hello') }))).exit, MISMATCH)
})

test('a body that is too big to be checked, or does not come, is refused', async () => {
  const state = prepare(hmacAuth, { validate_request_body: true }, { entities: new FakeEntities(ROWS) })
  const big = fakeExchange({ ...withHeader(sign()), body: Buffer.alloc((8 << 20) + 1) })
  assert.equal(((await hmacAuth.access!(big, state)) as Exit).status, 413)
  const aborted = fakeExchange({ ...withHeader(sign()), body: 'x' })
  ;(aborted.request.body as FakeBody).isAborted = true
  assert.equal(((await hmacAuth.access!(aborted, state)) as Exit).status, 400)
})

test('with an anonymous consumer, whoever fails is that consumer, and who is known stays so', async () => {
  for (const request of [{}, withHeader(sign({ secret: 'no' }))]) {
    const { exchange, exit } = await run({ anonymous: NOBODY.id }, request)
    assert.equal(exit, null)
    assert.equal(exchange.consumer?.id, NOBODY.id)
  }
  const known = await run({ anonymous: NOBODY.id }, { consumer: ALICE, credential: { id: 'other' } })
  assert.equal(known.exchange.consumer, ALICE)
})

test('answers 503, never 401, when the store can not be asked', async () => {
  assert.equal((await run({}, withHeader(sign()), 'unavailable')).exit?.status, 503)
})
