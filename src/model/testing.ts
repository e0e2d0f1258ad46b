/** A model with everything built, and a context that repeats: for tests of the model and of what builds on it. */
import type { CheckContext, Model } from './contract.ts'
import { coreEntities } from './entities/index.ts'
import { vaultConfigs } from './entities/vault-configs.ts'
import { createModel } from './model.ts'
import type { EntityDefinition, PluginSchema } from './schema.ts'

export function testModel(
  plugins: readonly PluginSchema[],
  entities: readonly EntityDefinition[] = [],
  built?: Iterable<string>,
): Model {
  return createModel({
    entities: [...coreEntities, ...entities],
    plugins,
    built: built ?? plugins.map(({ name }) => name),
    vaults: vaultConfigs,
  })
}

export const TEST_TIME_MS = 1_700_000_000_000

/** Ids count up from ...0001; random texts are `random` and their number. */
export function testContext(overrides: Partial<CheckContext> = {}): CheckContext {
  let made = 0
  return {
    nowMs: TEST_TIME_MS,
    uuid: () => `00000000-0000-4000-8000-${String(++made).padStart(12, '0')}`,
    randomText: () => `random${String(++made).padStart(26, '0')}`,
    routerFlavor: 'traditional_compatible',
    ...overrides,
  }
}
