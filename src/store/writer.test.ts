import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { NaiveState } from '../../test/contract/naive-state.ts'
import { transactions } from '../../test/contract/config-store-random.ts'
import {
  allRows,
  commit,
  definitions,
  del,
  ids,
  insert,
  put,
  START_MS,
  testKeyring,
  transaction,
  W1,
} from '../../test/contract/store-fixture.ts'
import type { AppendResult, ConfigStore, Operation, Transaction } from './contract.ts'
import { createMemoryStore } from './memory.ts'
import { createWriter, type WriterOptions } from './writer.ts'

const origin = { actor: 'ann', via: 'admin' }

function bench(more: Partial<WriterOptions> = {}) {
  const keyring = testKeyring()
  const store = more.store ?? createMemoryStore({ definitions, keyring, nowMs: () => START_MS })
  let uuids = 0
  const writer = createWriter({
    definitions,
    keyring,
    nowMs: () => START_MS,
    uuid: () => `txid-${uuids++}`,
    random: () => 0,
    delay: () => Promise.resolve(),
    ...more,
    store,
  })
  const write = (operations: readonly Operation[], ifRevision?: number) =>
    writer.write(async () => ({ operations }), { origin, ...(ifRevision === undefined ? {} : { ifRevision }) })
  return { store, writer, write }
}

/** A store whose appends answer what the test says, before they are passed on. */
function answering(
  store: ConfigStore,
  answer: (transaction: Transaction, revision: number) => Promise<AppendResult | undefined>,
): ConfigStore {
  return new Proxy(store, {
    get: (target, name: keyof ConfigStore) =>
      name === 'append'
        ? async (one: Transaction, revision: number) => (await answer(one, revision)) ?? target.append(one, revision)
        : (target[name] as () => unknown).bind(target),
  })
}

test('writes that come one by one while it gathers are one transaction', async () => {
  const gathered: (() => void)[] = []
  const { store, write } = bench({ gather: () => new Promise((resolve) => gathered.push(resolve)) })
  const results: Promise<{ readonly outcome: string }>[] = []
  for (const name of ['a', 'b', 'c']) {
    results.push(write([put('groups', { id: name, name })]))
    // As between two requests of one turn of the event loop: everything that only waits for promises goes on.
    for (let step = 0; step < 50; step++) await Promise.resolve()
  }
  gathered.shift()?.()
  assert.deepEqual(
    (await Promise.all(results)).map(({ outcome }) => outcome),
    ['appended', 'appended', 'appended'],
  )
  assert.equal((await store.head()).revision, 1)
})

test('commits writes that come at once as one transaction, each with its own result', async () => {
  const { store, writer, write } = bench()
  const results = await Promise.all([
    write([put('groups', { id: 'g', name: 'same' })]),
    write([put('groups', { id: 'h', name: 'same' })]),
    write([put('members', { id: 'm', group: { id: 'g' }, key: 'k' })]),
    writer.write(async () => ({ refusal: 'not today' }), { origin }),
    write([]),
    write([put('members', { id: 'x', group: { id: 'none' }, key: 'k2' })]),
  ])
  assert.deepEqual(
    results.map(({ outcome }) => outcome),
    ['appended', 'violation', 'appended', 'refused', 'unchanged', 'violation'],
  )
  assert.equal((await store.head()).revision, 1)
  assert.deepEqual(await ids(store, 'groups'), ['g'])
  assert.deepEqual(await ids(store, 'members'), ['m'])
  assert.partialDeepStrictEqual(results[1], { violation: { type: 'unique', existingId: 'g' } })
  assert.deepEqual(results[3], { outcome: 'refused', refusal: 'not today' })
})

test('keeps of each member of a group who asked for it, under a txid of its own', async () => {
  const { store, writer } = bench()
  const by = (actor: string, id: string) =>
    writer.write(async () => ({ operations: [put('groups', { id, name: id })] }), { origin: { actor, via: 'admin' } })
  const [ann, bob] = await Promise.all([by('ann', 'a'), by('bob', 'b')])
  const entry = await store.entry(1)
  assert.deepEqual(entry?.members, [
    { txid: (ann as { txid: string }).txid, origin: { actor: 'ann', via: 'admin' }, operations: 1 },
    { txid: (bob as { txid: string }).txid, origin: { actor: 'bob', via: 'admin' }, operations: 1 },
  ])
  assert.deepEqual(await store.entry((bob as { txid: string }).txid), entry)
  const alone = await by('ann', 'c')
  assert.partialDeepStrictEqual(await store.entry((alone as { txid: string }).txid), {
    origin: { actor: 'ann' },
    revision: 2,
  })
})

test('shows a later member of a group what the earlier ones do', async () => {
  const { store, writer, write } = bench()
  const seen: unknown[] = []
  await Promise.all([
    write([put('groups', { id: 'g', name: 'new', tags: ['t'] }), put('notes', { id: 'n', group: { id: 'g' } })]),
    writer.write(
      async (state) => {
        seen.push((await state.get('groups', 'g'))?.document.name)
        seen.push((await state.lookup('groups', 'name', 'new', W1))?.document.id)
        seen.push((await state.list('groups', { tags: { match: 'all', values: ['t'] } }, { size: 5 })).rows.length)
        seen.push((await state.list('notes', { reference: { field: 'group', id: 'g' } }, { size: 5 })).rows.length)
        return { operations: [del('groups', 'g')] }
      },
      { origin },
    ),
    writer.write(
      async (state) => {
        seen.push(await state.get('groups', 'g'), await state.lookup('groups', 'name', 'new', W1))
        seen.push((await state.get('notes', 'n'))?.document.group)
        return { operations: [] }
      },
      { origin },
    ),
  ])
  assert.deepEqual(seen, ['new', 'g', 1, 1, undefined, undefined, null])
  assert.deepEqual(await ids(store, 'groups'), [])
})

test('judges If-Match against what the group has done before', async () => {
  const { store, write } = bench()
  await commit(store, put('groups', { id: 'g', name: 'g' }))
  const results = await Promise.all([
    write([], 1),
    write([put('groups', { id: 'a', name: 'a' })], 0),
    write([put('groups', { id: 'b', name: 'b' })], 1),
    write([put('groups', { id: 'c', name: 'c' })], 1),
    write([put('groups', { id: 'd', name: 'd' })], 2),
    write([put('groups', { id: 'e', name: 'e' })]),
  ])
  assert.deepEqual(
    results.map(({ outcome }) => outcome),
    ['unchanged', 'precondition_failed', 'appended', 'precondition_failed', 'precondition_failed', 'appended'],
  )
  assert.deepEqual(await ids(store, 'groups'), ['b', 'e', 'g'])
  assert.deepEqual(results[3], { outcome: 'precondition_failed', revision: 2 })
})

test('builds and judges again when another took the revision', async () => {
  const inner = bench().store
  let conflicts = 2
  const store = answering(inner, async (_, revision) => {
    if (conflicts-- <= 0) return undefined
    // Another node is faster, and takes what the refused one was refused for.
    await inner.append(
      transaction([put('groups', { id: `other${conflicts}`, name: `other${conflicts}` }), del('groups', 'g')]),
      revision,
    )
    return undefined
  })
  await commit(inner, put('groups', { id: 'g', name: 'taken' }))
  const { writer, write } = bench({ store })
  const heads: number[] = []
  const [first, second] = await Promise.all([
    writer.write(
      async (_state, head) => {
        heads.push(head.revision)
        return { operations: [put('groups', { id: 'a', name: 'a' })] }
      },
      { origin },
    ),
    write([insert('groups', { id: 'b', name: 'taken' })]),
  ])
  assert.deepEqual(heads, [1, 2, 3])
  assert.partialDeepStrictEqual(first, { outcome: 'appended', revision: 4 })
  assert.equal(second.outcome, 'appended')
})

test('does not refuse by a state that was torn by a commit of another', async () => {
  const inner = bench().store
  const { writer } = bench({ store: inner })
  let builds = 0
  const result = await writer.write(
    async () => {
      // What is read first and what is read last are not one state the first time.
      if (builds++ === 0) await commit(inner, put('groups', { id: 'g', name: 'g' }))
      return builds === 1 ? { refusal: 'torn' } : { operations: [] }
    },
    { origin },
  )
  assert.deepEqual(result, { outcome: 'unchanged', revision: 1 })
})

test('tells an open outcome as open, and judges the others of the group again', async () => {
  const inner = bench().store
  let isOpen = true
  const store = answering(inner, async (one) => {
    if (!isOpen) return undefined
    isOpen = false
    return { outcome: 'open', txid: one.txid }
  })
  const { write } = bench({ store })
  const [first, second] = await Promise.all([
    write([put('groups', { id: 'a', name: 'same' })]),
    write([put('groups', { id: 'b', name: 'same' })]),
  ])
  assert.equal(first.outcome, 'open')
  // Refused because of the first, which may never come to be: alone it is accepted.
  assert.equal(second.outcome, 'appended')
})

test('commits one by one what is too large together', async () => {
  const { store, write } = bench()
  const large = (id: string) =>
    write(
      Array.from({ length: 10 }, (_, index) =>
        put('groups', { id: `${id}${index}`, name: null, note: 'x'.repeat(4 << 20) }),
      ),
    )
  const results = await Promise.all([large('a'), write([put('groups', { id: 'small', name: 'n' })]), large('b')])
  assert.deepEqual(
    results.map(({ outcome }) => outcome),
    ['appended', 'appended', 'appended'],
  )
  assert.equal((await store.head()).revision, 3)
})

test('gives a failing build to its caller alone, and never commits what it built before', async () => {
  const inner = bench().store
  let conflicts = 1
  const store = answering(inner, async (_, revision) => {
    if (conflicts-- > 0) await inner.append(transaction([put('groups', { id: 'other', name: 'other' })]), revision)
    return undefined
  })
  const { writer, write } = bench({ store })
  let builds = 0
  const failing = writer.write(
    async () => {
      if (builds++ === 0) throw new Error('broken')
      return { operations: [put('groups', { id: 'never', name: 'never' })] }
    },
    { origin },
  )
  const other = write([put('groups', { id: 'a', name: 'a' })])
  await assert.rejects(failing, /broken/)
  assert.equal((await other).outcome, 'appended')
  assert.deepEqual(await ids(inner, 'groups'), ['a', 'other'])
})

test('gives up at the deadline, turns away what the queue can not hold, and lets the store fail', async () => {
  const inner = bench().store
  let nowMs = START_MS
  const contended = answering(inner, async (_, revision) => {
    nowMs += 400
    return { outcome: 'conflict', head: revision + 1 }
  })
  const { write } = bench({ store: contended, nowMs: () => nowMs, deadlineMs: 1000 })
  assert.deepEqual(await write([put('groups', { id: 'a', name: 'a' })]), { outcome: 'unavailable', reason: 'deadline' })

  const small = bench({ queueLimit: 2 })
  const results = await Promise.all(
    [1, 2, 3].map((index) => small.write([put('groups', { id: `g${index}`, name: `${index}` })])),
  )
  assert.deepEqual(results[2], { outcome: 'unavailable', reason: 'queue_full' })

  const broken = bench({ store: answering(inner, () => Promise.reject(new Error('disk'))) })
  await assert.rejects(broken.write([put('groups', { id: 'a', name: 'a' })]), /disk/)
})

test('finishes what is under way when it is closed, and takes nothing new', async () => {
  const { store, writer, write } = bench({ delay })
  const first = write([put('groups', { id: 'a', name: 'a' })])
  const closed = writer.close()
  assert.deepEqual(await write([put('groups', { id: 'b', name: 'b' })]), { outcome: 'unavailable', reason: 'closed' })
  await closed
  assert.equal((await first).outcome, 'appended')
  assert.deepEqual(await ids(store, 'groups'), ['a'])
})

test('does in any grouping what happens when the same writes come one after the other', async () => {
  const property = fc.asyncProperty(transactions, fc.integer({ min: 1, max: 8 }), async (run, groupLimit) => {
    const { store, write } = bench({ groupLimit })
    const naive = new NaiveState(definitions.entities)
    const results = await Promise.all(run.map((operations) => write(operations)))
    const wanted = run.map((operations) => (naive.apply(operations) ? 'appended' : 'violation'))
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      wanted,
    )
    const shown = (rows: readonly { kind: string; document: object }[]) =>
      rows.map(({ kind, document }) => JSON.stringify([kind, document])).sort()
    const stored = (await allRows(store)).map((row) => ({ ...row, document: reordered(row.document) }))
    assert.deepEqual(shown(stored), shown(naive.rows.map((row) => ({ ...row, document: reordered(row.document) }))))
  })
  await fc.assert(property, { numRuns: 100 })
})

function reordered(document: object): object {
  return Object.fromEntries(Object.entries(document).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
