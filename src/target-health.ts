/** What the threads have in common about the health of targets. */
import type { HealthChange } from '#balancer/upstream-balancer.ts'
import type { Publisher } from '#snapshot/publisher.ts'

/** One line per change, in the thread that made it. */
export function logHealthChange(log: { warn(fields: object, message: string): void }, change: HealthChange): void {
  log.warn({ ...change }, change.isHealthy ? 'a target is healthy again' : 'a target is unhealthy')
}

export function logPanicChange(
  log: { warn(fields: object, message: string): void },
  upstreamId: string,
  upstream: string,
  isPanicking: boolean,
): void {
  const message = isPanicking
    ? 'too few targets are healthy, requests go to all of them'
    : 'enough targets are healthy again'
  log.warn({ upstreamId, upstream }, message)
}

/** Whether the figures of targets are wanted, a plugin's choice that concerns the node's page and no exchange: some enabled prometheus instance has `upstream_health_metrics`. */
export function wantsTargetStates(publisher: Pick<Publisher, 'held'>): boolean {
  return publisher.held('plugins').some(({ document }) => {
    const { name, enabled, config } = document as { name?: string; enabled?: boolean; config?: Record<string, unknown> }
    return name === 'prometheus' && enabled === true && config?.['upstream_health_metrics'] === true
  })
}
