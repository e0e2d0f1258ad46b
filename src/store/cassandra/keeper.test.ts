import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Keeper } from './keeper.ts'
import { CassandraFailure } from './port.ts'
import type { ProjectionScope } from './projection-tables.ts'
import type { CassandraStore } from './cassandra-store.ts'

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
    isFirstProjector: () => false,
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

interface Projecting {
  /** What each projection was for, and when it began. */
  readonly projections: { readonly scope: ProjectionScope; readonly atMs: number }[]
  readonly store: { projected: number; headRevision: number }
  pass(ms: number): Promise<void>
  close(): Promise<void>
}

/** A keeper in its own time, over a store whose projections take no time unless they fail. */
function projecting(
  t: TestContext,
  { isFirst, fails = () => false }: { isFirst: () => boolean; fails?: (scope: ProjectionScope) => boolean },
): Projecting {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  const projections: { scope: ProjectionScope; atMs: number }[] = []
  const store = { projected: 0, headRevision: 0 }
  const keeper = new Keeper({
    store: {
      hasHole: false,
      get projected() {
        return store.projected
      },
      head: async () => ({ revision: store.headRevision }),
      poll: async () => {},
      settle: async () => {},
      lookForEpoch: async () => {},
      lookAtProjection: async () => {},
      project: async (scope: ProjectionScope) => {
        projections.push({ scope, atMs: nowMs })
        if (fails(scope)) throw new CassandraFailure('unavailable', 'too few', false)
        store.projected = store.headRevision
      },
    } as unknown as CassandraStore,
    updateMs: UPDATE_MS,
    isProjector: () => true,
    isFirstProjector: isFirst,
    log: { info() {}, warn() {} },
    random: () => 0,
    monotonicMs: () => nowMs,
  })
  keeper.start()
  return {
    projections,
    store,
    pass: async (ms) => {
      for (const untilMs = nowMs + ms; nowMs < untilMs;) {
        await new Promise((resolve) => setImmediate(resolve))
        nowMs += 50
        t.mock.timers.tick(50)
      }
    },
    close: async () => {
      t.mock.timers.runAll()
      await keeper.close()
    },
  }
}

test('the first projector writes for all what came together, with rests between', async (t) => {
  const { projections, store, pass, close } = projecting(t, { isFirst: () => true })
  for (let index = 0; index < 120; index++) {
    store.headRevision++
    await pass(1_000)
  }
  await close()
  assert.ok(projections.every(({ scope }) => scope === 'all'))
  const gaps = projections.slice(1).map(({ atMs }, index) => atMs - projections[index]!.atMs)
  assert.ok(gaps.length >= 2)
  for (const gap of gaps) assert.ok(gap >= 30_000 && gap <= 31_000, `${gap} ms`)
})

test('while not all data centers can be reached the first projector writes for its own', async (t) => {
  let isCut = true
  const { projections, store, pass, close } = projecting(t, {
    isFirst: () => true,
    fails: (scope) => isCut && scope === 'all',
  })
  store.headRevision = 1
  await pass(1_000)
  assert.deepEqual(
    projections.map(({ scope }) => scope),
    ['all', 'own'],
  )
  store.headRevision = 2
  await pass(35_000)
  assert.equal(projections.at(-1)?.scope, 'own')
  assert.equal(projections.length, 3)
  isCut = false
  store.headRevision = 3
  await pass(60_000)
  store.headRevision = 4
  await pass(35_000)
  await close()
  assert.equal(projections.at(-1)?.scope, 'all')
  assert.equal(store.projected, 4)
})

test('another data center projects for itself when nobody has done it for long', async (t) => {
  const { projections, store, pass, close } = projecting(t, { isFirst: () => false })
  store.headRevision = 1
  await pass(70_000)
  assert.deepEqual(projections, [])
  // The one that does it for all is slow, but at it.
  store.headRevision = 3
  store.projected = 1
  await pass(70_000)
  assert.deepEqual(projections, [])
  await pass(40_000)
  await close()
  assert.deepEqual(
    projections.map(({ scope }) => scope),
    ['own'],
  )
  assert.equal(store.projected, 3)
})

test('a node that lacks what another one has asks all data centers for it when a second look lacks it, and not more often', async (t) => {
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
    isFirstProjector: () => false,
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
  // The first look that finds it missing may come at once or an update time later.
  assert.ok(
    settledMs[0]! >= sinceMs + 0.7 * UPDATE_MS && settledMs[0]! <= sinceMs + 2 * UPDATE_MS + 50,
    settledMs.join(),
  )
  const gaps = settledMs.slice(1).map((ms, index) => ms - settledMs[index]!)
  assert.ok(gaps.length >= 2 && gaps.every((ms) => ms >= 1.5 * UPDATE_MS), settledMs.join())
  head = 7
  await pass(UPDATE_MS)
  const count = settledMs.length
  await pass(5_000)
  assert.equal(settledMs.length, count)
  t.mock.timers.runAll()
  await keeper.close()
})
