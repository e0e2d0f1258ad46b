/** The balancers of upstreams as a worker has them: what they are given, and what they say. */
import { randomUUID } from 'node:crypto'
import type { HealthTable } from '#balancer/health-table.ts'
import type { Localities } from '#balancer/locality.ts'
import { createUpstreamBalancer, type UpstreamBalancer } from '#balancer/upstream-balancer.ts'
import type { Resolver } from '#core/resolution.ts'
import type { Target } from '#model/entities/target.ts'
import type { Upstream } from '#model/entities/upstream.ts'
import type { Settings } from '#model/settings.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import { logHealthChange, logPanicChange } from './target-health.ts'

export interface BalancerParts {
  readonly resolver: Resolver
  readonly health: HealthTable
  readonly localities: Localities
  readonly log: GatewayLog['log']
  /** All workers see the same panic; this one says so. */
  readonly saysPanic: boolean
}

export function upstreamBalancers(
  parts: BalancerParts,
): (upstream: Upstream, targets: readonly Target[]) => UpstreamBalancer {
  const { resolver, health, localities, log, saysPanic } = parts
  return (upstream, targets) =>
    createUpstreamBalancer({
      upstream,
      targets,
      resolver,
      health,
      localities,
      random: Math.random,
      nowMs: Date.now,
      uuid: randomUUID,
      onHealthChange: (change) => logHealthChange(log, change),
      onCircuitChange: ({ id, name }, { ip, port }, state) =>
        log.warn({ upstreamId: id, upstream: name, ip, port, state }, 'a circuit changed'),
      ...(saysPanic && {
        onPanicChange: ({ id, name }, isPanicking) => logPanicChange(log, id, name, isPanicking),
      }),
    })
}

/** Where this node is: what is said for targets, else for the stores that it shares with nodes of other data centers. */
export function localitiesOf(settings: Settings): Localities {
  const { locality, cassandra_local_datacenter: ofCassandra, redis_local_data_center: ofRedis } = settings
  const other = ofCassandra ?? ofRedis
  return { order: locality.length > 0 || other === null ? locality : [other], picked: { near: 0, far: 0 } }
}
