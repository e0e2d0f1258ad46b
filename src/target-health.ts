/** Whether the figures of targets are wanted: a plugin's choice that concerns the node's page and no exchange. */
import type { Publisher } from '#snapshot/publisher.ts'

/** Some enabled prometheus instance has `upstream_health_metrics`. */
export function wantsTargetStates(publisher: Pick<Publisher, 'held'>): boolean {
  return publisher.held('plugins').some(({ document }) => {
    const { name, enabled, config } = document as { name?: string; enabled?: boolean; config?: Record<string, unknown> }
    return name === 'prometheus' && enabled === true && config?.['upstream_health_metrics'] === true
  })
}
