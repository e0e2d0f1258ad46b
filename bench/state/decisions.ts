/** What a decision costs the processor in each mode, and how much more than a limit two data centers admit together. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createLocalCounters, sizeFor } from '#cluster/local-counters.ts'
import { MemoryLimiter } from '#cluster/memory-limiter.ts'
import type { LimitAlgorithm } from '#model/limit-window.ts'
import type { Limiter } from '#model/limiter.ts'
import { LimitWindows } from '#plugins/traffic-limit/windows.ts'
import { DataCenterBed } from '../../test/support/data-center-bed.ts'
import { locatePart } from '../../test/support/parts.ts'
import type { PartOptions, PartResult } from './run.ts'

const EXCHANGE_MS = 200
/** Under way at a time, as of a busy worker. */
const AT_ONCE = 32

function windowsOf(limit: number, algorithm: LimitAlgorithm, window = 'hour') {
  return new LimitWindows([{ limit, window, algorithm, burst: null, name: null }]).at(Date.now())
}

/** Microseconds of this process for a decision, the least of some rounds. */
async function cost(limiter: Limiter, algorithm: LimitAlgorithm, decisions: number): Promise<number> {
  const windows = windowsOf(1e9, algorithm)
  let least = Infinity
  for (let round = 0; round < 5; round++) {
    const before = process.cpuUsage()
    let left = decisions
    const one = async () => {
      while (left-- > 0) {
        const decision = limiter.take(`client${left & 1023}`, 1, windows, Date.now())
        if (decision instanceof Promise) await decision
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, one))
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / decisions)
  }
  return Math.round(least * 100) / 100
}

interface Excess {
  readonly limit: number
  readonly perSecond: number
  readonly admitted: number
  readonly bound: number
}

/** Both data centers admit `perSecond` each until the limit is reached, and go on asking. */
async function excess(bed: DataCenterBed, mode: 'counted' | 'leased', perSecond: number): Promise<Excess> {
  const limit = Math.round(perSecond * 2)
  const windows = windowsOf(limit, 'fixed', 'year')
  const key = `${mode}${perSecond}`
  let admitted = 0
  const untilMs = performance.now() + 3000
  await Promise.all(
    bed.nodes.map(async (node) => {
      const beganMs = performance.now()
      for (let asked = 0; performance.now() < untilMs;) {
        const due = ((performance.now() - beganMs) / 1000) * perSecond
        for (; asked < due; asked++)
          if ((await node[mode].take(key, 1, windows, Date.now()))?.refusedBy === 0) admitted++
        await sleep(1)
      }
    }),
  )
  // Each by what it admits in collecting names, and two intervals.
  return { limit, perSecond, admitted, bound: Math.round(2 * perSecond * (0.05 + (2 * EXCHANGE_MS) / 1000)) }
}

export async function measureDecisions({ scale }: PartOptions): Promise<PartResult> {
  const bed = await DataCenterBed.start(await locatePart('redis'), ['east', 'west'], 1, { exchangeMs: EXCHANGE_MS })
  try {
    while (bed.rounds < 3) await sleep(20)
    const table = createLocalCounters(new SharedArrayBuffer(sizeFor(20_000)))
    const local = new MemoryLimiter({ table, shared: null, nodes: () => 1, isFaultTolerant: true })
    const [node] = bed.nodes as [DataCenterBed['nodes'][number]]
    const [inMemory, inRedis] = [100_000 * scale, 3000 * scale]
    const microseconds = {
      local_fixed: await cost(local, 'fixed', inMemory),
      local_sliding: await cost(local, 'sliding', inMemory),
      local_bucket: await cost(local, 'bucket', inMemory),
      redis_fixed: await cost(node.counted, 'fixed', inRedis),
      redis_sliding: await cost(node.counted, 'sliding', inRedis),
      redis_bucket: await cost(node.counted, 'bucket', inRedis),
      leased_fixed: await cost(node.leased, 'fixed', inRedis),
    }
    const over: Record<string, Excess[]> = { counted: [], leased: [] }
    for (const mode of ['counted', 'leased'] as const)
      for (const perSecond of [50, 200, 800]) over[mode]!.push(await excess(bed, mode, perSecond))
    return { figures: [], details: { exchange_ms: EXCHANGE_MS, microseconds, over } }
  } finally {
    await bed[Symbol.asyncDispose]()
  }
}
