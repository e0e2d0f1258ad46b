/** How much longer a request takes that asks Redis, at a rate at which nobody waits for others. */
import { setTimeout as sleep } from 'node:timers/promises'
import { locatePart } from '../../test/support/parts.ts'
import { SMALL_BODY } from '../support/subjects.ts'
import { runWrk, type LoadResult } from '../support/wrk.ts'
import { countsInRedis, startLimitedBed, type LimitedBed, type Policy } from './limited.ts'
import { rounded, stateFigure } from './limits.ts'
import type { PartOptions, PartResult } from './run.ts'

const RATE = 400
const SECONDS = 4
const ROUNDS = 5
const CONNECTIONS = 16
const ROUND_TRIPS = 800

export async function measureStrictLatency({ scale }: PartOptions): Promise<PartResult> {
  const wrk = await locatePart('wrk')
  const bed = await startLimitedBed()
  try {
    // Each connection pauses by chance: at an even rate all of them would ask at the same moment, and wait for each other.
    const at = (policy: Policy, seconds: number): Promise<LoadResult> => {
      const load = {
        url: `http://127.0.0.1:${bed.subjects[policy].port}/`,
        request: { method: 'GET', headers: {}, targets: [{ path: '/' }] },
        expectedBody: SMALL_BODY,
        requests: Math.round(RATE * Math.max(1, seconds)),
        connections: CONNECTIONS,
        pauseMs: (CONNECTIONS / RATE) * 1000,
        isGateway: true,
      }
      return runWrk(wrk, load, () => undefined)
    }
    const p99s: Record<'local' | 'strict', number[]> = { local: [], strict: [] }
    const roundTrips: number[] = []
    for (let round = -1; round < ROUNDS; round++) {
      for (const policy of ['local', 'strict'] as const) {
        const { p99Ms } = await at(policy, SECONDS * scale)
        if (round >= 0) p99s[policy].push(p99Ms)
      }
      if (round >= 0) roundTrips.push(await roundTripMs(bed, ROUND_TRIPS * scale))
    }
    if (!(await countsInRedis(bed))) throw new Error('nothing was counted in Redis')
    const [local, strict, roundTrip] = [Math.min(...p99s.local), Math.min(...p99s.strict), Math.min(...roundTrips)]
    return {
      figures: [
        stateFigure('strict-p99', strict - local - roundTrip, {
          'p99 ms': rounded(strict),
          'local p99 ms': rounded(local),
          'round trip p99 ms': rounded(roundTrip),
          'requests a second': RATE,
          rounds: ROUNDS,
        }),
      ],
      details: { p99s, roundTrips },
    }
  } finally {
    await bed.stop()
  }
}

/** The p99 of commands at the same rate: one after the other without a pause they would find everything awake, as no request does. */
async function roundTripMs({ redis }: LimitedBed, count: number): Promise<number> {
  const times: number[] = []
  for (let n = 0; n < Math.max(100, count); n++) {
    await sleep(Math.random() * (2000 / RATE))
    const beganMs = performance.now()
    await redis.client.get('a key that is not there')
    times.push(performance.now() - beganMs)
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)]!
}
