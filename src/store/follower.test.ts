import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { commit, definitions, del, put, START_MS, testKeyring } from '../../test/contract/store-fixture.ts'
import { GENESIS_HASH } from './chain.ts'
import type { ConfigStore, LogEntry } from './contract.ts'
import { createFollower, type FollowerOptions, type Position } from './follower.ts'
import { createMemoryStore } from './memory.ts'

const GENESIS: Position = { revision: 0, hash: GENESIS_HASH }
const WAIT_MS = 5000

function memory(): ConfigStore {
  return createMemoryStore({ definitions, keyring: testKeyring(), nowMs: () => START_MS })
}
const group = (index: number) => put('groups', { id: `g${index}`, name: `n${index}` })

function follow(t: TestContext, store: ConfigStore, more: Partial<FollowerOptions> = {}) {
  const applied: number[] = []
  const said: string[] = []
  const note = (_fields: unknown, message?: string) => said.push(String(message))
  const follower = createFollower({
    store,
    from: GENESIS,
    onEntries: async (entries) => {
      applied.push(...entries.map(({ revision }) => revision))
    },
    reload: () => Promise.reject(new Error('not expected to load anew')),
    log: { info: note, warn: note },
    random: () => 0,
    pollMs: 20,
    firstRetryMs: 1,
    longestRetryMs: 5,
    ...more,
  })
  t.after(() => follower.close())
  return { follower, applied, said }
}

test('gives each entry once and in order, those that were there and those that come', async (t) => {
  const store = memory()
  for (let index = 1; index <= 250; index++) await commit(store, group(index))
  const { follower, applied } = follow(t, store, { pollMs: 60_000 })
  assert.ok(await follower.reached(250, WAIT_MS))
  for (let index = 251; index <= 260; index++) await commit(store, group(index))
  // Without its poll: the store woke it.
  assert.ok(await follower.reached(260, WAIT_MS))
  assert.deepEqual(
    applied,
    Array.from({ length: 260 }, (_, index) => index + 1),
  )
  assert.deepEqual(follower.position, { revision: 260, hash: (await store.head()).hash })
  await follower.close()
})

test('finds entries by its poll when nobody wakes it', async (t) => {
  const store = memory()
  const { follower } = follow(t, Object.assign(store, { watch: () => () => undefined }))
  await commit(store, group(1))
  assert.ok(await follower.reached(1, WAIT_MS))
  await follower.close()
})

test('gives the next entries only when the last ones are applied', async (t) => {
  const store = memory()
  let running = 0
  const { follower } = follow(t, store, {
    onEntries: async () => {
      assert.equal(running++, 0)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running--
    },
  })
  for (let index = 1; index <= 20; index++) {
    await commit(store, group(index))
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(await follower.reached(20, WAIT_MS))
  assert.equal(follower.failure, null)
})

test('tries again what the listener failed to apply, says so once, and says when it is over', async (t) => {
  const store = memory()
  let failures = 3
  const given: number[][] = []
  const { follower, said } = follow(t, store, {
    onEntries: async (entries) => {
      given.push(entries.map(({ revision }) => revision))
      if (failures-- > 0) throw new Error('no')
    },
  })
  await commit(store, group(1))
  assert.ok(await follower.reached(1, WAIT_MS))
  assert.deepEqual(given, [[1], [1], [1], [1]])
  assert.deepEqual(said, ['the configuration log can not be followed', 'following the configuration log again'])
  await follower.close()
})

test('goes on by itself after the store could not be asked', async (t) => {
  const store = memory()
  await commit(store, group(1))
  const head = store.head.bind(store)
  let failures = 2
  const { follower, applied } = follow(
    t,
    Object.assign(store, { head: () => (failures-- > 0 ? Promise.reject(new Error('away')) : head()) }),
  )
  assert.ok(await follower.reached(1, WAIT_MS))
  assert.deepEqual(applied, [1])
  await follower.close()
})

test('loads anew when the log was cut, was put back, or does not fit the chain, and goes on from there', async (t) => {
  const position = async (store: ConfigStore): Promise<Position> => {
    const { revision, hash } = await store.head()
    return { revision, hash }
  }
  const altered = (entry: LogEntry): LogEntry => ({ ...entry, atMs: entry.atMs + 1 })
  const erased = (entry: LogEntry): LogEntry => ({
    ...entry,
    effects: entry.effects.map((effect) => ({ ...effect, document: null })),
  })
  const through = (store: ConfigStore, change: (entry: LogEntry) => LogEntry) => {
    const changes = store.changes.bind(store)
    return Object.assign(store, {
      changes: async (after: number, limit: number) =>
        (await changes(after, limit)).map((entry) => (entry.revision < 3 ? change(entry) : entry)),
    })
  }
  const cases: [name: RegExp, from: Position, prepare: (store: ConfigStore) => Promise<ConfigStore>][] = [
    [
      /starts after revision 2/,
      GENESIS,
      async (store) => (await store.truncate({ revisions: 0, ageMs: 0, nowMs: START_MS * 2 }), store),
    ],
    [/went back from revision 9 to 2/, { revision: 9, hash: 'x' }, async (store) => store],
    [/another hash/, { revision: 2, hash: 'x' }, async (store) => store],
    [/expected hash/, GENESIS, async (store) => through(store, altered)],
    [/was erased/, GENESIS, async (store) => through(store, erased)],
  ]
  for (const [reason, from, prepare] of cases) {
    const plain = memory()
    await commit(plain, group(1))
    await commit(plain, group(2), del('groups', 'g1'))
    const store = await prepare(plain)
    const reasons: string[] = []
    const { follower, applied } = follow(t, store, {
      from,
      reload: async (why) => {
        reasons.push(why)
        return position(store)
      },
    })
    await follower.reached(2, WAIT_MS)
    await commit(store, group(3))
    assert.ok(await follower.reached(3, WAIT_MS), String(reason))
    while (follower.position.revision !== 3) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.match(reasons.join(), reason)
    assert.ok(applied.every((revision) => revision === 3))
    await follower.close()
  }
})

test('answers those who wait for a revision that does not come', async (t) => {
  const store = memory()
  const { follower } = follow(t, store)
  assert.equal(await follower.reached(1, 10), false)
  const waiting = follower.reached(1, 60_000)
  await follower.close()
  assert.equal(await waiting, false)
  assert.equal(await follower.reached(1, 60_000), false)
})
