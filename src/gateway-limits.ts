/** The main thread's part of limits that data centers share: the exchange, and its figures. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { dataCentersOf, type DataCenters } from '#cluster/data-centers.ts'
import { LimitExchange } from '#cluster/limit-exchange.ts'
import type { RedisLink } from '#cluster/redis-link.ts'
import type { Settings } from '#model/settings.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { Logger } from '#telemetry/logger.ts'
import type { MainRedis } from './gateway-redis.ts'

/** Other data centers are far away, and no request waits for them. */
const PEER_TIMEOUT_MS = 1000

export interface DataCenterLimits {
  readonly dataCenters: DataCenters
  readonly local: RedisLink
  /** All of them, this one among them. */
  readonly links: readonly { readonly name: string; readonly link: RedisLink }[]
  close(): Promise<void>
}

/** Null where the settings name no data centers. The exchange has begun. */
export function openDataCenterLimits(
  settings: Settings,
  redis: MainRedis,
  log: Pick<Logger, 'warn' | 'info'>,
  figures: Figures,
): DataCenterLimits | null {
  const dataCenters = dataCentersOf(settings)
  if (dataCenters === null) return null
  // In the order of their names, by which each has its part of a limit.
  const all = settings.redis_data_centers.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const opened = all.map(({ name, profile }) => {
    const isLocal = name === dataCenters.local
    return { name, shared: redis.take('redis_data_centers', profile, isLocal ? 0 : PEER_TIMEOUT_MS) }
  })
  const links = opened.map(({ name, shared }) => ({ name, link: shared.link }))
  const local = links.find(({ name }) => name === dataCenters.local)!.link
  const exchange = new LimitExchange({
    dataCenters,
    local,
    peers: links.filter(({ name }) => name !== dataCenters.local),
    keyPrefix: settings.redis_key_prefix,
    holder: randomUUID(),
    log,
    monotonicMs: () => performance.now(),
    delay: (ms, signal) => delay(ms, undefined, { signal }),
  })
  register(figures, exchange)
  exchange.start()
  return {
    dataCenters,
    local,
    links,
    async close() {
      await exchange.close()
      for (const { shared } of opened) shared.release()
    },
  }
}

function register(figures: Figures, exchange: LimitExchange): void {
  figures.gauge('meridian_limit_exchange_leader', {}, () => Number(exchange.isLeader))
  figures.gauge('meridian_limit_exchange_windows_total', {}, () => exchange.exchanged)
  figures.gauge('meridian_limit_exchange_waiting', {}, () => exchange.waiting)
  for (const peer of exchange.peers) {
    const labels = { data_center: peer.name }
    figures.gauge('meridian_limit_exchange_age_seconds', labels, () => exchange.ageOf(peer) / 1000)
    figures.gauge('meridian_limit_excess_bound', labels, () => exchange.excessOf(peer))
  }
}
