/** Nodes of two versions on one log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { append, commit, put } from '../../../test/contract/store-fixture.ts'
import { MapPort } from '../../../test/support/map-port.ts'
import { follower } from '../../../test/support/store-nodes.ts'
import type { CassandraPort } from './port.ts'
import { CONFIG_LOG } from './tables.ts'

test('an entry that a newer version wrote in another form is not applied: the node stays at what it can read', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const [writer, older] = [await follower(port), await follower(port)]
  await commit(writer, put('groups', { id: 'a', name: 'one' }))
  await commit(writer, put('groups', { id: 'b', name: 'two' }))
  const [row] = await port.select(CONFIG_LOG, {
    partition: { epoch: 1, segment: 0 },
    equals: { revision: 2 },
    limit: 1,
    consistency: 'SERIAL',
  })
  const entry = JSON.stringify({ ...(JSON.parse(row!.entry as string) as object), format: 2 })
  const next = { ...row!, revision: 3, txid: 'of the future', entry }
  assert.deepEqual(await port.insertIfAbsent(CONFIG_LOG, next, { serial: 'SERIAL', commit: 'QUORUM' }), {
    isApplied: true,
  })
  await older.poll()
  assert.equal((await older.head()).revision, 2)
  for (let n = 0; n < 2; n++) {
    await assert.rejects(older.poll(), {
      code: 'SCHEMA_NEWER',
      message: 'revision 3 of the log is in format 2, which a newer version wrote; this one reads 1',
    })
    assert.equal((await older.get('groups', 'b'))?.document.name, 'two')
  }
  const late = append(older, [put('groups', { id: 'c', name: 'three' })])
  await assert.rejects(late, { code: 'SCHEMA_NEWER' })
  assert.equal((await older.head()).revision, 2)
})

test('what a node that follows could not read is not written, and everything else is', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const store = await follower(port, {
    whoCannotRead: (kinds) => (kinds.includes('notes') ? 'node n does not know notes' : null),
  })
  await commit(store, put('groups', { id: 'a', name: 'one' }))
  await assert.rejects(append(store, [put('notes', { id: 'n', group: null })]), {
    code: 'NODE_OLDER',
    message: 'node n does not know notes',
  })
  await commit(store, put('groups', { id: 'b', name: 'two' }))
  assert.equal((await store.head()).revision, 2)
})
