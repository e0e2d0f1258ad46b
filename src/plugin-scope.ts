import type { Plugin as PluginDocument } from '#model/entities/plugin.ts'
import type { PluginTools } from '#pdk/pdk.ts'

/** Where a configuration of a plugin is attached, as its tools say it. */
export function scopeOf(document: PluginDocument): Pick<PluginTools, 'pluginId' | 'scope'> {
  const { route, service, consumer } = document
  const group = (document as { consumer_group?: { id: string } | null }).consumer_group
  return {
    pluginId: document.id,
    scope: {
      route: route?.id ?? null,
      service: service?.id ?? null,
      consumer: consumer?.id ?? null,
      consumerGroup: group?.id ?? null,
    },
  }
}
