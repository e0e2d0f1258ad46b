/** The log: changes since a revision, the chain, the digests, what is kept. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalJson } from '#store/canonical.ts'
import { GENESIS_HASH, verifyEntry } from '#store/chain.ts'
import type { ConfigStore, LogEntry } from '#store/contract.ts'
import { DigestSum, type StoredRow } from '#store/digest.ts'
import type { WithStore } from './config-store.ts'
import { allRows, append, commit, del, put, START_MS, transaction } from './store-fixture.ts'

export function logTests(withStore: WithStore): void {
  test(
    'gives the entries after a revision in order, as they were appended',
    withStore(async ({ store }) => {
      const entries: LogEntry[] = []
      for (let index = 0; index < 5; index++)
        entries.push(await commit(store, put('groups', { id: 'g', name: `n${index}` })))
      assert.deepEqual(await store.changes(0, 100), entries)
      assert.deepEqual(await store.changes(2, 2), entries.slice(2, 4))
      assert.deepEqual(await store.changes(5, 100), [])
      assert.deepEqual(await store.changes(9, 100), [])
    }),
  )

  test(
    'keeps who did it, when and from where, and finds an entry by revision and by txid',
    withStore(async ({ store }) => {
      const origin = { actor: 'ann', via: 'admin', requestId: 'r1', address: '192.0.2.1' }
      const member = { txid: 'part', origin: { actor: 'bob', via: 'admin' }, operations: 1 }
      await commit(store, put('groups', { id: 'a', name: 'a' }))
      const whole = transaction([put('groups', { id: 'g', name: 'g' })], {
        txid: 'whole',
        origin,
        atMs: START_MS + 5,
        members: [member],
      })
      await store.append(whole, 1)
      const entry = await store.entry(2)
      assert.partialDeepStrictEqual(entry, {
        revision: 2,
        txid: 'whole',
        origin,
        atMs: START_MS + 5,
        members: [member],
      })
      assert.deepEqual(await store.entry('whole'), entry)
      assert.deepEqual(await store.entry('part'), entry)
      assert.equal(await store.entry('none'), undefined)
      assert.equal(await store.entry(3), undefined)
      assert.equal(await store.entry(0), undefined)
    }),
  )

  test(
    'chains each entry to the one before, and shows any that was altered',
    withStore(async ({ store }) => {
      await fill(store)
      let head = { revision: 0, hash: GENESIS_HASH }
      for (const entry of await store.changes(0, 100)) {
        assert.deepEqual(verifyEntry(head, entry), { ok: true })
        for (const altered of alterations(entry)) assert.equal(verifyEntry(head, altered).ok, false)
        head = entry
      }
      assert.partialDeepStrictEqual(await store.head(), { revision: head.revision, hash: head.hash })
    }),
  )

  test(
    'keeps the chain when a document is erased later',
    withStore(async ({ store }) => {
      const entry = await commit(store, put('groups', { id: 'g', name: 'g' }))
      const [effect] = entry.effects
      assert.ok(effect)
      const erased = { ...entry, effects: [{ ...effect, document: null }] }
      assert.deepEqual(verifyEntry({ revision: 0, hash: GENESIS_HASH }, erased), { ok: true })
    }),
  )

  test(
    'sums up the rows of each kind to a digest that a replay of the log gives too',
    withStore(async ({ store }) => {
      await fill(store)
      const rows = new Map<string, StoredRow>()
      for (const entry of await store.changes(0, 100)) {
        for (const { kind, workspace, id, document } of entry.effects) {
          if (document === null) rows.delete(`${kind} ${id}`)
          else
            rows.set(`${kind} ${id}`, {
              kind,
              workspace,
              id,
              revision: entry.revision,
              sealed: canonicalJson(document),
            })
        }
        const sum = new DigestSum()
        for (const row of [...rows.values()].reverse()) sum.add(row)
        assert.deepEqual(entry.digests, sum.digests())
      }
      assert.deepEqual((await store.head()).digests, (await store.entry((await store.head()).revision))?.digests)
      assert.deepEqual(Object.keys((await store.head()).digests), ['groups', 'notes'])
      const shown = (await allRows(store)).map(({ kind, document, revision }) => `${kind} ${document.id} ${revision}`)
      assert.deepEqual(
        shown.sort(),
        [...rows.values()].map(({ kind, id, revision }) => `${kind} ${id} ${revision}`).sort(),
      )
    }),
  )
}

export function retentionTests(withStore: WithStore, isLogCut: boolean): void {
  /** Ten entries, one a second. */
  const ten = async (store: ConfigStore) => {
    for (let index = 1; index <= 10; index++) {
      await append(store, [put('groups', { id: `g${index}`, name: `n${index}` })], {
        atMs: START_MS + index * 1000,
        txid: `t${index}`,
      })
    }
  }
  const nowMs = START_MS + 11_000

  test(
    'cuts the log to the revisions that are kept, and says so to who asks for more',
    withStore(async ({ store }) => {
      await ten(store)
      const entries = await store.changes(0, 100)
      assert.equal(await store.truncate({ revisions: 4, ageMs: 0, nowMs }), 6)
      assert.deepEqual(await store.changes(6, 100), entries.slice(6))
      if (isLogCut) {
        await assert.rejects(store.changes(5, 100), { code: 'LOG_TRUNCATED' })
        await assert.rejects(store.changes(0, 1), { code: 'LOG_TRUNCATED' })
        assert.equal(await store.entry(6), undefined)
      } else {
        assert.deepEqual(await store.changes(5, 100), entries.slice(5))
        assert.deepEqual(await store.entry(6), entries[5])
      }
      assert.equal(await store.entry('t6'), undefined)
      assert.equal((await store.entry('t7'))?.revision, 7)
      // The state and what comes next do not depend on what was cut.
      assert.equal((await store.get('groups', 'g1'))?.revision, 1)
      const next = await commit(store, del('groups', 'g1'))
      assert.deepEqual(verifyEntry(entries.at(-1) as LogEntry, next), { ok: true })
    }),
  )

  test(
    'keeps by number or by age, whichever is more, and what a live node still needs',
    withStore(async ({ store }) => {
      await ten(store)
      assert.equal(await store.truncate({ revisions: 20, ageMs: 0, nowMs }), 0)
      assert.equal(await store.truncate({ revisions: 1, ageMs: 60_000, nowMs }), 0)
      assert.equal(await store.truncate({ revisions: 1, ageMs: 8_500, nowMs }), 2)
      assert.equal(await store.truncate({ revisions: 1, ageMs: 0, nowMs, neededAfter: 5 }), 5)
      assert.equal(await store.truncate({ revisions: 9, ageMs: 60_000, nowMs }), 5)
      assert.equal(await store.truncate({ revisions: 0, ageMs: 0, nowMs }), 10)
      assert.deepEqual(await store.changes(10, 10), [])
      assert.equal((await store.head()).revision, 10)
    }),
  )
}

/** Some of everything: creations, changes, cascades, secrets. */
async function fill(store: ConfigStore): Promise<void> {
  await commit(store, put('groups', { id: 'a', name: 'a' }), put('groups', { id: 'b', name: 'b' }))
  await commit(
    store,
    put('members', { id: 'm', group: { id: 'a' }, key: 'secret' }),
    put('notes', { id: 'n', group: { id: 'a' } }),
  )
  await commit(store, put('groups', { id: 'b', name: 'c' }))
  await commit(store)
  await commit(store, del('groups', 'a'))
}

function alterations(entry: LogEntry): readonly LogEntry[] {
  const [effect, ...others] = entry.effects
  const altered: LogEntry[] = [
    { ...entry, revision: entry.revision + 1 },
    { ...entry, atMs: entry.atMs + 1 },
    { ...entry, txid: 'other' },
    { ...entry, origin: { ...entry.origin, actor: 'other' } },
    { ...entry, digests: { ...entry.digests, groups: 'f'.repeat(64) } },
    { ...entry, previousHash: 'f'.repeat(64) },
    { ...entry, hash: 'f'.repeat(64) },
  ]
  if (effect) {
    altered.push(
      { ...entry, effects: others },
      { ...entry, effects: [...entry.effects, effect] },
      { ...entry, effects: [{ ...effect, id: 'other' }, ...others] },
      { ...entry, effects: [{ ...effect, document: { id: 'other' } }, ...others] },
      { ...entry, before: [{ id: 'other' }, ...entry.before.slice(1)] },
    )
  }
  return altered
}
