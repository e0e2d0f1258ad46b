/** Redis as the main thread has it, and which Redis answer its threads: for log, metrics and `/status` once for the whole node. */
import { GatewayError } from '#core/errors.ts'
import { openRedisConnection } from '#cluster/redis-connection.ts'
import { profileEndpoint } from '#cluster/redis-endpoint.ts'
import { RedisLinks, type SharedLink } from '#cluster/redis-links.ts'
import type { Settings } from '#model/settings.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { Logger } from '#telemetry/logger.ts'

/** In place of a worker's number. */
const MAIN_THREAD = -1

/** The main thread's links to profiles. */
export class MainRedis {
  readonly #settings: Settings
  readonly #links: RedisLinks
  readonly #trusted: () => string | null

  constructor(settings: Settings, states: RedisStates, figures: Figures, trusted: () => string | null) {
    this.#settings = settings
    this.#trusted = trusted
    this.#links = new RedisLinks({
      open: openRedisConnection,
      connectTimeoutMs: settings.redis_connect_timeout,
      queueSize: settings.redis_queue_size,
      keyPrefix: settings.redis_key_prefix,
      figures,
      onState: (redis, isUp, reason) => states.heard(MAIN_THREAD, redis, isUp, reason),
    })
  }

  /** Throws SETTINGS_INVALID when the setting `key` names a profile that is not there. */
  take(key: string, name: string): SharedLink {
    const { redis_profiles: profiles, redis_command_timeout: commandTimeoutMs } = this.#settings
    const profile = profiles.find((each) => each.name === name)
    if (profile === undefined) {
      const names = profiles.map((each) => each.name).join(', ') || 'none'
      throw new GatewayError(
        'SETTINGS_INVALID',
        `${key}: expected the name of a profile in redis_profiles (${names}), got ${name}`,
      )
    }
    return this.#links.take(profileEndpoint(profile, { commandTimeoutMs, ca: this.#trusted() }))
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
