/** Random transactions: the store accepts, refuses and ends up with exactly what the naive state does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Document, Row } from '#model/document.ts'
import type { ConfigStore, Operation } from '#store/contract.ts'
import { effort } from '../support/effort.ts'
import type { OpenStore } from './config-store.ts'
import { NaiveState } from './naive-state.ts'
import { allRows, append, definitions, ids, kinds, START_MS, testKeyring, W1, W2 } from './store-fixture.ts'

/** Small sets of ids and values, so that transactions meet each other all the time. */
const id = fc.constantFrom('a', 'b', 'c')
const value = fc.constantFrom('x', 'y', 'z', null)
const reference = fc.option(plain({ id }), { nil: null, freq: 4 })
const tags = fc.option(fc.uniqueArray(fc.constantFrom('t', 'u')), { nil: null })
const workspace = fc.constantFrom(W1, W1, W1, W2)

const documents: readonly fc.Arbitrary<{ kind: string; document: Document }>[] = [
  entity('groups', { id, name: value, note: fc.constantFrom('1', '2'), tags }),
  entity('members', { id, group: plain({ id }), key: value, tags }),
  entity('notes', { id, group: reference }),
  entity('locks', { id, member: reference, group: reference }),
  entity('links', { id, name: fc.constantFrom('x', 'y'), group: reference }),
  entity('domains', { id, name: value }),
  entity('authorities', { id, name: value }),
]
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.oneof(...documents), workspace, fc.boolean())
      .map(([made, at, insert]) => ({ op: 'put' as const, ...made, workspace: at, ...(insert ? { insert } : {}) })),
  },
  {
    weight: 1,
    arbitrary: plain({ op: fc.constant('delete' as const), kind: fc.constantFrom(...kinds), workspace, id }),
  },
)
export const transactions = fc.array(fc.array(operation, { minLength: 1, maxLength: 6 }), {
  minLength: 1,
  maxLength: 25,
})

export function randomTests(open: OpenStore): void {
  test('does the same as a naive state with any transactions', async () => {
    const property = fc.asyncProperty(transactions, async (run) => {
      const store = await open({ definitions, keyring: testKeyring(), nowMs: () => START_MS })
      const naive = new NaiveState(definitions.entities)
      try {
        for (const operations of run) {
          const result = await append(store, operations)
          assert.equal(result.outcome, naive.apply(operations) ? 'appended' : 'refused', JSON.stringify(result))
        }
        await compare(store, naive)
      } finally {
        await store.close()
      }
    })
    await fc.assert(property, { numRuns: effort(60, 2000) })
  })
}

async function compare(store: ConfigStore, naive: NaiveState): Promise<void> {
  assert.equal((await store.head()).revision, naive.revision)
  assert.deepEqual(sorted(await allRows(store)), sorted(naive.rows))
  for (const row of naive.rows) {
    assert.deepEqual(await store.get(row.kind, row.document.id), row)
    for (const [name, field] of Object.entries(definitions.entities.get(row.kind)?.fields ?? {})) {
      const held = row.document[name]
      if (field.unique && held !== null) assert.deepEqual(await store.lookup(row.kind, name, held, row.workspace), row)
    }
  }
  for (const kind of kinds) {
    for (const one of ['a', 'b', 'c']) {
      const filter = { reference: { field: 'group', id: one } }
      const wanted = naive.rows.filter(
        (row) => row.kind === kind && (row.document.group as { id: string } | null)?.id === one,
      )
      if (definitions.entities.get(kind)?.fields.group) assert.deepEqual(await ids(store, kind, filter), idsOf(wanted))
    }
    const tagged = naive.rows.filter(
      (row) => row.kind === kind && (row.document.tags as string[] | null)?.includes('t'),
    )
    assert.deepEqual(await ids(store, kind, { tags: { match: 'all', values: ['t'] } }), idsOf(tagged))
    // Nothing is left under values that nobody has.
    for (const [name, field] of Object.entries(definitions.entities.get(kind)?.fields ?? {})) {
      if (!field.unique) continue
      for (const free of ['x', 'y', 'z']) {
        const isHeld = naive.rows.some(
          (row) => row.kind === kind && row.document[name] === free && (row.workspace !== W2 || field.unique_across_ws),
        )
        assert.equal((await store.lookup(kind, name, free, W1)) !== undefined, isHeld)
      }
    }
  }
}

function entity(
  kind: string,
  fields: Record<string, fc.Arbitrary<unknown>>,
): fc.Arbitrary<{ kind: string; document: Document }> {
  return plain(fields).map((document) => ({ kind, document: document as unknown as Document }))
}

/** A record as a store gives it back: with the usual prototype. */
function plain<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true })
}

function idsOf(rows: readonly Row[]): readonly string[] {
  return rows.map((row) => row.document.id).sort()
}

function sorted(rows: readonly Row[]): readonly Row[] {
  const place = (row: Row) => `${row.kind} ${row.document.id}`
  return [...rows].sort((a, b) => (place(a) < place(b) ? -1 : 1))
}
