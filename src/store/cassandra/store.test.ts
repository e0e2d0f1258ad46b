import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '#core/errors.ts'
import type { LogEntry } from '../contract.ts'
import { allRows, append, commit, del, put, transaction } from '../../../test/contract/store-fixture.ts'
import { MapPort } from '../../../test/support/map-port.ts'
import { follower, memoryCopy, node, withOverrides } from '../../../test/support/store-nodes.ts'
import { CassandraFailure, type CassandraPort, type Selection } from './port.ts'
import { CONFIG_LOG, ENTITIES, LOG_STATE } from './tables.ts'

test('nodes hold the same state at the same revision, wherever it was written', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const [here, there] = [await follower(port), await follower(port, { dataCenter: 'dc2' })]
  await commit(here, put('groups', { id: 'a', name: 'one' }))
  await there.poll()
  await commit(there, put('groups', { id: 'b', name: 'two' }), del('groups', 'a'))
  await here.poll()
  assert.deepEqual(await here.head(), await there.head())
  assert.deepEqual(await allRows(here), await allRows(there))
})

test('of two that take the same name at once one is told of the conflict, and refused when it looks again', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const [here, there] = [await follower(port), await follower(port)]
  await commit(here, put('groups', { id: 'a', name: 'same' }))
  const late = transaction([put('groups', { id: 'b', name: 'same' })])
  assert.deepEqual(await there.append(late, 0), { outcome: 'conflict', head: 1 })
  assert.equal((await there.append(late, 1)).outcome, 'refused')
})

test('a large transaction stands in parts, which are read back as they were', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const [here, there] = [await follower(port), await follower(port)]
  // Parts are cut by length, and half of these characters would be cut in two.
  const note = `x${'😀'.repeat(150_000)}`
  await commit(here, put('groups', { id: 'a', name: 'large', note }))
  await there.poll()
  assert.equal((await there.get('groups', 'a'))?.document.note, note)
})

test('a node without a copy begins with the projection and the log after it, over borders of partitions', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const writer = await follower(port)
  for (let index = 0; index < 1030; index++) {
    await commit(writer, put('groups', { id: `g${index % 7}`, name: `n${index}` }))
    if (index === 1022) await writer.project()
  }
  await commit(writer, del('groups', 'g1'))
  const fresh = await follower(port)
  assert.deepEqual(await fresh.head(), await writer.head())
  assert.deepEqual(await allRows(fresh), await allRows(writer))
  // What its copy does not reach back to it has from the cluster.
  assert.equal((await fresh.entry(3))?.revision, 3)
  // By the id of a transaction it can't, and says from where on it can.
  const { txid } = (await writer.entry(3))!
  assert.deepEqual([await fresh.entry(txid), await fresh.logStart(), await writer.logStart()], [undefined, 1023, 0])
  assert.deepEqual(await fresh.changes(1000, 5), await writer.changes(1000, 5))
})

test('what is projected for all data centers is written once, each row as it is at last', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const writes: { rows: number; consistency: string }[] = []
  const counting = withOverrides(port, {
    insertAll: (table, rows, options) => {
      writes.push({ rows: rows.length, consistency: options.consistency })
      return port.insertAll(table, rows, options)
    },
  })
  const here = await follower(counting, { dataCenters: ['dc1', 'dc2'] })
  for (let index = 0; index < 30; index++)
    await commit(here, put('groups', { id: `g${index % 20}`, name: `n${index}` }))
  await commit(here, del('groups', 'g1'))
  await here.project('all')
  assert.equal(here.projected, 31)
  // Four partitions, of twenty rows that were written thirty times.
  assert.deepEqual(new Set(writes.map(({ consistency }) => consistency)), new Set(['EACH_QUORUM']))
  assert.ok(writes.length <= 4, String(writes.length))
  assert.equal(
    writes.reduce((sum, { rows }) => sum + rows, 0),
    20,
  )
  const there = await node(port, { dataCenter: 'dc2', dataCenters: ['dc1', 'dc2'] })
  await there.poll()
  assert.deepEqual(await allRows(there), await allRows(here))
  writes.length = 0
  await there.lookAtProjection()
  assert.equal(there.projected, 31)
})

test('while a data center can not be reached the projection for all moves no watermark, and its own is written without it', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const cut = new CassandraFailure('unavailable', 'dc2 has no replica that lives', false)
  const half = withOverrides(port, {
    insertAll: async (table, rows, options) => {
      if (options.consistency === 'EACH_QUORUM') throw cut
      await port.insertAll(table, rows, options)
    },
  })
  const here = await follower(half, { dataCenters: ['dc1', 'dc2'] })
  await commit(here, put('groups', { id: 'a', name: 'one' }))
  await assert.rejects(here.project('all'), cut)
  const marks = () =>
    Promise.all(
      ['dc1', 'dc2'].map(async (name) => {
        const partition = { epoch: 1, name: `projected ${name}` }
        const [row] = await port.select(LOG_STATE, { partition, limit: 1, consistency: 'LOCAL_QUORUM' })
        return row?.revision
      }),
    )
  assert.deepEqual(await marks(), [undefined, undefined])
  await here.project('own')
  assert.deepEqual(await marks(), [1, undefined])
  // It goes on from where the one that is farthest behind stands.
  await (await follower(port, { dataCenters: ['dc1', 'dc2'] })).project('all')
  assert.deepEqual(await marks(), [1, 1])
})

test('rows of the projection that are newer than its watermark do no harm', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const writer = await follower(port)
  await commit(writer, put('groups', { id: 'a', name: 'one' }), put('groups', { id: 'b', name: 'two' }))
  await writer.project()
  await commit(writer, put('groups', { id: 'a', name: 'two' }), put('groups', { id: 'b', name: 'one' }))
  await commit(writer, del('groups', 'b'))
  // Half of what the projector has to write is there, and its watermark is not.
  const half = withOverrides(port, {
    insertAll: async (table, rows, options) => {
      if (rows.some((row) => row.id === 'a')) await port.insertAll(table, rows, options)
    },
    insert: async (table, row, options) => {
      if (table !== LOG_STATE) await port.insert(table, row, options)
    },
  })
  await (await follower(half)).project()
  const fresh = await follower(port)
  assert.deepEqual(await fresh.head(), await writer.head())
  assert.deepEqual(await allRows(fresh), await allRows(writer))
})

test('a row that the projection lost is noticed by the digests', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const writer = await follower(port)
  await commit(writer, put('groups', { id: 'a', name: 'one' }), put('groups', { id: 'b', name: 'two' }))
  await writer.project()
  const lossy = withOverrides(port, {
    select: async (table, selection) => {
      const rows = await port.select(table, selection)
      return table === ENTITIES ? rows.filter((row) => row.id !== 'b') : rows
    },
  })
  await assert.rejects(follower(lossy), { code: 'COPY_DIVERGED' })
  // Where only this data center lacks it, the others are asked.
  const lagging = withOverrides(port, {
    select: async (table, selection) => {
      const rows = await port.select(table, selection)
      return table === ENTITIES && selection.consistency === 'LOCAL_QUORUM' ? [] : rows
    },
  })
  assert.deepEqual(await allRows(await follower(lagging)), await allRows(writer))
})

test('a row of the log that this data center lacks for good does not keep a node without a copy from loading', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const writer = await follower(port)
  for (const id of ['a', 'b', 'c']) await commit(writer, put('groups', { id, name: id }))
  await writer.project()
  await commit(writer, del('groups', 'b'))
  const lacking = withOverrides(port, {
    select: async (table, selection) => {
      const rows = await port.select(table, selection)
      const isLocal = table === CONFIG_LOG && selection.consistency === 'LOCAL_QUORUM'
      return isLocal ? rows.filter(({ revision }) => revision !== 3) : rows
    },
  })
  assert.deepEqual(await allRows(await follower(lacking)), await allRows(writer))
})

test('an insert whose answer was lost is found to be done', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  let lost = 1
  const store = await follower(
    withOverrides(port, {
      insertIfAbsent: async (table, row, options) => {
        const result = await port.insertIfAbsent(table, row, options)
        if (table === CONFIG_LOG && lost-- > 0) throw new CassandraFailure('timeout', 'no answer', false)
        return result
      },
    }),
  )
  const entry = await commit(store, put('groups', { id: 'a', name: 'one' }))
  assert.equal(entry.revision, 1)
  assert.equal((await store.head()).revision, 1)
})

test('without any answer the outcome is open, and told by the log once there is one', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  let isSilent = true
  const late: (() => Promise<unknown>)[] = []
  const store = await follower(
    withOverrides(port, {
      insertIfAbsent: async (table, row, options) => {
        if (table !== CONFIG_LOG || !isSilent) return port.insertIfAbsent(table, row, options)
        late.push(() => port.insertIfAbsent(table, row, options))
        throw new CassandraFailure('timeout', 'no answer', false)
      },
    }),
  )
  const first = transaction([put('groups', { id: 'a', name: 'one' })])
  assert.deepEqual(await store.append(first, 0), { outcome: 'open', txid: first.txid })
  assert.equal(await store.entry(first.txid), undefined)
  isSilent = false
  await store.poll()
  assert.equal((await store.entry(first.txid))?.revision, 1)
  // The request that was under way all the time arrives now.
  for (const arrive of late) await arrive()
  await store.poll()
  assert.equal((await store.head()).revision, 1)
})

test('a transaction whose outcome is open is never told not to be done, also after another one of the same slot', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  let isSilent = true
  const late: (() => Promise<unknown>)[] = []
  const store = await follower(
    withOverrides(port, {
      insertIfAbsent: async (table, row, options) => {
        if (table !== CONFIG_LOG) return port.insertIfAbsent(table, row, options)
        if (!isSilent) throw new CassandraFailure('unavailable', 'no replicas', true)
        late.push(() => port.insertIfAbsent(table, row, options))
        throw new CassandraFailure('timeout', 'no answer', false)
      },
    }),
  )
  const first = transaction([put('groups', { id: 'a', name: 'one' })])
  const second = transaction([put('groups', { id: 'b', name: 'two' })])
  for (const open of [first, second])
    assert.deepEqual(await store.append(open, 0), { outcome: 'open', txid: open.txid })
  isSilent = false
  assert.deepEqual(await store.append(first, 0), { outcome: 'open', txid: first.txid })
  await late[0]?.()
  await store.poll()
  assert.equal((await store.entry(first.txid))?.revision, 1)
})

test('what certainly was not done is said to be unavailable, and everything is still read', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const store = await follower(port)
  await commit(store, put('groups', { id: 'a', name: 'one' }))
  port.failure = new CassandraFailure('unavailable', 'no replicas', true)
  await assert.rejects(append(store, [put('groups', { id: 'b', name: 'two' })]), { code: 'STORE_UNAVAILABLE' })
  await assert.rejects(store.poll(), CassandraFailure)
  assert.equal((await store.lookup('groups', 'name', 'one', 'workspace-1'))?.document.id, 'a')
  port.failure = null
  await commit(store, put('groups', { id: 'b', name: 'two' }))
})

test('nothing is applied beyond a hole', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const writer = await follower(port)
  for (const id of ['a', 'b', 'c']) await commit(writer, put('groups', { id, name: id }))
  const isHidden = new Set([2])
  const store = await node(
    withOverrides(port, {
      select: async (table, selection) => {
        const rows = await port.select(table, selection)
        return table === CONFIG_LOG && selection.consistency !== 'SERIAL'
          ? rows.filter((row) => !isHidden.has(row.revision as number))
          : rows
      },
    }),
  )
  await store.poll()
  assert.equal((await store.head()).revision, 1)
  // A serial read finds what was decided and never told.
  await store.settle()
  assert.equal((await store.head()).revision, 3)
})

test('a node that restarts goes on from its copy, also while the cluster is away', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const copy = memoryCopy()
  const before = await follower(port, { copy })
  await commit(before, put('groups', { id: 'a', name: 'one' }))
  port.failure = new CassandraFailure('unreachable', 'no host', true)
  const after = await node(port, { copy })
  assert.equal(after.isLoaded, true)
  assert.equal((await after.head()).revision, 1)
  await assert.rejects(after.poll(), CassandraFailure)
  port.failure = null
  await after.poll()
  await commit(after, put('groups', { id: 'b', name: 'two' }))
})

test('a copy that went another way than the cluster is loaded anew', async () => {
  const [one, other] = [new MapPort(), new MapPort()]
  const copy = memoryCopy()
  await commit(await follower(one, { copy }), put('groups', { id: 'a', name: 'one' }))
  const writer = await follower(other)
  await commit(writer, put('groups', { id: 'z', name: 'other' }))
  const moved = await follower(other, { copy })
  assert.deepEqual(await moved.head(), await writer.head())
  assert.deepEqual(await allRows(moved), await allRows(writer))
})

test('a lost cluster is built again from the copy of one node, and the others go on with it', async () => {
  const lost = new MapPort()
  const [copy, behind] = [memoryCopy(), memoryCopy()]
  const survivor = await follower(lost, { copy })
  await commit(survivor, put('groups', { id: 'a', name: 'one' }), put('groups', { id: 'b', name: 'two' }))
  await follower(lost, { copy: behind })
  await commit(survivor, del('groups', 'b'), put('groups', { id: 'c', name: 'two' }))

  const port = new MapPort()
  const again = await node(port, { copy })
  assert.equal(await again.beginEpoch(), 2)
  assert.ok(again.projected < 2, 'there is something to project')
  await commit(again, put('groups', { id: 'd', name: 'four' }), del('groups', 'a'))
  await again.project()
  for (const other of [await follower(port, { copy: behind }), await follower(port)]) {
    await other.poll()
    assert.deepEqual(await other.head(), await again.head())
    assert.deepEqual(await allRows(other), await allRows(again))
    await commit(other, put('groups', { id: 'e', name: `by ${(await other.head()).revision}` }))
    await again.poll()
  }
})

test('nobody writes into an epoch that is over, or into a cluster that has lost its epochs', async () => {
  const [lost, port] = [new MapPort(), new MapPort()]
  const at: { port: CassandraPort } = { port: lost }
  const moving = withOverrides(lost, {
    select: (table, selection) => at.port.select(table, selection),
    insertIfAbsent: (table, row, options) => at.port.insertIfAbsent(table, row, options),
  })
  const copy = memoryCopy()
  const one = await follower(lost, { copy })
  const two = await follower(moving)
  await commit(one, put('groups', { id: 'a', name: 'one' }))
  await two.poll()
  at.port = port
  await assert.rejects(append(two, [put('groups', { id: 'b', name: 'two' })]), { code: 'STORE_UNAVAILABLE' })
  await (await node(port, { copy })).beginEpoch()
  const entry = await commit(two, put('groups', { id: 'b', name: 'two' }))
  assert.equal((await port.select(CONFIG_LOG, logOf(1))).length, 0)
  assert.equal((await port.select(CONFIG_LOG, logOf(2))).length, 1)
  assert.deepEqual(await (await follower(port, { copy })).entry(entry.revision), entry)
})

test('what is open from an epoch that is over is never told to be refused, whatever the state says now', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  let isSilent = true
  const writer = await follower(
    withOverrides(port, {
      insertIfAbsent: async (table, row, options) => {
        const result = await port.insertIfAbsent(table, row, options)
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

test('after a restore to an earlier state what was written since is gone on every node, and history goes on from there', async () => {
  const port = new MapPort()
  const [ahead, old] = [memoryCopy(), memoryCopy()]
  const writer = await follower(port, { copy: ahead })
  await commit(writer, put('groups', { id: 'a', name: 'one' }))
  const restored = await follower(port, { copy: old })
  await commit(writer, put('groups', { id: 'lost', name: 'lost' }))
  // The operator decides for the node that stands at revision 1.
  assert.equal(await restored.beginEpoch(), 1)
  await commit(restored, put('groups', { id: 'z', name: 'another two' }))
  await restored.project()
  await writer.lookForEpoch()
  await writer.poll()
  assert.deepEqual(await writer.head(), await restored.head())
  assert.equal(await writer.get('groups', 'lost'), undefined)
})

test('a data center where no node stood at the beginning of an epoch gets its state from the others', async () => {
  const port = new MapPort()
  const copy = memoryCopy()
  const ahead = await follower(port, { dataCenter: 'dc2' })
  const chosen = await follower(port, { copy })
  await commit(ahead, put('groups', { id: 'a', name: 'one' }))
  await chosen.poll()
  await commit(ahead, put('groups', { id: 'lost', name: 'lost' }))
  assert.equal(await chosen.beginEpoch(), 1)
  // Nobody in its data center can say what the epoch begins with, before one in the other has written it.
  await assert.rejects(ahead.lookForEpoch(), { code: 'STORE_UNAVAILABLE' })
  await chosen.project()
  await ahead.lookForEpoch()
  assert.deepEqual(await ahead.head(), await chosen.head())
  await commit(ahead, put('groups', { id: 'b', name: 'two' }))
  await ahead.project()
  const fresh = await follower(port, { dataCenter: 'dc2' })
  assert.deepEqual(await allRows(fresh), await allRows(ahead))
})

test('a transaction that was committed is said to be so, also when the copy has to be loaded anew for it', async () => {
  const port = new MapPort()
  const copy = memoryCopy()
  const store = await follower(port, { copy })
  await commit(store, put('groups', { id: 'a', name: 'one' }))
  let isDamaged = true
  const adopt = copy.adopt.bind(copy)
  copy.adopt = async (entries) => {
    if (isDamaged) throw new GatewayError('COPY_DIVERGED', 'other rows than the digests say')
    await adopt(entries)
  }
  const entry = await commit(store, put('groups', { id: 'b', name: 'two' }))
  isDamaged = false
  assert.equal(entry.revision, 2)
  assert.deepEqual(await store.head(), await (await follower(port)).head())
})

test('an entry that does not follow is not taken over', async () => {
  const port: MapPort & CassandraPort = new MapPort()
  const writer = await follower(port)
  const { entry } = (await append(writer, [put('groups', { id: 'a', name: 'one' })])) as { entry: LogEntry }
  const copy = memoryCopy()
  await assert.rejects(copy.adopt([{ ...entry, previousHash: 'f'.repeat(64) }]), { code: 'COPY_DIVERGED' })
  await assert.rejects(copy.adopt([entry, entry]), { code: 'COPY_DIVERGED' })
  assert.equal((await copy.head()).revision, 0)
  await copy.adopt([entry])
  assert.deepEqual(await copy.head(), await writer.head())
})

function logOf(epoch: number): Selection {
  return { partition: { epoch, segment: 0 }, limit: 10, consistency: 'LOCAL_QUORUM' }
}
