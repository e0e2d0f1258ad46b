import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { transactions } from '../../test/contract/config-store-random.ts'
import {
  allRows,
  append,
  commit,
  definitions,
  del,
  put,
  START_MS,
  testKeyring,
  W1,
  W2,
} from '../../test/contract/store-fixture.ts'
import { differencesBetween } from './changes-between.ts'
import type { ConfigStore } from './contract.ts'
import { createMemoryStore } from './memory.ts'
import { diffRevisions, rollbackOperations } from './rollback.ts'
import { REDACTED, Secrets } from './secrets.ts'

function memory(): ConfigStore {
  return createMemoryStore({ definitions, keyring: testKeyring(), nowMs: () => START_MS })
}

async function state(store: ConfigStore): Promise<readonly string[]> {
  return (await allRows(store))
    .map(({ kind, workspace, document }) => JSON.stringify([kind, workspace, document]))
    .sort()
}

test('brings back any earlier state, as a new revision', async () => {
  const property = fc.asyncProperty(transactions, fc.nat(), async (run, pick) => {
    const store = memory()
    const states = [await state(store)]
    for (const operations of run)
      if ((await append(store, operations)).outcome === 'appended') states.push(await state(store))
    const head = states.length - 1
    const target = pick % states.length
    await commit(store, ...(await rollbackOperations(store, target, head)))
    assert.deepEqual(await state(store), states[target])
    // And forward again.
    await commit(store, ...(await rollbackOperations(store, head, head + 1)))
    assert.deepEqual(await state(store), states[head])
  })
  await fc.assert(property, { numRuns: 200 })
})

test('an id that went on in another workspace is taken from there and put back where it was', async () => {
  const store = memory()
  await commit(store, put('groups', { id: 'a', name: 'x', note: '1' }, W1))
  const before = await state(store)
  await commit(store, del('groups', 'a', W1))
  await commit(store, put('groups', { id: 'a', name: 'x', note: '1' }, W2))
  await commit(store, ...(await rollbackOperations(store, 1, 3)))
  assert.deepEqual(await state(store), before)
})

test('shows what differs between two revisions, in either direction, without secrets', async () => {
  const store = memory()
  const secrets = new Secrets(definitions, testKeyring())
  await commit(
    store,
    put('groups', { id: 'g', name: 'old', note: 'same' }),
    put('notes', { id: 'n', codes: ['one-secret'], headers: null }),
  )
  await commit(store, put('groups', { id: 'h', name: 'h' }))
  await commit(
    store,
    put('groups', { id: 'g', name: 'new', note: 'same' }),
    put('notes', { id: 'n', codes: ['two-secret'], headers: null }),
    del('groups', 'h'),
  )
  const forwards = await diffRevisions(store, secrets, 1, 3)
  assert.deepEqual(
    forwards.map(({ change, id, fields }) => ({ change, id, fields })),
    [
      { change: 'updated', id: 'g', fields: [{ field: 'name', from: 'old', to: 'new' }] },
      { change: 'updated', id: 'n', fields: [{ field: 'codes', from: [REDACTED], to: [REDACTED] }] },
    ],
  )
  const backwards = await diffRevisions(store, secrets, 3, 2)
  assert.deepEqual(
    backwards.map(({ change, id }) => `${change} ${id}`),
    ['updated g', 'updated n', 'created h'],
  )
  assert.doesNotMatch(JSON.stringify([forwards, backwards]), /secret/)
  assert.deepEqual(await diffRevisions(store, secrets, 2, 2), [])
})

test('says that the log does not reach back, or that far', async () => {
  const store = memory()
  for (const name of ['a', 'b', 'c']) await commit(store, put('groups', { id: 'g', name }))
  await assert.rejects(differencesBetween(store, 1, 9), { code: 'LOG_TRUNCATED' })
  await assert.rejects(rollbackOperations(store, 4, 3), { code: 'LOG_TRUNCATED' })
  await store.truncate({ revisions: 1, ageMs: 0, nowMs: START_MS * 2 })
  await assert.rejects(rollbackOperations(store, 1, 3), { code: 'LOG_TRUNCATED' })
  assert.equal((await rollbackOperations(store, 2, 3)).length, 1)
})
