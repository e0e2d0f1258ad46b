import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeEntities, fakeExchange, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { acl } from './plugin.ts'

const ALICE = { id: 'alice' }
const BOB = { id: 'bob' }
const CAROL = { id: 'carol' }
const KEY = { id: 'credential' }
const ROWS = {
  acls: [
    { id: '1', group: 'gold', consumer: ALICE },
    { id: '2', group: 'zeta', consumer: ALICE },
    { id: '3', group: 'bad', consumer: BOB },
  ],
}

async function run(
  config: object,
  request: FakeExchangeOptions & { groups?: unknown },
  mode: FakeEntities['mode'] = 'sync',
) {
  const exchange = fakeExchange(request)
  if (request.groups !== undefined) exchange.shared.set('authenticated_groups', request.groups)
  const exit = (await acl.access!(exchange, prepare(acl, config, { entities: new FakeEntities(ROWS, mode) }))) ?? null
  return { exit: exit === null ? null : [exit.status, exit.message], sent: headersOf(exchange.request.headers) }
}

const FORBIDDEN = [403, 'You cannot consume this service']
const UNAUTHORIZED = [401, 'Unauthorized']

test('allow lets in who belongs to one of the groups, and tells the upstream all of theirs', async () => {
  for (const mode of ['sync', 'async'] as const) {
    const { exit, sent } = await run({ allow: ['silver', 'gold'] }, { consumer: ALICE, credential: KEY }, mode)
    assert.equal(exit, null)
    assert.equal(sent['x-consumer-groups'], 'gold, zeta')
  }
})

test('allow keeps out who belongs to other groups or to none', async () => {
  assert.deepEqual((await run({ allow: ['gold'] }, { consumer: BOB, credential: KEY })).exit, FORBIDDEN)
  assert.deepEqual((await run({ allow: ['gold'] }, { consumer: CAROL, credential: KEY })).exit, FORBIDDEN)
})

test('deny keeps out who belongs to one of the groups, and lets in everybody else', async () => {
  assert.deepEqual((await run({ deny: ['bad'] }, { consumer: BOB, credential: KEY })).exit, FORBIDDEN)
  assert.equal((await run({ deny: ['bad'] }, { consumer: ALICE, credential: KEY })).exit, null)
  const { exit, sent } = await run({ deny: ['bad'] }, { consumer: CAROL, credential: KEY })
  assert.equal(exit, null)
  assert.equal(sent['x-consumer-groups'], '')
})

test('nobody is asked to say who they are; a credential without consumer is refused', async () => {
  for (const config of [{ allow: ['gold'] }, { deny: ['gold'] }]) {
    assert.deepEqual((await run(config, {})).exit, UNAUTHORIZED)
    assert.deepEqual((await run(config, { credential: KEY })).exit, FORBIDDEN)
  }
})

test('the anonymous consumer without groups is asked to say who they are', async () => {
  assert.deepEqual((await run({ allow: ['gold'] }, { consumer: CAROL })).exit, UNAUTHORIZED)
  assert.deepEqual((await run({ allow: ['gold'] }, { consumer: BOB })).exit, FORBIDDEN)
  assert.equal((await run({ allow: ['bad'] }, { consumer: BOB })).exit, null)
})

test('hides the groups from the upstream when told to', async () => {
  const { sent } = await run({ allow: ['gold'], hide_groups_header: true }, { consumer: ALICE, credential: KEY })
  assert.deepEqual(sent, {})
})

test('a client can not choose its groups', async () => {
  const { sent } = await run(
    { allow: ['gold'] },
    {
      consumer: ALICE,
      credential: KEY,
      headers: [
        ['X-Consumer-Groups', 'root'],
        ['x-consumer-groups', 'admin'],
      ],
    },
  )
  assert.equal(sent['x-consumer-groups'], 'gold, zeta')
  assert.deepEqual(
    (await run({ allow: ['gold'] }, { consumer: BOB, credential: KEY, headers: { 'X-Consumer-Groups': 'gold' } })).exit,
    FORBIDDEN,
  )
})

test('groups that an authentication plugin found count for nobody and for the anonymous consumer', async () => {
  for (const who of [{}, { consumer: BOB }, { credential: KEY }]) {
    const { exit, sent } = await run({ allow: ['ldap'] }, { ...who, groups: ['ldap', 'more'] })
    assert.equal(exit, null)
    assert.equal(sent['x-authenticated-groups'], 'ldap, more')
    assert.deepEqual((await run({ deny: ['ldap'] }, { ...who, groups: ['ldap'] })).exit, FORBIDDEN)
  }
})

test("they count for a known consumer only when told to, and the consumer's own when there are none", async () => {
  const known = { consumer: ALICE, credential: KEY }
  assert.deepEqual((await run({ allow: ['ldap'] }, { ...known, groups: ['ldap'] })).exit, FORBIDDEN)
  assert.equal(
    (await run({ allow: ['ldap'], always_use_authenticated_groups: true }, { ...known, groups: ['ldap'] })).exit,
    null,
  )
  assert.equal((await run({ allow: ['gold'], always_use_authenticated_groups: true }, known)).exit, null)
})

test('answers 503 when the store can not be asked', async () => {
  assert.equal((await run({ allow: ['gold'] }, { consumer: ALICE, credential: KEY }, 'unavailable')).exit?.[0], 503)
})

test('decides once for a list of rows, and anew for another list', () => {
  const first = [{ id: '1', group: 'gold' }]
  let rows: readonly { readonly id: string; readonly group: string }[] = first
  const entities = new FakeEntities()
  entities.listBy = () => rows
  const state = prepare(acl, { allow: ['gold'] }, { entities })
  const request = { consumer: ALICE, credential: KEY }
  assert.equal(acl.access!(fakeExchange(request), state), undefined)
  assert.equal(acl.access!(fakeExchange(request), state), undefined)
  rows = [{ id: '1', group: 'bronze' }]
  assert.partialDeepStrictEqual(acl.access!(fakeExchange(request), state), { status: 403 })
  rows = first
  assert.equal(acl.access!(fakeExchange(request), state), undefined)
})

test('a config with both lists, or with none, is refused', () => {
  assert.throws(() => prepare(acl, { allow: ['a'], deny: ['b'] }), { code: 'CONFIG_INVALID' })
  assert.throws(() => prepare(acl, {}), { code: 'CONFIG_INVALID' })
})
