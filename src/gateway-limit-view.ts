/** What limits of traffic-limit have counted of somebody, and how that is reset, for the Admin API. */
import type { LimitReports, LimitReport } from '#admin/ports.ts'
import { limiterKeys } from '#cluster/limiter-keys.ts'
import { readLimit, resetLimit, type LimitPlace } from '#cluster/limit-view.ts'
import { createLocalCounters } from '#cluster/local-counters.ts'
import { bucketName, MemoryLimiter } from '#cluster/memory-limiter.ts'
import { shortName } from '#cluster/counter-name.ts'
import type { LimitWindow } from '#model/limit-window.ts'
import type { Settings } from '#model/settings.ts'
import { counterPrefix } from '#pdk/limit-policy.ts'
import type { Config } from '#plugins/traffic-limit/schema.ts'
import { LimitWindows } from '#plugins/traffic-limit/windows.ts'
import type { ConfigStore } from '#store/contract.ts'
import type { GatewayRedis } from './gateway-redis.ts'

export interface LimitViewParts {
  readonly settings: Settings
  readonly store: ConfigStore
  readonly redis: GatewayRedis
  /** The table of local counters. */
  readonly counters: SharedArrayBuffer
}

interface Found {
  readonly config: Config
  readonly key: string
}

interface TierLimit {
  readonly tier: string | null
  readonly name: string
  readonly limit: number
  readonly window: LimitWindow
}

export function limitReports(parts: LimitViewParts): LimitReports {
  return {
    async show(pluginId, subject) {
      const found = await find(parts, pluginId, subject)
      if (found === null) return null
      const nowMs = Date.now()
      const limits = limitsOf(found.config, nowMs)
      return await withPlace(parts, found.config, async (place) => {
        const reports: LimitReport[] = []
        for (const limit of limits) reports.push(await report(parts, place, found.key, limit, nowMs))
        return reports
      })
    },
    async reset(pluginId, subject) {
      const found = await find(parts, pluginId, subject)
      if (found === null) return null
      const limits = limitsOf(found.config, Date.now())
      return await withPlace(parts, found.config, async (place) => {
        if (place?.isSynced === true) return 'synced'
        const silent = new Set<string>()
        for (const { window } of limits) {
          if (place === null) forget(parts, found.key, window)
          else for (const name of await resetLimit(place, found.key, window)) silent.add(name)
        }
        return [...silent]
      })
    },
  }
}

async function find({ store }: LimitViewParts, pluginId: string, subject: string): Promise<Found | null> {
  const document = (await store.get('plugins', pluginId))?.document
  if (document?.['name'] !== 'traffic-limit') return null
  const idOf = (field: string) => (document[field] as { readonly id: string } | null)?.id ?? null
  const prefix = counterPrefix('traffic:', { route: idOf('route'), service: idOf('service') })
  return { config: document['config'] as Config, key: prefix + subject }
}

function limitsOf(config: Config, nowMs: number): TierLimit[] {
  const tiers = [{ consumer_group: null, limits: config.limits }, ...(config.tiers ?? [])]
  return tiers.flatMap(({ consumer_group: tier, limits }) => {
    const named = new LimitWindows(limits)
    return named.at(nowMs).map((window, at) => ({ tier, window, ...pick(named.limits[at]!) }))
  })
}

const pick = ({ name, limit }: { readonly name: string; readonly limit: number }) => ({ name, limit })

/** Null where counters are this node's alone. */
async function withPlace<T>(
  { settings, redis }: LimitViewParts,
  config: Config,
  use: (place: LimitPlace | null) => Promise<T>,
): Promise<T> {
  if (config.policy === 'local') return await use(null)
  const { limits } = redis
  const dataCenters = limits?.dataCenters ?? null
  const limit = { host: config.redis.host, consistency: config.consistency, syncRate: config.sync_rate }
  const { isApart, ...keys } = limiterKeys(limit, dataCenters, settings.redis_key_prefix)
  if (limits !== null && !isApart) return await use({ ...keys, links: limits.links })
  const shared = redis.main.takeBlock(config.redis, dataCenters?.profile ?? null)
  try {
    return await use({ ...keys, links: [{ name: '', link: shared.link }] })
  } finally {
    shared.release()
  }
}

async function report(
  parts: LimitViewParts,
  place: LimitPlace | null,
  key: string,
  { tier, name, limit, window }: TierLimit,
  nowMs: number,
): Promise<LimitReport> {
  const of = {
    name,
    tier,
    limit,
    most: window.most,
    algorithm: window.algorithm,
    startsAtMs: window.startMs,
    endsAtMs: window.endMs,
  }
  if (place === null) {
    const limiter = new MemoryLimiter({
      table: createLocalCounters(parts.counters),
      shared: null,
      nodes: () => 1,
      isFaultTolerant: true,
    })
    return { ...of, used: limiter.take(key, 0, [window], nowMs)!.used[0]!, dataCenters: [] }
  }
  return { ...of, ...(await readLimit(place, key, window, nowMs)) }
}

/** On this node. */
function forget({ counters }: LimitViewParts, key: string, window: LimitWindow): void {
  const table = createLocalCounters(counters)
  const name = shortName(key)
  for (const each of [name + window.keySuffix, name + window.previousSuffix, bucketName(name, window)])
    table.add(each, -table.read(each), window.keptUntilMs)
}
