/** What choosing a target costs, without a network: nanoseconds for each algorithm and number of targets. */
import { createUpstreamBalancer } from '#balancer/upstream-balancer.ts'
import { createHealthTable } from '#balancer/health-table.ts'
import { FakeResolver, aTarget, anUpstream } from '#balancer/testing.ts'

/** Some pass over all targets for each. */
const picksFor = (targets: number) => 1_000_000 / targets
const ROUNDS = 5
/** Values of clients, so many that no cache holds one answer for all. */
const VALUES = Array.from({ length: 1024 }, (_, i) => `10.${i >> 8}.${i & 255}.7`)

export interface PickCost {
  readonly algorithm: string
  readonly targets: number
  readonly nanoseconds: number
}

export function measurePicks(): PickCost[] {
  const kinds = [
    ['round-robin', 'round-robin', () => 100],
    ['round-robin, weights differ', 'round-robin', (i: number) => 50 + (i % 7)],
    ['least-connections', 'least-connections', () => 100],
    ['latency', 'latency', () => 100],
    ['consistent-hashing', 'consistent-hashing', () => 100],
  ] as const
  return kinds.flatMap(([name, algorithm, weight]) =>
    [10, 100, 1000].map((targets) => {
      const health = createHealthTable({ nowMs: Date.now })
      const balancer = createUpstreamBalancer({
        upstream: anUpstream({ algorithm }),
        targets: Array.from({ length: targets }, (_, i) => aTarget(`10.0.${i >> 8}.${i & 255}:80`, weight(i))),
        resolver: new FakeResolver(),
        health,
        random: Math.random,
        nowMs: Date.now,
        uuid: () => '',
      })
      const picks = picksFor(targets)
      let least = Infinity
      for (let round = 0; round < ROUNDS; round++) {
        const began = process.cpuUsage()
        for (let i = 0; i < picks; i++) {
          const pick = balancer.pick(VALUES[i & 1023]!, [])
          if (pick instanceof Promise || !pick.ok) throw new Error('expected a target at once')
          balancer.started(pick.target)
          balancer.ended(pick.target, { type: 'status', status: 200 }, 5)
        }
        least = Math.min(least, (process.cpuUsage(began).user / picks) * 1e3)
      }
      return { algorithm: name, targets, nanoseconds: Math.round(least) }
    }),
  )
}
