import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allRows, commit, del, put, transaction, W1, W2 } from '../../../test/contract/store-fixture.ts'
import { MapPort } from '../../../test/support/map-port.ts'
import { follower, memoryCopy, withOverrides } from '../../../test/support/store-nodes.ts'
import { GENESIS_HASH } from '../chain.ts'
import { Filler } from './filler.ts'
import { CassandraFailure, type CassandraPort } from './port.ts'
import { ENTITIES } from './tables.ts'

/** However few rows there are, they come later. */
const NONE_AT_ONCE = -1

/** A port whose reads near by lack a row of the projection. */
function lackingRow(port: CassandraPort, lost: string): CassandraPort {
  return withOverrides(port, {
    select: async (table, selection) => {
      const rows = await port.select(table, selection)
      return table === ENTITIES && selection.consistency === 'LOCAL_QUORUM'
        ? rows.filter(({ id }) => id !== lost)
        : rows
    },
  })
}

test('a node without a copy answers for what it has not filled in yet, and says so when it can not', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const isLater = (kind: string) => kind === 'members' || kind === 'domains'
  const writer = await follower(port, { isLater, wholeRows: NONE_AT_ONCE })
  await commit(writer, put('groups', { id: 'g', name: 'group' }))
  const members = Array.from({ length: 40 }, (_, n) =>
    put('members', { id: `m${n}`, group: { id: 'g' }, key: `key-${n}` }),
  )
  await commit(writer, ...members)
  await writer.project()
  // Above the watermark: only the log has these.
  await commit(writer, put('members', { id: 'm1', group: { id: 'g' }, key: 'another' }), del('members', 'm2'))

  const fresh = await follower(port, { isLater, wholeRows: NONE_AT_ONCE })
  assert.deepEqual(fresh.filling, { parts: 4, done: 0, rows: 0 })
  const keyed = async (key: string) => (await fresh.lookup('members', 'key', key, W1))?.document.id
  assert.equal(await keyed('another'), 'm1')
  assert.equal(await keyed('key-1'), undefined)
  assert.equal(await keyed('key-2'), undefined)
  port.failure = new CassandraFailure('unreachable', 'gone', true)
  await assert.rejects(keyed('key-3'), { code: 'STORE_UNAVAILABLE' })
  await assert.rejects(keyed('nobody'), { code: 'STORE_UNAVAILABLE' })
  await assert.rejects(fresh.get('members', 'm3'), { code: 'STORE_UNAVAILABLE' })
  await assert.rejects(fresh.fillNext())
  port.failure = null
  assert.equal(await keyed('key-3'), 'm3')
  assert.equal(await keyed('nobody'), undefined)
  assert.equal((await fresh.get('members', 'm4'))?.document['key'], 'key-4')
  const inGroup = await fresh.list('members', { reference: { field: 'group', id: 'g' } }, { size: 100 })
  assert.equal(inGroup.rows.length, 39)
  const tagged = { tags: { match: 'any', values: ['t'] } } as const
  await assert.rejects(fresh.list('members', tagged, { size: 1 }), { code: 'STORE_UNAVAILABLE' })
  // What is written needs all that it may meet.
  const taken = transaction([put('members', { id: 'x', group: { id: 'g' }, key: 'key-5' })])
  await assert.rejects(fresh.append(taken, (await fresh.head()).revision), { code: 'STORE_UNAVAILABLE' })
  await commit(fresh, put('groups', { id: 'h', name: 'other' }))

  await writer.poll()
  await commit(writer, put('members', { id: 'late', group: { id: 'g' }, key: 'late' }))
  await fresh.poll()
  while (await fresh.fillNext());
  assert.equal(fresh.filling, null)
  await fresh.poll()
  assert.deepEqual(await fresh.head(), await writer.head())
  assert.deepEqual(await allRows(fresh), await allRows(writer))
  assert.equal((await fresh.append(taken, (await fresh.head()).revision)).outcome, 'refused')
})

test('what is looked up is read alone; where its workspace is not known, with its part', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const isLater = (kind: string) => kind === 'members' || kind === 'domains'
  const writer = await follower(port, { isLater, wholeRows: NONE_AT_ONCE })
  await commit(writer, put('groups', { id: 'g', name: 'group' }, W1), put('groups', { id: 'h', name: 'other' }, W2))
  await commit(
    writer,
    ...Array.from({ length: 100 }, (_, n) => put('members', { id: `m${n}`, group: { id: 'g' }, key: `key-${n}` })),
    put('domains', { id: 'd1', name: 'one' }, W1),
    put('domains', { id: 'd2', name: 'two' }, W2),
  )
  await writer.project()

  const fresh = await follower(port, { isLater, wholeRows: NONE_AT_ONCE })
  await Promise.all([7, 7, 8, 9].map((n) => fresh.lookup('members', 'key', `key-${n}`, W1)))
  assert.deepEqual(fresh.filling, { parts: 8, done: 0, rows: 3 })
  // By its id alone: tried where the last one was.
  assert.equal((await fresh.get('members', 'm10'))?.document['key'], 'key-10')
  assert.deepEqual(fresh.filling, { parts: 8, done: 0, rows: 4 })
  // A name that is one across workspaces is found from each of them.
  assert.equal((await fresh.lookup('domains', 'name', 'two', W1))?.workspace, W2)
  assert.equal(fresh.filling?.done, 1)
  assert.equal(await fresh.get('members', 'nobody'), undefined)
  assert.equal(fresh.filling?.done, 2)
  // Moved: what is left in the workspace where it is looked for says that it is deleted.
  await commit(writer, put('groups', { id: 'h2', name: 'moving' }, W2), del('domains', 'd1', W1))
  await commit(writer, put('domains', { id: 'd1', name: 'one' }, W2))
  await writer.project()
  const third = await follower(port, { isLater, wholeRows: NONE_AT_ONCE })
  assert.equal((await third.lookup('domains', 'name', 'one', W1))?.workspace, W2)
  // More than are worth a read each.
  const all = await fresh.list('members', { reference: { field: 'group', id: 'g' }, workspace: W1 }, { size: 1000 })
  assert.equal(all.rows.length, 100)
  while (await fresh.fillNext());
  assert.equal(fresh.filling, null)
  assert.deepEqual(await allRows(fresh), await allRows(writer))
})

test('a copy whose rows are not those of the digests when it is filled is loaded anew', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const isLater = (kind: string) => kind === 'groups'
  const writer = await follower(port, { isLater, wholeRows: NONE_AT_ONCE })
  for (let n = 0; n < 10; n++) await commit(writer, put('groups', { id: `g${n}`, name: `n${n}` }))
  await writer.project()
  const lacking = lackingRow(port, 'g3')
  const fresh = await follower(lacking, { isLater, wholeRows: NONE_AT_ONCE })
  while (await fresh.fillNext());
  assert.equal(fresh.filling, null)
  assert.deepEqual(await allRows(fresh), await allRows(writer))
})

test('nothing is filled in before it is noted of which epoch the copy is', async () => {
  const copy = memoryCopy()
  const codes: (string | undefined)[] = []
  const filler = new Filler({
    copy,
    projection: {
      bucketsOf: () => 4,
      bucketOf: () => 0,
      part: () => assert.fail('read'),
      named: () => assert.fail('read'),
    } as never,
    epoch: () => null,
    reach: async () => {},
  })
  await copy.replace({ checkpoint: { revision: 0, hash: GENESIS_HASH, digests: {} }, rows: none(), entries: none() }, [
    'members',
  ])
  for (const ask of [
    () => filler.next(),
    () => filler.get('members', 'm'),
    () => filler.lookup('members', 'key', 'k', W1),
  ])
    await ask().catch((error: { code?: string }) => codes.push(error.code))
  assert.deepEqual(codes, ['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'])
  assert.equal(copy.filling?.done, 0)
})

async function* none(): AsyncGenerator<never> {}

test('a few rows are loaded with the others', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const isLater = (kind: string) => kind === 'groups'
  const writer = await follower(port, { isLater, wholeRows: NONE_AT_ONCE })
  for (let n = 0; n < 10; n++) await commit(writer, put('groups', { id: `g${n}`, name: `n${n}` }))
  await writer.project()
  const small = await follower(port, { isLater, wholeRows: 100 })
  assert.equal(small.filling, null)
  assert.deepEqual(await allRows(small), await allRows(writer))
})
