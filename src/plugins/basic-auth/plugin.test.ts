import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { FakeEntities, fakeExchange, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { basicAuth } from './plugin.ts'

const ALICE = { id: '11111111-1111-4111-8111-000000000001', username: 'alice', custom_id: 'alice-custom', tags: null }
const BOB = { id: '11111111-1111-4111-8111-000000000002', username: 'bob', custom_id: null, tags: null }
const NOBODY = { id: '11111111-1111-4111-8111-00000000000a', username: 'anonymous-user', custom_id: null, tags: null }

const credential = (username: string, password: string | Buffer, consumer: string) => ({
  id: `credential-${username}`,
  username,
  password: createHash('sha1').update(password).update(consumer).digest('hex'),
  consumer: { id: consumer },
})
const ROWS = {
  consumers: [ALICE, BOB, NOBODY],
  basicauth_credentials: [
    credential('alice', 'p:with:colons', ALICE.id),
    credential('jürgen', 'pässword', BOB.id),
    credential('bytes', Buffer.from([0xff, 0xfe]), BOB.id),
    credential('empty', '', BOB.id),
    credential('orphan', 'x', 'gone'),
  ],
}
const basic = (text: string | Buffer) => `Basic ${Buffer.from(text as string).toString('base64')}`
const GOOD = basic('alice:p:with:colons')

async function run(config: object, request: FakeExchangeOptions, mode: FakeEntities['mode'] = 'sync') {
  const exchange = fakeExchange(request)
  const exit =
    (await basicAuth.access!(exchange, prepare(basicAuth, config, { entities: new FakeEntities(ROWS, mode) }))) ?? null
  return { exchange, exit, sent: headersOf(exchange.request.headers) }
}

function assertRefused(exit: Exit | null, challenge = 'Basic realm="service"'): void {
  assert.ok(exit !== null, 'the request passed')
  assert.deepEqual([exit.status, exit.message, exit.headers], [401, 'Unauthorized', [['WWW-Authenticate', challenge]]])
}

test('lets a known user pass and tells the upstream who it is', async () => {
  for (const mode of ['sync', 'async'] as const) {
    const { exchange, exit, sent } = await run({}, { headers: { Authorization: GOOD } }, mode)
    assert.equal(exit, null)
    assert.deepEqual(sent, {
      authorization: GOOD,
      'x-consumer-id': ALICE.id,
      'x-consumer-custom-id': 'alice-custom',
      'x-consumer-username': 'alice',
      'x-credential-identifier': 'alice',
    })
    assert.equal(exchange.consumer, ALICE)
    assert.equal(exchange.credential?.id, 'credential-alice')
  }
})

test('awaits nothing when what it looks up is in the cache', () => {
  const state = prepare(basicAuth, {}, { entities: new FakeEntities(ROWS) })
  assert.equal(basicAuth.access!(fakeExchange({ headers: { Authorization: GOOD } }), state), undefined)
})

const LET_IN = [
  ['a scheme in lower case', `basic ${GOOD.slice(6)}`],
  ['names and passwords beyond ASCII', basic('jürgen:pässword')],
  ['a password that is no text', basic(Buffer.concat([Buffer.from('bytes:'), Buffer.from([0xff, 0xfe])]))],
  ['an empty password', basic('empty:')],
] as const
for (const [name, header] of LET_IN) {
  test(`takes ${name}`, async () => {
    assert.equal((await run({}, { headers: { Authorization: header } })).exit, null)
  })
}

const KEPT_OUT = [
  ['nothing', null],
  ['an empty header', ''],
  ['a wrong password', basic('alice:no')],
  ['a password that only begins right', basic('alice:p')],
  ['an unknown user', basic('nobody:x')],
  ['a user of another case', basic('Alice:p:with:colons')],
  ['a user whose consumer is gone', basic('orphan:x')],
  ['no colon', basic('alice')],
  ['no name', basic(':p:with:colons')],
  ['what is no base64', 'Basic !!!'],
  ['only the scheme', 'Basic'],
  ['another scheme', `Bearer ${GOOD.slice(6)}`],
  ['a scheme in capitals', `BASIC ${GOOD.slice(6)}`],
  ['the stored digest as password', basic(`alice:${ROWS.basicauth_credentials[0]!.password}`)],
  ['other bytes that are no text', basic(Buffer.concat([Buffer.from('bytes:'), Buffer.from([0xfe, 0xff])]))],
] as const
for (const [name, header] of KEPT_OUT) {
  test(`refuses ${name}`, async () => {
    assertRefused((await run({}, { headers: header === null ? {} : { Authorization: header } })).exit)
  })
}

test('asks Proxy-Authorization first, and Authorization when nobody has that name', async () => {
  const other = basic('jürgen:pässword')
  const first = await run({}, { headers: { 'Proxy-Authorization': GOOD, Authorization: other } })
  assert.equal(first.exchange.consumer, ALICE)
  const second = await run({}, { headers: { 'Proxy-Authorization': basic('nobody:x'), Authorization: GOOD } })
  assert.equal(second.exchange.consumer, ALICE)
  assertRefused((await run({}, { headers: { 'Proxy-Authorization': basic('alice:no'), Authorization: other } })).exit)
})

test('hides what it looked at', async () => {
  const { sent } = await run({ hide_credentials: true }, { headers: { Authorization: GOOD } })
  assert.equal(sent['authorization'], undefined)
  const { sent: upstream } = await run(
    { hide_credentials: true },
    { headers: { 'Proxy-Authorization': GOOD, Authorization: 'Bearer for-the-upstream' } },
  )
  assert.equal(upstream['proxy-authorization'], undefined)
  assert.equal(upstream['authorization'], 'Bearer for-the-upstream')
})

test('names the realm, quoted', async () => {
  assertRefused((await run({ realm: 'my "own"' }, {})).exit, 'Basic realm="my \\"own\\""')
})

test('with an anonymous consumer, whoever fails is that consumer', async () => {
  for (const anonymous of [NOBODY.id, 'anonymous-user']) {
    const { exchange, exit, sent } = await run({ anonymous }, { headers: { Authorization: basic('alice:no') } })
    assert.equal(exit, null)
    assert.equal(exchange.consumer?.id, NOBODY.id)
    assert.equal(sent['x-anonymous-consumer'], 'true')
  }
})

test('with an anonymous consumer, somebody who is already known stays so', async () => {
  const { exchange } = await run({ anonymous: NOBODY.id }, { consumer: BOB, credential: { id: 'other' } })
  assert.equal(exchange.consumer, BOB)
})

test('answers 503, never 401, when the store can not be asked', async () => {
  for (const config of [{}, { anonymous: NOBODY.id }]) {
    const { exit } = await run(config, { headers: { Authorization: GOOD } }, 'unavailable')
    assert.equal(exit?.status, 503)
  }
})
