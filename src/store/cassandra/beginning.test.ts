import assert from 'node:assert/strict'
import { test } from 'node:test'
import { append, commit, put } from '../../../test/contract/store-fixture.ts'
import { MapPort } from '../../../test/support/map-port.ts'
import { follower, withOverrides } from '../../../test/support/store-nodes.ts'
import { CassandraFailure, type CassandraPort, type TableRow } from './port.ts'
import { EPOCHS } from './tables.ts'

const noAnswer = new CassandraFailure('timeout', 'no answer', false)

/** A cluster in which another node has gone on to revision 2, and one at revision 1 whose inserts of epochs end as told. */
async function twoNodes(insertEpoch: (row: TableRow) => Promise<never> | null) {
  const port = new MapPort()
  const tried: TableRow[] = []
  const troubled: CassandraPort = withOverrides(port, {
    insertIfAbsent: (table, row, options) => {
      if (table !== EPOCHS) return port.insertIfAbsent(table, row)
      tried.push(row)
      assert.equal(options.commit, 'EACH_QUORUM')
      return insertEpoch(row) ?? port.insertIfAbsent(table, row)
    },
  })
  const other = await follower(port, { nodeId: 'other', dataCenter: 'dc2' })
  await commit(other, put('groups', { id: 'a', name: 'one' }))
  const chosen = await follower(troubled, { nodeId: 'chosen' })
  await commit(other, put('groups', { id: 'lost', name: 'lost' }))
  return { port, other, chosen, tried }
}

test('a node that was not told whether its epoch began stays where that begins until it knows', async () => {
  let isSilent = true
  const { other, chosen, tried } = await twoNodes(() => (isSilent ? Promise.reject(noAnswer) : null))
  await assert.rejects(chosen.beginEpoch(), { code: 'STORE_UNAVAILABLE', message: /whether epoch 2 began is open/ })
  await assert.rejects(chosen.poll(), { name: 'CassandraFailure', isSettled: true })
  // Nothing of a change is tried meanwhile, so it is not open.
  await assert.rejects(append(chosen, [put('groups', { id: 'b', name: 'two' })]), { code: 'STORE_UNAVAILABLE' })
  assert.equal((await chosen.head()).revision, 1)
  isSilent = false
  await chosen.poll()
  assert.deepEqual(new Set(tried.map((row) => JSON.stringify(row))).size, 1, 'each try is the same')
  assert.deepEqual([chosen.epoch, (await chosen.head()).revision, chosen.owesState], [2, 1, true])
  await chosen.project()
  await other.lookForEpoch()
  assert.deepEqual(await other.head(), await chosen.head())
  assert.equal(await other.get('groups', 'lost'), undefined)
})

test('a beginning that is done after the node was told nothing finds it where it begins', async () => {
  let late: TableRow | null = null
  const { port, chosen } = await twoNodes((row) => {
    late ??= row
    return Promise.reject(noAnswer)
  })
  await assert.rejects(chosen.beginEpoch(), { code: 'STORE_UNAVAILABLE' })
  await assert.rejects(chosen.poll())
  await port.insertIfAbsent(EPOCHS, late!)
  // It is seen nearby, though nothing can be asked of all replicas.
  await chosen.lookForEpoch()
  assert.deepEqual([chosen.epoch, (await chosen.head()).revision, chosen.owesState], [2, 1, true])
})

test('a beginning that certainly was not done leaves the node in the epoch before', async () => {
  const refused = new CassandraFailure('unavailable', 'too few replicas', true)
  const { other, chosen } = await twoNodes(() => Promise.reject(refused))
  await assert.rejects(chosen.beginEpoch(), { code: 'STORE_UNAVAILABLE', message: 'Cassandra: too few replicas' })
  await chosen.poll()
  assert.deepEqual(await chosen.head(), await other.head())
})

test('after a try without an answer one that is refused is no proof', async () => {
  const ends = [noAnswer, new CassandraFailure('unavailable', 'too few replicas', true)]
  const { chosen } = await twoNodes(() => {
    const end = ends.shift()
    return end ? Promise.reject(end) : null
  })
  await assert.rejects(chosen.beginEpoch())
  await assert.rejects(chosen.poll())
  await chosen.poll()
  assert.deepEqual([chosen.epoch, (await chosen.head()).revision], [2, 1])
})

test('an epoch that another node began with the number is followed', async () => {
  let isSilent = true
  const { other, chosen } = await twoNodes(() => (isSilent ? Promise.reject(noAnswer) : null))
  await assert.rejects(chosen.beginEpoch())
  assert.equal(await other.beginEpoch(), 2)
  await other.project()
  isSilent = false
  await chosen.poll()
  assert.deepEqual(await chosen.head(), await other.head())
  assert.equal(chosen.owesState, false)
})

test('asked for again, what was open is known first: the answer is that of an epoch which every data center was told of', async () => {
  const row: { done: TableRow | null } = { done: null }
  const { port, chosen, tried } = await twoNodes((wanted) => {
    if (row.done) return null
    row.done = wanted
    return port.insertIfAbsent(EPOCHS, wanted).then(() => Promise.reject(noAnswer))
  })
  await assert.rejects(chosen.beginEpoch())
  assert.equal(await chosen.beginEpoch(), 1)
  assert.equal(chosen.epoch, 3)
  assert.deepEqual(
    tried.map(({ epoch }) => epoch),
    [2, 2, 3],
  )
})
