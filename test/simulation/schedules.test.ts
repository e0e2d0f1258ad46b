/**
 * The store on the simulated cluster, by seeds. `MERIDIAN_SIMULATION_SEED=n` runs and prints one of them;
 * `MERIDIAN_SIMULATION_FROM=n` begins elsewhere than with the first.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { effort, isFullEffort } from '../support/effort.ts'
import { KEPT_SEEDS } from './kept-seeds.ts'
import { runSchedule } from './schedule.ts'
import { explain, runSeeds, type RangeResult, type SeedRange } from './seeds.ts'

const SCHEDULES = effort(1_500, 100_000)
const THREADS = 2
/** In `npm test`, where other tests run beside. */
const USUAL_MS = 60_000
const wanted = process.env['MERIDIAN_SIMULATION_SEED']
const from = Number(process.env['MERIDIAN_SIMULATION_FROM'] ?? 1)

test('the seed that was asked for', { skip: wanted === undefined && 'none was' }, async () => {
  const { trace, profile, counts, violations } = await runSchedule(Number(wanted), null, true)
  process.stdout.write(`${trace?.join('\n')}\n${JSON.stringify({ profile, counts })}\n`)
  assert.deepEqual(violations, [])
})

test('the same seed is the same schedule', async () => {
  assert.deepEqual(await runSchedule(11, null, true), await runSchedule(11, null, true))
})

for (const { seed, found } of KEPT_SEEDS) {
  test(`seed ${seed}, which found: ${found}`, async () => {
    assert.deepEqual((await runSchedule(seed)).violations, [])
  })
}

test(
  'nothing acknowledged is lost, nothing refused is done, and all nodes come to the same state',
  { skip: wanted !== undefined },
  async (t) => {
    const begun = performance.now()
    const results = isFullEffort()
      ? await inThreads()
      : [await runSeeds({ from, count: SCHEDULES, withinMs: USUAL_MS })]
    const seconds = (performance.now() - begun) / 1000
    const total = (of: 'ran' | 'appended' | 'open' | 'revisions') =>
      results.reduce((sum, result) => sum + result[of], 0)
    t.diagnostic(
      `${total('ran')} schedules from seed ${from} in ${seconds.toFixed(0)} s: ${total('revisions')} revisions, ` +
        `${total('appended')} writes acknowledged, ${total('open')} open, one state after ` +
        `${Math.max(...results.map(({ rounds }) => rounds))} looks at most`,
    )
    const failed = results.flatMap((result) => result.failed)
    assert.equal(failed.length, 0, failed.map(explain).join('\n'))
    // What is to be proven happens at all.
    assert.ok(total('appended') > total('ran') && total('open') > total('ran'))
  },
)

async function inThreads(): Promise<RangeResult[]> {
  const count = SCHEDULES / THREADS
  return Promise.all(
    Array.from({ length: THREADS }, async (_, index) => {
      const workerData: SeedRange = { from: from + index * count, count }
      const worker = new Worker(new URL('./seeds-worker.ts', import.meta.url), { workerData })
      const [result] = (await once(worker, 'message')) as [RangeResult]
      return result
    }),
  )
}
