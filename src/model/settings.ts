/**
 * The settings of a node: one definition each, in sections. Everything else is derived: parsing (`settings/read.ts`), the
 * sample file and the reference page (`settings/reference.ts`), the type. Names and forms are Kong's where Kong has them.
 */
import { cassandraSettings } from './settings/cassandra.ts'
import { adminSettings, storeSettings } from './settings/configuration.ts'
import { listenerSettings, tlsSettings } from './settings/listening.ts'
import { logSettings } from './settings/logs.ts'
import { nodeSettings } from './settings/node.ts'
import { redisSettings } from './settings/redis.ts'
import type { Setting, SettingTable, ValuesOf } from './settings/setting.ts'
import { tracingSettings } from './settings/tracing.ts'
import { dnsSettings, forwardingSettings, limitSettings, upstreamSettings } from './settings/traffic.ts'

export const settingSections = [
  { title: 'Node', settings: nodeSettings },
  { title: 'Listeners', settings: listenerSettings },
  { title: 'TLS towards clients', settings: tlsSettings },
  { title: 'Configuration store', settings: storeSettings },
  { title: 'Cassandra', settings: cassandraSettings },
  { title: 'Redis', settings: redisSettings },
  { title: 'Admin API', settings: adminSettings },
  { title: 'Routing and forwarding', settings: forwardingSettings },
  { title: 'Limits for clients', settings: limitSettings },
  { title: 'Upstreams', settings: upstreamSettings },
  { title: 'Names of upstreams (DNS)', settings: dnsSettings },
  { title: 'Logs and metrics', settings: logSettings },
  { title: 'Traces', settings: tracingSettings },
] as const satisfies readonly { readonly title: string; readonly settings: SettingTable }[]

const table = {
  ...nodeSettings,
  ...listenerSettings,
  ...tlsSettings,
  ...storeSettings,
  ...cassandraSettings,
  ...redisSettings,
  ...adminSettings,
  ...forwardingSettings,
  ...limitSettings,
  ...upstreamSettings,
  ...dnsSettings,
  ...logSettings,
  ...tracingSettings,
} as const

/**
 * The values of all settings: frozen, plain data that can be posted to a thread. Keys are the names in the file; every duration
 * is in milliseconds, every size in bytes, every path absolute; what is unset is null, or an empty list.
 */
export type Settings = ValuesOf<typeof table>
export type SettingKey = keyof Settings

export const settings: ReadonlyMap<string, Setting> = new Map(Object.entries<Setting>(table))
