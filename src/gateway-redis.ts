/** Redis as the main thread has it, and which Redis answer its threads: for log, metrics and `/status` once for the whole node. */
import { GatewayError } from '#core/errors.ts'
import { openRedisLazily } from '#cluster/redis-lazy.ts'
import { endpointOf, profileEndpoint } from '#cluster/redis-endpoint.ts'
import { RedisLinks, type SharedLink } from '#cluster/redis-links.ts'
import type { RedisBlock } from '#model/redis-block.ts'
import type { Settings } from '#model/settings.ts'
import type { ClusterView } from '#store/cluster-view.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { Logger } from '#telemetry/logger.ts'
import { openDataCenterLimits, type DataCenterLimits } from './gateway-limits.ts'
import { trustedAuthorities } from './trusted-authorities.ts'

/** How often the nodes are counted among which limits are divided. */
const SHARE_MS = 1000

/** What the gateway has of Redis: the main thread's links, and the state of all threads' ones. */
export class GatewayRedis {
  readonly states: RedisStates
  readonly main: MainRedis
  /** Exchanges limits with the other data centers; null where there are none. */
  limits: DataCenterLimits | null = null
  readonly #settings: Settings
  readonly #log: Pick<Logger, 'warn' | 'info'>
  readonly #figures: Figures
  #timer: NodeJS.Timeout | null = null

  constructor(settings: Settings, log: Pick<Logger, 'warn' | 'info'>, figures: Figures) {
    this.#settings = settings
    this.#figures = figures
    this.#log = log
    this.states = new RedisStates(log)
    this.main = new MainRedis(settings, this.states, figures)
  }

  /** What the node does without, for `/status`. */
  get degraded(): readonly string[] {
    return this.states.unanswering.map((name) => `redis ${name}`)
  }

  /** From now on the workers know among how many nodes a limit is divided. */
  start(workers: { shareLimits(nodes: number): void }, cluster: ClusterView): void {
    this.states.register(this.#figures)
    const share = (): void => workers.shareLimits(this.#settings.redis_nodes ?? nodesOf(cluster))
    share()
    this.#timer = setInterval(share, SHARE_MS)
    this.limits = openDataCenterLimits(this.#settings, this.main, this.#log, this.#figures)
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.limits?.close()
    this.main.close()
  }
}

/** Those of this data center, as they count in one Redis; one that is not heard of may go on serving. */
function nodesOf(cluster: ClusterView): number {
  const nodes = cluster.nodes()
  const own = nodes.find((node) => node.is_self)
  return nodes.filter(({ data_center, status }) => data_center === own?.data_center && status !== 'down').length
}

/** In place of a worker's number. */
const MAIN_THREAD = -1

/** The main thread's links to profiles. */
export class MainRedis {
  readonly #settings: Settings
  readonly #links: RedisLinks

  constructor(settings: Settings, states: RedisStates, figures: Figures) {
    this.#settings = settings
    this.#links = new RedisLinks({
      open: openRedisLazily,
      connectTimeoutMs: settings.redis_connect_timeout,
      queueSize: settings.redis_queue_size,
      keyPrefix: settings.redis_key_prefix,
      figures,
      onState: (redis, isUp, reason) => states.heard(MAIN_THREAD, redis, isUp, reason),
    })
  }

  /** A command has `redis_command_timeout`, or more where nothing waits for it. Throws SETTINGS_INVALID when the setting `key` names a profile that is not there. */
  take(key: string, name: string, leastTimeoutMs = 0): SharedLink {
    const { redis_profiles: profiles } = this.#settings
    const commandTimeoutMs = Math.max(leastTimeoutMs, this.#settings.redis_command_timeout)
    const profile = profiles.find((each) => each.name === name)
    if (profile === undefined) {
      const names = profiles.map((each) => each.name).join(', ') || 'none'
      throw new GatewayError(
        'SETTINGS_INVALID',
        `${key}: expected the name of a profile in redis_profiles (${names}), got ${name}`,
      )
    }
    return this.#links.take(profileEndpoint(profile, { commandTimeoutMs, ca: trustedAuthorities(this.#settings) }))
  }

  /** The Redis of a plugin's block; without a host the profile of that name. Throws when there is neither. */
  takeBlock(block: RedisBlock, profile: string | null): SharedLink {
    const { redis_profiles: profiles, redis_command_timeout: commandTimeoutMs } = this.#settings
    const ca = trustedAuthorities(this.#settings)
    return this.#links.take(endpointOf({ ...block, host: block.host ?? profile }, { commandTimeoutMs, ca, profiles }))
  }

  close(): void {
    this.#links.close()
  }
}

export class RedisStates {
  readonly #log: Pick<Logger, 'warn' | 'info'>
  #figures: Figures | null = null
  /** By name, the workers that it does not answer. */
  readonly #down = new Map<string, Set<number>>()

  constructor(log: Pick<Logger, 'warn' | 'info'>) {
    this.#log = log
  }

  /** Names of those that do not answer at least one worker. */
  get unanswering(): string[] {
    return [...this.#down].filter(([, workers]) => workers.size > 0).map(([name]) => name)
  }

  register(figures: Figures): void {
    this.#figures = figures
    for (const name of this.#down.keys()) this.#registerOne(name)
  }

  heard(worker: number, redis: string, isUp: boolean, reason: string): void {
    let workers = this.#down.get(redis)
    if (workers === undefined) {
      this.#down.set(redis, (workers = new Set()))
      this.#registerOne(redis)
    }
    const before = workers.size
    if (isUp) workers.delete(worker)
    else workers.add(worker)
    if (before === 0 && workers.size > 0)
      this.#log.warn({ redis, reason }, 'Redis does not answer, what depends on it goes on without it')
    else if (before > 0 && workers.size === 0) this.#log.info({ redis }, 'Redis answers again')
  }

  /** A worker has ended. */
  forget(worker: number): void {
    for (const [redis, workers] of this.#down) if (workers.has(worker)) this.heard(worker, redis, true, '')
  }

  #registerOne(redis: string): void {
    this.#figures?.gauge('meridian_redis_up', { redis }, () => Number(this.#down.get(redis)!.size === 0))
  }
}
