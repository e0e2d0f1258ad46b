/** What a gateway knows of entities and plugins: the definitions that everything else is derived from. */
import { canLease } from '#cluster/data-centers.ts'
import type { Model } from '#model/contract.ts'
import { coreEntities } from '#model/entities/index.ts'
import { vaultConfigs } from '#model/entities/vault-configs.ts'
import { createModel } from '#model/model.ts'
import type { Settings } from '#model/settings.ts'
import { refusalsOf, type AnyPlugin } from '#pdk/pdk.ts'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'

type ModelSettings = Pick<Settings, 'database' | 'functions'> & Parameters<typeof canLease>[0]

/** The model of a gateway with these plugins and settings. */
export function gatewayModel(plugins: readonly AnyPlugin[], settings: ModelSettings): Model {
  const known = new Set<string>(pluginSchemas.map(({ name }) => name))
  const own = plugins.filter(({ schema }) => !known.has(schema.name))
  return createModel({
    entities: [...coreEntities, ...pluginEntities, ...own.flatMap(({ entities = [] }) => entities)],
    plugins: [...pluginSchemas, ...own.map(({ schema }) => schema)],
    built: plugins.map(({ schema }) => schema.name),
    vaults: vaultConfigs,
    refuse: refusalsOf(plugins, {
      hasClusterCounters: settings.database === 'cassandra',
      functions: settings.functions,
      hasDataCenters: settings.redis_data_centers.length > 0,
      canLease: canLease(settings),
      hasDatabase: settings.database !== 'off',
      environment: process.env,
    }),
  })
}
