/**
 * What every configuration store has to do. A store passes by running `configStoreSuite` with a factory of empty stores; what it
 * promises beyond (files, processes) has tests of its own.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ConfigStore } from '#store/contract.ts'
import type { Keyring } from '#store/keyring.ts'
import type { Definitions } from '#store/secrets.ts'
import { logTests, retentionTests } from './config-store-log.ts'
import { readTests } from './config-store-reads.ts'
import { randomTests } from './config-store-random.ts'
import { ruleTests } from './config-store-rules.ts'
import { secretTests } from './config-store-secrets.ts'
import { append, commit, definitions, del, put, START_MS, testKeyring, transaction, W1 } from './store-fixture.ts'

export interface OpenOptions {
  readonly definitions: Definitions
  readonly keyring: Keyring
  readonly nowMs: () => number
}
/** Opens an empty store. Whatever it made is gone after the store is closed. */
export type OpenStore = (options: OpenOptions) => Promise<ConfigStore>

export interface Bench {
  readonly store: ConfigStore
  /** Moves the store's clock. */
  readonly clock: { nowMs: number }
}
/** Runs a test with an empty store, and closes it. */
export type WithStore = (work: (bench: Bench) => Promise<void>) => () => Promise<void>

/** `isLogCut`: whether entries that retention does not keep can't be read any more. */
export function configStoreSuite(name: string, open: OpenStore, { isLogCut = true } = {}): void {
  const withStore: WithStore = (work) => async () => {
    const clock = { nowMs: START_MS }
    const store = await open({ definitions, keyring: testKeyring(), nowMs: () => clock.nowMs })
    try {
      await work({ store, clock })
    } finally {
      await store.close()
    }
  }
  suite(`${name} configuration store`, () => {
    appendTests(withStore)
    ruleTests(withStore)
    readTests(withStore)
    logTests(withStore)
    retentionTests(withStore, isLogCut)
    secretTests(withStore)
    randomTests(open)
  })
}

function appendTests(withStore: WithStore): void {
  test(
    'starts at revision 0 with nothing',
    withStore(async ({ store }) => {
      assert.deepEqual(await store.head(), { revision: 0, hash: '0'.repeat(64), digests: {} })
      assert.equal(await store.get('groups', 'g'), undefined)
      assert.deepEqual(await store.list('groups', {}, { size: 10 }), { rows: [] })
      assert.deepEqual(await store.changes(0, 10), [])
    }),
  )

  test(
    'numbers transactions without holes',
    withStore(async ({ store }) => {
      for (const revision of [1, 2, 3]) {
        const entry = await commit(store, put('groups', { id: `g${revision}`, name: `n${revision}` }))
        assert.equal(entry.revision, revision)
        assert.equal((await store.head()).revision, revision)
        assert.equal((await store.get('groups', `g${revision}`))?.revision, revision)
      }
    }),
  )

  test(
    'says conflict when the expected revision is not the head, and changes nothing',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'g', name: 'one' }))
      const head = await store.head()
      for (const expected of [0, 2, 7]) {
        const result = await store.append(transaction([put('groups', { id: 'g', name: 'two' })]), expected)
        assert.deepEqual(result, { outcome: 'conflict', head: 1 })
      }
      assert.deepEqual(await store.head(), head)
      assert.equal((await store.get('groups', 'g'))?.document.name, 'one')
    }),
  )

  test(
    'lets exactly one of those win that append at the same revision at once',
    withStore(async ({ store }) => {
      const results = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          store.append(transaction([put('groups', { id: `g${index}`, name: 'same' })]), 0),
        ),
      )
      assert.equal(results.filter(({ outcome }) => outcome === 'appended').length, 1)
      assert.equal(results.filter(({ outcome }) => outcome === 'conflict').length, 9)
      assert.equal((await store.list('groups', {}, { size: 100 })).rows.length, 1)
    }),
  )

  test(
    'does a transaction once that is appended again under its txid',
    withStore(async ({ store }) => {
      const first = transaction([put('groups', { id: 'g', name: 'n' })])
      const result = await store.append(first, 0)
      await commit(store, del('groups', 'g'))
      assert.deepEqual(await store.append(first, 2), result)
      assert.equal((await store.head()).revision, 2)
      assert.equal(await store.get('groups', 'g'), undefined)
    }),
  )

  test(
    'commits a transaction over many entities wholly or not at all',
    withStore(async ({ store }) => {
      const many = Array.from({ length: 50 }, (_, index) => put('groups', { id: `g${index}`, name: `n${index}` }))
      const result = await append(store, [...many, put('groups', { id: 'last', name: 'n7' })])
      assert.equal(result.outcome, 'refused')
      assert.deepEqual((await store.list('groups', {}, { size: 100 })).rows, [])
      assert.equal((await store.head()).revision, 0)

      await commit(store, ...many)
      assert.equal((await store.list('groups', {}, { size: 100 })).rows.length, 50)
      assert.equal((await store.head()).revision, 1)
    }),
  )

  test(
    'writes an entry, but no effect, for what is there already',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'g', name: 'n', tags: ['a', 'b'] }))
      const entry = await commit(
        store,
        put('groups', { tags: ['a', 'b'], name: 'n', id: 'g' }),
        del('groups', 'not there'),
      )
      assert.deepEqual(entry.effects, [])
      assert.equal(entry.revision, 2)
      assert.equal((await store.get('groups', 'g'))?.revision, 1)
    }),
  )

  test(
    'states the net effect on each entity once',
    withStore(async ({ store }) => {
      await commit(store, put('groups', { id: 'a', name: 'a' }), put('groups', { id: 'b', name: 'b' }))
      const entry = await commit(
        store,
        put('groups', { id: 'a', name: 'x' }),
        put('groups', { id: 'a', name: 'y' }),
        put('groups', { id: 'c', name: 'c' }),
        del('groups', 'c'),
        del('groups', 'b'),
        put('groups', { id: 'b', name: 'z' }),
      )
      assert.deepEqual(entry.effects, [
        { kind: 'groups', workspace: W1, id: 'a', document: { id: 'a', name: 'y' } },
        { kind: 'groups', workspace: W1, id: 'b', document: { id: 'b', name: 'z' } },
      ])
      assert.deepEqual(entry.before, [
        { id: 'a', name: 'a' },
        { id: 'b', name: 'b' },
      ])
    }),
  )

  test(
    'refuses a transaction over 64 MiB with its size',
    withStore(async ({ store }) => {
      const text = 'x'.repeat(4 << 20)
      const many = (count: number) =>
        Array.from({ length: count }, (_, index) => put('groups', { id: `g${index}`, name: null, note: text }))
      const result = await append(store, many(17))
      assert.equal(result.outcome, 'refused')
      assert.partialDeepStrictEqual(result, { violation: { type: 'too_large', limitBytes: 64 << 20 } })
      assert.equal((await append(store, many(2))).outcome, 'appended')
    }),
  )

  test(
    'keeps its rows apart from the objects that come in and go out',
    withStore(async ({ store }) => {
      const tags = ['before']
      await commit(store, put('groups', { id: 'g', name: 'n', tags }))
      tags[0] = 'after'
      const row = await store.get('groups', 'g')
      try {
        ;(row?.document as { tags: string[] } | undefined)?.tags.splice(0, 1, 'changed')
      } catch (error) {
        // A store may hand out frozen documents: then changing one fails, which is as good.
        assert.ok(error instanceof TypeError)
      }
      assert.deepEqual((await store.get('groups', 'g'))?.document.tags, ['before'])
    }),
  )

  test(
    'wakes those who watch after each append, until they stop',
    withStore(async ({ store }) => {
      let calls = 0
      const first = new Promise<void>((resolve) => {
        const stop = store.watch(() => {
          calls++
          stop()
          resolve()
        })
      })
      await commit(store, put('groups', { id: 'g', name: 'n' }))
      await first
      await commit(store, put('groups', { id: 'h', name: 'm' }))
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(calls, 1)
    }),
  )
}
