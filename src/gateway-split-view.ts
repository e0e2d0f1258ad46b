/** What the sides of a traffic-split did on this node, and letting an aborted one go on, for the Admin API. */
import type { SplitReports } from '#admin/ports.ts'
import { createLocalCounters } from '#cluster/local-counters.ts'
import type { Config } from '#plugins/traffic-split/schema.ts'
import { describeSplit, SplitState } from '#plugins/traffic-split/split-state.ts'
import type { ConfigStore } from '#store/contract.ts'

/** @param counters the table of local counters, which the workers count into */
export function splitReports(store: ConfigStore, counters: SharedArrayBuffer): SplitReports {
  const table = createLocalCounters(counters)
  const configOf = async (pluginId: string): Promise<Config | null> => {
    const document = (await store.get('plugins', pluginId))?.document
    return document?.['name'] === 'traffic-split' ? (document['config'] as Config) : null
  }
  return {
    async show(pluginId) {
      const config = await configOf(pluginId)
      return config === null ? null : describeSplit(table, pluginId, config, Date.now())
    },
    async resume(pluginId, target) {
      const config = await configOf(pluginId)
      if (config === null || !config.targets.some(({ name }) => name === target)) return false
      new SplitState(table, pluginId, config).resume(target, Date.now())
      return true
    },
  }
}
