import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { createMemoryRuntimeStore } from '#store/runtime-memory.ts'
import { openSqliteRuntimeStore } from '#store/runtime-sqlite.ts'
import { openSqliteStore } from '#store/sqlite.ts'
import { runChild } from '../support/process.ts'
import { runtimeStoreSuite } from './runtime-store.ts'
import { definitions, START_MS, testKeyring } from './store-fixture.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-runtime-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0
const newPath = () => path.join(folder, `${++files}.db`)
const open = (file: string, nowMs = () => START_MS) =>
  openSqliteRuntimeStore({ path: file, keyring: testKeyring(), nowMs })

runtimeStoreSuite('memory', async (nowMs) => createMemoryRuntimeStore({ nowMs }))
runtimeStoreSuite('sqlite', (nowMs) => open(newPath(), nowMs))

test('the memory store makes room by forgetting what has expired, and is full of what lives', async () => {
  const clock = { nowMs: START_MS }
  const store = createMemoryRuntimeStore({ nowMs: () => clock.nowMs, limit: 2 })
  await store.put('s', 'a', 1, 1000)
  await store.put('s', 'b', 2, 2000)
  await store.put('s', 'b', 3, 2000)
  await assert.rejects(store.put('s', 'c', 4, 1000), { code: 'RUNTIME_STORE_FULL' })
  clock.nowMs += 1000
  await store.put('s', 'c', 4, 1000)
  assert.equal(await store.get('s', 'b'), 3)
})

test('the sqlite store shows neither keys nor values in its file, and keeps them over a restart', async () => {
  const file = newPath()
  const first = await open(file)
  await first.put('sessions', 'token-s3cr3t', { user: 'ann-s3cr3t' }, 1000)
  for (const name of readdirSync(folder))
    assert.equal(readFileSync(path.join(folder, name)).includes('s3cr3t'), false, name)
  await first.close()
  const second = await open(file)
  assert.deepEqual(await second.get('sessions', 'token-s3cr3t'), { user: 'ann-s3cr3t' })
  await second.close()
})

test('the sqlite store deletes what has expired while it is written to', async () => {
  const file = newPath()
  const clock = { nowMs: START_MS }
  const store = await open(file, () => clock.nowMs)
  for (let index = 0; index < 50; index++) await store.put('s', `${index}`, index, 10)
  clock.nowMs += 10
  for (let index = 0; index < 5; index++) await store.put('s', `new${index}`, index, 1000)
  await store.close()
  const database = new DatabaseSync(file)
  assert.deepEqual({ ...database.prepare('SELECT count(*) AS kept FROM runtime').get() }, { kept: 5 })
  database.close()
})

test('of several processes only one takes a value', async () => {
  const file = newPath()
  const store = await open(file)
  const count = 200
  for (let index = 0; index < count; index++) await store.put('s', `${index}`, index, 60_000)
  const script = path.join(import.meta.dirname, 'runtime-taker-child.ts')
  const takers = await Promise.all(
    [1, 2, 3].map(() =>
      runChild({ command: process.execPath, args: [script, file, `${count}`], name: 'taker', timeoutMs: 60_000 }),
    ),
  )
  const taken = takers.map(({ code, output }) => {
    assert.equal(code, 0, output)
    return JSON.parse(output) as number[]
  })
  assert.deepEqual(
    taken.flat().sort((a, b) => a - b),
    Array.from({ length: count }, (_, index) => index),
  )
  assert.equal(await store.get('s', '0'), undefined)
  await store.close()
})

test('a runtime store is no configuration store', async () => {
  const file = newPath()
  await (await open(file)).close()
  const opening = openSqliteStore({ path: file, definitions, keyring: testKeyring(), nowMs: () => START_MS })
  await assert.rejects(opening, { code: 'STORE_FORMAT' })
})
