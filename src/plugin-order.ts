/** In which order the plugins of a plan run. */
import { orderPlugins } from '#pdk/order.ts'
import type { PluginInstance } from '#snapshot/plan.ts'
import type { Logger } from '#telemetry/logger.ts'

/** By priority and `ordering`; a cycle is logged, and priorities alone decide. */
export function orderInstances(
  instances: readonly PluginInstance[],
  log: Pick<Logger, 'error'>,
): readonly PluginInstance[] {
  const list = instances.map((instance) => ({
    name: instance.name,
    priority: instance.plugin.schema.priority,
    ordering: (instance.document as { ordering?: null }).ordering ?? null,
    instance,
  }))
  const ordered = orderPlugins(list)
  if (ordered.ok) return ordered.order.map(({ instance }) => instance)
  log.error({ cycle: ordered.cycle }, 'the ordering of plugins runs in a circle, priorities decide')
  const plain = orderPlugins(list.map((item) => ({ ...item, ordering: null })))
  return plain.ok ? plain.order.map(({ instance }) => instance) : instances
}
