/**
 * A history that follows from revision numbers alone, so that a test knows what a store has to hold at any revision, whichever
 * process wrote it; and the check of a store against it. Every transaction changes several entities in ways that would show if
 * only a part of it were there: names that are swapped, members that move, cascades.
 */
import assert from 'node:assert/strict'
import { verifyEntry } from '#store/chain.ts'
import type { ConfigStore, Operation, Transaction } from '#store/contract.ts'
import { DigestSum } from '#store/digest.ts'
import { canonicalJson } from '#store/canonical.ts'
import { NaiveState } from '../contract/naive-state.ts'
import { allRows, definitions, del, put, START_MS } from '../contract/store-fixture.ts'

/** Kept when the writer cuts its log. */
export const KEPT_REVISIONS = 20

export function transactionAt(revision: number): Transaction {
  const operations = operationsAt(revision)
  return { txid: `tx-${revision}`, operations, origin: { actor: 'writer', via: 'test' }, atMs: START_MS + revision }
}

function operationsAt(revision: number): readonly Operation[] {
  const slot = revision % 5
  const id = (index: number) => `g${(slot + index) % 5}`
  const group = (index: number) =>
    put('groups', {
      id: id(index),
      name: `name ${(revision + index) % 2} ${slot}`,
      note: String(revision),
      tags: [`r${revision % 3}`],
    })
  const pair = [del('groups', id(1)), group(0), group(1)]
  const members = [0, 1].map((index) =>
    put('members', {
      id: `m${(revision + index) % 7}`,
      group: { id: id(index) },
      key: `key ${(revision + index) % 7}`,
      tags: null,
    }),
  )
  const note = put('notes', { id: `n${revision % 4}`, group: { id: id(0) }, codes: [`code ${revision}`] })
  return revision % 11 === 0 ? [del('groups', id(0)), ...pair, ...members, note] : [...pair, ...members, note]
}

/** States by revision, made once: a check asks for them again and again. */
export class History {
  readonly #naive = new NaiveState(definitions.entities)
  readonly #states: NaiveState['rows'][] = [[]]

  stateAt(revision: number): NaiveState['rows'] {
    while (this.#states.length <= revision) {
      assert.ok(
        this.#naive.apply(operationsAt(this.#states.length)),
        `the history breaks a rule at ${this.#states.length}`,
      )
      this.#states.push(this.#naive.rows)
    }
    return this.#states[revision] as NaiveState['rows']
  }
}

/** Holds the store to everything that it promises: state, look-ups, chain and digests are those of its head, with nothing in between. */
export async function checkStore(store: ConfigStore, history: History): Promise<number> {
  const head = await store.head()
  const wanted = history.stateAt(head.revision)
  const rows = await allRows(store)
  const place = (row: { kind: string; document: { id: string } }) => `${row.kind} ${row.document.id}`
  assert.deepEqual(rows.toSorted(by(place)), wanted.toSorted(by(place)))
  for (const row of rows) {
    for (const field of ['name', 'key']) {
      if (row.document[field])
        assert.deepEqual(await store.lookup(row.kind, field, row.document[field], row.workspace), row)
    }
  }
  const referring = await store.list('members', { reference: { field: 'group', id: 'g0' } }, { size: 100 })
  const wantedIds = wanted
    .filter((row) => row.kind === 'members' && (row.document.group as { id: string }).id === 'g0')
    .map((row) => row.document.id)
  assert.deepEqual(
    referring.rows.map((row) => row.document.id),
    wantedIds.sort(),
  )
  await checkLog(store)
  return head.revision
}

async function checkLog(store: ConfigStore): Promise<void> {
  const head = await store.head()
  const checkpoint = await store.truncate({ revisions: Infinity, ageMs: Infinity, nowMs: START_MS })
  const entries = await store.changes(checkpoint, 1000)
  assert.equal(entries.length, head.revision - checkpoint)
  entries.forEach((entry, index) => {
    assert.equal(entry.revision, checkpoint + index + 1)
    const previous = index === 0 ? { revision: checkpoint, hash: entry.previousHash } : entries[index - 1]
    assert.ok(previous)
    assert.deepEqual(verifyEntry(previous, entry), { ok: true })
  })
  const last = entries.at(-1)
  if (last) assert.deepEqual(head, { revision: last.revision, hash: last.hash, digests: last.digests })
  assert.deepEqual(head.digests, await digestsOfRows(store, entries))
}

/** From the rows as they stand: their sealed bytes are in the entries that wrote them, as far as the log goes back. */
async function digestsOfRows(store: ConfigStore, entries: Awaited<ReturnType<ConfigStore['changes']>>) {
  const sealed = new Map<string, string>()
  for (const entry of entries) {
    for (const { kind, id, document } of entry.effects)
      if (document) sealed.set(`${kind} ${id} ${entry.revision}`, canonicalJson(document))
  }
  const sum = new DigestSum()
  for (const { kind, workspace, document, revision } of await allRows(store)) {
    const bytes = sealed.get(`${kind} ${document.id} ${revision}`)
    assert.ok(bytes, `${kind} ${document.id} was last written at ${revision}, which the log does not have`)
    sum.add({ kind, workspace, id: document.id, revision, sealed: bytes })
  }
  return sum.digests()
}

function by<T>(key: (value: T) => string): (a: T, b: T) => number {
  return (a, b) => (key(a) < key(b) ? -1 : 1)
}
