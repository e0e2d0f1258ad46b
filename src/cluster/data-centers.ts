/** The data centers that limit together, each with a Redis of its own. */
import type { Consistency } from '#model/limiter.ts'
import type { RedisProfile } from '#model/settings/redis.ts'

export interface DataCenters {
  /** Where this node is. */
  readonly local: string
  /** All of them, sorted, so that every node gives each the same part. */
  readonly names: readonly string[]
  /** The name of the profile of this one's Redis. */
  readonly profile: string
  readonly exchangeMs: number
}

export interface DataCenterSettings {
  readonly redis_data_centers: readonly { readonly name: string; readonly profile: string }[]
  readonly redis_local_data_center: string | null
  readonly cassandra_local_datacenter: string | null
  readonly redis_exchange_interval: number
  readonly redis_profiles: readonly RedisProfile[]
}

/** Null where the settings name none. */
export function dataCentersOf(settings: DataCenterSettings): DataCenters | null {
  const { redis_data_centers: all, redis_exchange_interval: exchangeMs } = settings
  if (all.length === 0) return null
  // The settings are checked to have both.
  const local = (settings.redis_local_data_center ?? settings.cassandra_local_datacenter)!
  const { profile } = all.find(({ name }) => name === local)!
  return { local, names: all.map(({ name }) => name).sort(), profile, exchangeMs }
}

/**
 * How limits of a plugin hold that names this Redis and perhaps says how; `local` where there is one data center. Throws when data
 * centers are to limit together in a Redis that is not theirs.
 */
export function consistencyOf(
  host: string | null,
  wanted: Consistency | null,
  dataCenters: DataCenters | null,
): Consistency {
  if (dataCenters === null) return 'local'
  const isOurs = host === null || host === dataCenters.profile
  if (wanted === null) return isOurs ? 'counted' : 'local'
  if (wanted !== 'local' && !isOurs)
    throw new Error(
      `redis.host: expected none, or '${dataCenters.profile}' of this data center, with consistency '${wanted}', got '${host}'`,
    )
  return wanted
}

/** Shares of a limit are kept by scripts over keys of several slots. */
export function canLease(settings: Pick<DataCenterSettings, 'redis_data_centers' | 'redis_profiles'>): boolean {
  const { redis_data_centers: all, redis_profiles: profiles } = settings
  return all.length > 0 && all.every(({ profile }) => profiles.find(({ name }) => name === profile)?.kind !== 'cluster')
}

/** The names of keys in a data center's Redis; those in braces stand in one slot of a Cluster. */
export function exchangeKeys(keyPrefix: string) {
  return {
    lease: `${keyPrefix}{exchange}leader`,
    changed: `${keyPrefix}{exchange}changed`,
    birth: `${keyPrefix}birth`,
    leased: `${keyPrefix}lease:`,
  }
}

/** Begins the names of a data center's rows. */
export function rowsOf(dataCenter: string): string {
  return `${dataCenter}.`
}
