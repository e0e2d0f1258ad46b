import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  allRows,
  commit,
  definitions,
  del,
  kinds,
  put,
  START_MS,
  testKeyring,
  transaction,
  W1,
} from '../../test/contract/store-fixture.ts'
import type { ConfigStore, Head, LogEntry } from './contract.ts'
import type { StoredRow } from './digest.ts'
import type { LocalCopy } from './local-copy.ts'
import { createMemoryCopy } from './memory.ts'
import { openLocalCopy } from './sqlite.ts'

const keyring = testKeyring()
const common = { definitions, keyring, nowMs: () => START_MS }
const LATER = ['members', 'domains']

/** What a copy is filled from: a store, and its state at an earlier moment. */
interface Origin {
  readonly store: ConfigStore
  readonly checkpoint: Head
  readonly earlier: readonly StoredRow[]
}

async function origin(): Promise<Origin> {
  const store = createMemoryCopy(common)
  await commit(store, put('groups', { id: 'g', name: 'group' }))
  await commit(store, ...['a', 'b', 'c'].map((id) => put('members', { id, group: { id: 'g' }, key: `key-${id}` })))
  await commit(store, put('domains', { id: 'd', name: 'domain' }))
  const { head, rows } = await store.stored()
  const earlier = await Array.fromAsync(rows)
  // After that: one of each kind of change.
  await commit(store, put('members', { id: 'a', group: { id: 'g' }, key: 'key-new' }))
  await commit(store, del('members', 'b'))
  await commit(store, put('members', { id: 'e', group: { id: 'g' }, key: 'key-a' }))
  return { store, checkpoint: head, earlier }
}

async function* each<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items
}

async function begin(copy: LocalCopy, { store, checkpoint, earlier }: Origin): Promise<readonly LogEntry[]> {
  const entries = await store.changes(checkpoint.revision, 100)
  const rows = earlier.filter(({ kind }) => !LATER.includes(kind))
  // One before the copy is used, the others while it is.
  await copy.replace({ checkpoint, rows: each(rows), entries: each(entries.slice(0, 1)) }, LATER)
  return entries.slice(1)
}

const copies: Readonly<Record<string, (t: TestContext) => Promise<() => Promise<LocalCopy>>>> = {
  async 'in memory'() {
    const copy = createMemoryCopy(common)
    return async () => copy
  },
  async 'on the disk, opened anew each time'(t) {
    const folder = mkdtempSync(path.join(tmpdir(), 'meridian-filling-'))
    let open: LocalCopy | null = null
    t.after(async () => {
      await open?.close()
      rmSync(folder, { recursive: true, force: true })
    })
    return async () => {
      await open?.close()
      open = await openLocalCopy({ ...common, path: path.join(folder, 'copy.db') })
      return open
    }
  },
}

for (const [name, make] of Object.entries(copies)) {
  test(`a copy is filled while entries come (${name})`, async (t) => {
    const opened = await make(t)
    const from = await origin()
    const left = await begin(await opened(), from)
    let copy = await opened()
    const rowsOf = (kind: string) => from.earlier.filter((row) => row.kind === kind)
    assert.deepEqual([...copy.filling!.kinds], LATER)
    // What it lacks it does not say not to be there.
    await assert.rejects(
      Promise.resolve().then(() => copy.get('members', 'c')),
      { code: 'STORE_UNAVAILABLE' },
    )
    await assert.rejects(
      Promise.resolve().then(() => copy.lookup('domains', 'name', 'domain', W1)),
      { code: 'STORE_UNAVAILABLE' },
    )
    await assert.rejects(
      Promise.resolve().then(() => copy.list('members', {}, { size: 1 })),
      { code: 'STORE_UNAVAILABLE' },
    )
    await assert.rejects(copy.load(kinds), { code: 'STORE_UNAVAILABLE' })
    await assert.rejects(copy.stored(), { code: 'STORE_UNAVAILABLE' })
    const taken = transaction([put('domains', { id: 'x', name: 'domain' })])
    await assert.rejects(copy.prepare(taken, (await copy.head()).revision), { code: 'STORE_UNAVAILABLE' })
    assert.equal((await copy.get('groups', 'g'))?.document.name, 'group')
    assert.equal((await copy.filling!.partial.get('members', 'a'))?.document['key'], 'key-new')
    assert.equal(await copy.filling!.partial.get('members', 'c'), undefined)

    await copy.adopt(left.slice(0, 1))
    copy = await opened()
    // Rows as they were before the entries: none of them comes back.
    await copy.filling!.fill('members', rowsOf('members'), 0)
    assert.equal(copy.filling!.isDone('members', 0), true)
    assert.equal(copy.filling!.isDone('domains', 0), false)
    copy = await opened()
    assert.equal(copy.filling!.isDone('members', 0), true)
    const partial = copy.filling!.partial
    assert.equal(await partial.get('members', 'b'), undefined)
    assert.equal((await partial.get('members', 'a'))?.document['key'], 'key-new')
    assert.equal((await partial.lookup('members', 'key', 'key-c', W1))?.document.id, 'c')
    await copy.adopt(left.slice(1))
    assert.equal((await copy.filling!.partial.lookup('members', 'key', 'key-a', W1))?.document.id, 'e')

    // A domain is missing: it is not whole, and says so.
    await assert.rejects(copy.filling!.finish(), { code: 'COPY_DIVERGED' })
    copy = await opened()
    assert.notEqual(copy.filling, null)
    await copy.filling!.fill('domains', rowsOf('domains'), 0)
    await copy.filling!.finish()
    copy = await opened()
    assert.equal(copy.filling, null)
    assert.deepEqual(await copy.head(), await from.store.head())
    assert.deepEqual(await allRows(copy), await allRows(from.store))
  })

  test(`entries that do not fit leave a copy that is filled as it was (${name})`, async (t) => {
    const opened = await make(t)
    const from = await origin()
    const left = await begin(await opened(), from)
    const copy = await opened()
    const [first, second] = left
    await assert.rejects(copy.adopt([first!, { ...second!, previousHash: 'f'.repeat(64) }]), { code: 'COPY_DIVERGED' })
    await copy.adopt(left)
    for (const kind of LATER)
      await copy.filling!.fill(
        kind,
        from.earlier.filter((row) => row.kind === kind),
        0,
      )
    await copy.filling!.finish()
    assert.deepEqual(await allRows(copy), await allRows(from.store))
  })
}
