import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXPIRES_AT } from '#model/document.ts'
import { commit, definitions, put, START_MS, testKeyring } from '../../test/contract/store-fixture.ts'
import { keepHouse } from './housekeeping.ts'
import { createMemoryStore } from './memory.ts'
import { createWriter } from './writer.ts'

test('deletes rows whose time to live is over, in the name of nobody, and cuts the log', async () => {
  let nowMs = START_MS
  const keyring = testKeyring()
  const store = createMemoryStore({ definitions, keyring, nowMs: () => nowMs })
  let uuids = 0
  const writer = createWriter({
    store,
    definitions,
    keyring,
    nowMs: () => nowMs,
    uuid: () => `t${uuids++}`,
    random: () => 0,
    delay: async () => {},
  })
  const ending = (index: number) =>
    put('members', { id: `m${index}`, group: { id: 'g' }, key: `k${index}`, [EXPIRES_AT]: START_MS / 1000 + 10 })
  await commit(
    store,
    put('groups', { id: 'g', name: 'g' }),
    ...Array.from({ length: 2300 }, (_, index) => ending(index)),
  )
  const round = () => keepHouse({ store, writer, nowMs: () => nowMs, retention: { revisions: 2, ageMs: 60_000 } })

  await round()
  assert.equal((await store.head()).revision, 1)
  nowMs += 10_000
  await round()
  assert.deepEqual(await store.expired(nowMs, 10), [])
  assert.equal((await store.head()).revision, 4)
  assert.partialDeepStrictEqual(await store.entry(4), { origin: { actor: 'meridian', via: 'expiry' } })
  nowMs += 100_000
  await round()
  await assert.rejects(store.changes(1, 1), { code: 'LOG_TRUNCATED' })
  assert.equal((await store.changes(2, 10)).length, 2)
})
