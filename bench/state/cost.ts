/** Processor time of a rate-limited request through a gateway, by policy, in rounds by turns. */
import { locatePart } from '../../test/support/parts.ts'
import { measureRound } from '../request/cpu.ts'
import { works } from '../request/works.ts'
import { countsInRedis, POLICIES, startLimitedBed, type Policy } from './limited.ts'
import { rounded, stateFigure } from './limits.ts'
import type { PartOptions, PartResult } from './run.ts'

const ROUNDS = 4
const REQUESTS = 50_000

export async function measureCost({ scale }: PartOptions): Promise<PartResult> {
  const [nginx, wrk, h2load] = await Promise.all([locatePart('nginx'), locatePart('wrk'), locatePart('h2load')])
  const programs = { nginx, wrk, h2load }
  const work = works.find(({ id }) => id === 'plain')!
  const requests = Math.round(REQUESTS * scale)
  const bed = await startLimitedBed()
  try {
    const micros: Record<Policy, number[]> = { local: [], synced: [], strict: [] }
    // The first warms up, until the compiler has settled.
    for (let round = -1; round < ROUNDS; round++) {
      for (const policy of POLICIES) {
        const measured = await measureRound(programs, work, bed.subjects[policy], round < 0 ? 2 * requests : requests)
        if (round >= 0) micros[policy].push(measured.micros)
      }
    }
    if (!(await countsInRedis(bed))) throw new Error('nothing was counted in Redis')
    const least = (policy: Policy) => Math.min(...micros[policy])
    const figureOf = (id: 'synced-cpu' | 'strict-cpu', policy: Policy) =>
      stateFigure(id, least(policy) / least('local'), {
        'us each': rounded(least(policy)),
        'local us each': rounded(least('local')),
        rounds: ROUNDS,
        'requests a round': requests,
      })
    return { figures: [figureOf('synced-cpu', 'synced'), figureOf('strict-cpu', 'strict')], details: micros }
  } finally {
    await bed.stop()
  }
}
