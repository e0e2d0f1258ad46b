/** The core entities, in the order in which references between them resolve: a kind stands after what it points to. */
import type { EntityDefinition } from '../schema.ts'
import { caCertificates } from './ca-certificate.ts'
import { certificates } from './certificate.ts'
import { consumerGroupConsumers, consumerGroups } from './consumer-group.ts'
import { consumers } from './consumer.ts'
import { keySets } from './key-set.ts'
import { keys } from './key.ts'
import { parameters } from './parameter.ts'
import { plugins } from './plugin.ts'
import { routes } from './route.ts'
import { services } from './service.ts'
import { snis } from './sni.ts'
import { targets } from './target.ts'
import { upstreams } from './upstream.ts'
import { vaults } from './vault.ts'
import { workspaces } from './workspace.ts'

export const coreEntities: readonly EntityDefinition[] = [
  workspaces,
  certificates,
  snis,
  caCertificates,
  services,
  routes,
  consumers,
  consumerGroups,
  consumerGroupConsumers,
  plugins,
  upstreams,
  targets,
  vaults,
  keySets,
  keys,
  parameters,
]
