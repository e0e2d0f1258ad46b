/** Where counters of limits stand in a Redis. Those who decide and those who show or reset have to look in the same place. */
import type { Consistency } from '#model/limiter.ts'
import { consistencyOf, exchangeKeys, type DataCenters } from './data-centers.ts'

/** What is shorter is taken for this. */
const LEAST_SYNC_MS = 20

/** How a limit in Redis is decided. */
export interface LimiterKeys {
  /** Before the names in Redis. */
  readonly keyPrefix: string
  readonly isLeased: boolean
  /** By memory, with counts that are exchanged in rounds. */
  readonly isSynced: boolean
  /** It holds for one of several data centers only, and its counters stand apart from those that are exchanged. */
  readonly isApart: boolean
}

/** Throws when data centers are to limit together in a Redis that is not theirs. */
export function limiterKeys(
  limit: { readonly host: string | null; readonly consistency: Consistency | null; readonly syncRate: number },
  dataCenters: DataCenters | null,
  keyPrefix: string,
): LimiterKeys {
  const consistency = consistencyOf(limit.host, limit.consistency, dataCenters)
  const isApart = consistency === 'local' && dataCenters !== null
  const isLeased = consistency === 'leased'
  const isSynced = !isLeased && limit.syncRate > 0
  const own = isLeased
    ? exchangeKeys(keyPrefix).leased
    : isSynced
      ? syncedPrefix(keyPrefix, syncMsOf(limit.syncRate), isApart)
      : `${keyPrefix}${isApart ? 'apart' : 'traffic'}:`
  return { keyPrefix: own, isLeased, isSynced, isApart }
}

export function syncMsOf(seconds: number): number {
  return Math.max(LEAST_SYNC_MS, seconds * 1000)
}

/** Of counters whose nodes exchange them in this interval. */
export function syncedPrefix(keyPrefix: string, syncMs: number, isApart: boolean): string {
  return `${keyPrefix}sync${isApart ? 'apart' : ''}${syncMs}:`
}
