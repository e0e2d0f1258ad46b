import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commit, definitions, put, START_MS, testKeyring, transaction } from '../../../test/contract/store-fixture.ts'
import { MapPort } from '../../../test/support/map-port.ts'
import { createMemoryCopy } from '../memory.ts'
import { CassandraFailure, type CassandraPort, type Table, type TableRow } from './port.ts'
import { openCassandraStore } from './store.ts'
import { CONFIG_LOG } from './tables.ts'

/** A node whose clock only moves while it waits. */
async function follower(port: CassandraPort) {
  let nowMs = START_MS
  const store = await openCassandraStore({
    port,
    copy: createMemoryCopy({ definitions, keyring: testKeyring(), nowMs: () => START_MS }),
    dataCenter: 'dc1',
    nodeId: 'a-node',
    bucketsOf: () => 4,
    nowMs: () => nowMs,
    delay: async () => {
      nowMs += 1000
    },
    random: () => 0.5,
    log: { info() {}, warn() {} },
  })
  await store.poll()
  return store
}

test('what is open from an epoch that is over is never told to be refused, whatever the state says now', async () => {
  const port = new MapPort()
  let isSilent = true
  const silent = new MapPort()
  const writer = await follower(
    Object.assign(silent, {
      select: port.select.bind(port),
      insert: port.insert.bind(port),
      insertAll: port.insertAll.bind(port),
      insertIfAbsent: async (table: Table, row: TableRow) => {
        const result = await port.insertIfAbsent(table, row)
        if (table === CONFIG_LOG && isSilent) throw new CassandraFailure('timeout', 'no answer', false)
        return result
      },
    }),
  )
  const first = transaction([put('groups', { id: 'a', name: 'one' })])
  assert.deepEqual(await writer.append(first, 0), { outcome: 'open', txid: first.txid })
  const other = await follower(port)
  assert.equal((await other.head()).revision, 1)
  await other.beginEpoch()
  await other.project()
  await commit(other, put('groups', { id: 'a', name: 'two' }), put('groups', { id: 'b', name: 'one' }))
  isSilent = false
  await writer.lookForEpoch()
  await writer.poll()
  const { revision } = await writer.head()
  assert.equal(revision, 2)
  // Done by its own it would be refused: the name is taken.
  assert.deepEqual(await writer.append(first, revision), { outcome: 'open', txid: first.txid })
})
