import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Keeper } from './keeper.ts'
import type { CassandraStore } from './store.ts'

const UPDATE_MS = 500

/** When looks begin that take `tookMs`, in the time of a clock that only the keeper moves. */
async function looks(t: TestContext, tookMs: number, random: () => number, count: number): Promise<number[]> {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  const startedMs: number[] = []
  const store = {
    hasHole: false,
    projected: 0,
    head: async () => ({ revision: 0 }),
    poll: async () => {
      startedMs.push(nowMs)
      nowMs += tookMs
    },
  } as unknown as CassandraStore
  const keeper = new Keeper({
    store,
    updateMs: UPDATE_MS,
    isProjector: () => false,
    log: { info() {}, warn() {} },
    random,
    monotonicMs: () => nowMs,
  })
  keeper.start()
  while (startedMs.length < count) {
    await new Promise((resolve) => setImmediate(resolve))
    nowMs++
    t.mock.timers.tick(1)
  }
  t.mock.timers.runAll()
  await keeper.close()
  return startedMs
}

test('looks begin no further apart than the update time, whatever a look takes', async (t) => {
  for (const random of [0, 0.5, 0.999]) {
    const starts = await looks(t, 80, () => random, 4)
    const gaps = starts.slice(1).map((ms, index) => ms - starts[index]!)
    for (const gap of gaps) assert.ok(gap > UPDATE_MS * 0.7 && gap <= UPDATE_MS + 2, `${gap} ms`)
    t.mock.timers.reset()
  }
})

test('looks that are slower than the update time have a rest between them', async (t) => {
  const starts = await looks(t, 700, () => 0, 3)
  const gaps = starts.slice(1).map((ms, index) => ms - starts[index]!)
  for (const gap of gaps) assert.ok(gap >= 750 && gap <= 752, `${gap} ms`)
})

test('a node that lacks what another one has asks all data centers for it, after a second and not more often', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  let newest = 0
  let head = 0
  const settledMs: number[] = []
  const store = {
    hasHole: false,
    projected: 0,
    head: async () => ({ revision: head }),
    poll: async () => {},
    settle: async () => void settledMs.push(nowMs),
  } as unknown as CassandraStore
  const keeper = new Keeper({
    store,
    updateMs: UPDATE_MS,
    isProjector: () => false,
    newestKnown: () => newest,
    log: { info() {}, warn() {} },
    random: () => 0,
    monotonicMs: () => nowMs,
  })
  const pass = async (ms: number) => {
    for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 10) {
      t.mock.timers.tick(10)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  keeper.start()
  await pass(5_000)
  assert.deepEqual(settledMs, [])
  newest = 7
  const sinceMs = nowMs
  await pass(5_000)
  assert.ok(settledMs[0]! >= sinceMs + 1_000 && settledMs[0]! <= sinceMs + 1_000 + 3 * UPDATE_MS, settledMs.join())
  assert.ok(settledMs.length >= 2 && settledMs.length <= 5, settledMs.join())
  head = 7
  await pass(UPDATE_MS)
  const count = settledMs.length
  await pass(5_000)
  assert.equal(settledMs.length, count)
  t.mock.timers.runAll()
  await keeper.close()
})
