/**
 * Purges in a data center as a thread knows them: it hears of them on a channel, and looks again and again whether it missed one. What
 * it purges itself counts at once, before Redis has answered.
 */
import { EVERYTHING, SHARED_NAME, withPrefixes } from '#model/cache-names.ts'
import { EVERY_PLACE, type PurgeLog } from './purge-log.ts'
import type { RedisLink } from './redis-link.ts'
import { parsePurge, purgeInRedis, purgeKey, redisPlace, RedisPurgeTable } from './redis-purge-table.ts'
import type { RedisSubscription } from './redis-port.ts'
import { purgeSpace, type PurgeMoment, type SharedPurges } from './shared-purges.ts'

export interface RedisPurgesOptions {
  readonly link: Pick<RedisLink, 'run' | 'onUp'>
  readonly keyPrefix: string
  readonly subscribe: (
    channel: string,
    onMessage: (message: string) => void,
    onSubscribed: () => void,
  ) => RedisSubscription
  /** What was purged by the configuration's log. */
  readonly log: PurgeLog
  /** The node's own memory. */
  readonly near: { purge(name: string): void }
  /** Runs it once after a time. */
  readonly later: (run: () => void, ms: number) => void
  /** Runs it again and again; what is returned ends that. */
  readonly every: (run: () => void, ms: number) => () => void
}

/** Purges of this thread within so many ms go to Redis together. */
const GATHER_MS = 5
/** How long one may go unheard when the channel is silently lost. */
const LOOK_MS = 5000
/** Names that wait for Redis; more of them are everything. */
const MOST_WAITING = 5000

export class RedisPurges implements SharedPurges {
  readonly #options: RedisPurgesOptions
  readonly #table = new RedisPurgeTable()
  readonly #subscription: RedisSubscription
  readonly #stop: (() => void)[]
  /** Names that Redis does not know yet, and their places. */
  #waiting = new Set<string>()
  #waitingPlaces = new Set<number>()
  #isGathering = false
  /** The number of what was sent last. */
  #sent = 0
  #loading: Promise<boolean> | null = null

  constructor(options: RedisPurgesOptions) {
    this.#options = options
    const load = (): void => void this.prepare()
    this.#subscription = options.subscribe(purgeKey(options.keyPrefix), (message) => this.#hear(message), load)
    this.#stop = [
      options.link.onUp(() => {
        // A connection that only listens does not find out that its packets are dropped.
        this.#subscription.reset()
        load()
        void this.#send()
      }),
      options.every(load, LOOK_MS),
    ]
    load()
  }

  /** False before it is known what was purged. */
  get isReady(): boolean {
    return this.#table.space !== ''
  }

  get space(): string {
    return purgeSpace(this.#options.log, this.#table)
  }

  get moment(): PurgeMoment {
    return { log: this.#options.log.now, redis: this.#table.now }
  }

  isPurged(moment: PurgeMoment, names: readonly string[]): boolean {
    const { log } = this.#options
    const waiting = this.#waitingPlaces
    // Mostly nothing at all was purged since.
    if (log.now <= moment.log && this.#table.now <= moment.redis && waiting.size === 0) return false
    const all = withPrefixes(names)
    if (log.isPurged(moment.log, all) || this.#table.isPurged(moment.redis, all)) return true
    return waiting.size > 0 && (waiting.has(EVERY_PLACE) || all.some((name) => waiting.has(redisPlace(name))))
  }

  /** Everywhere in the data center, as soon as Redis answers. */
  purge(name: string): void {
    const told = this.#waiting.size < MOST_WAITING ? name : EVERYTHING
    if (told !== name) this.#waiting.clear()
    this.#waiting.add(told)
    this.#waitingPlaces.add(redisPlace(told))
    if (this.#isGathering) return
    this.#isGathering = true
    this.#options.later(() => void this.#send(), GATHER_MS)
  }

  close(): void {
    for (const stop of this.#stop) stop()
    this.#subscription.close()
  }

  async #send(): Promise<void> {
    this.#isGathering = false
    const names = [...this.#waiting]
    if (names.length === 0) return
    this.#waiting = new Set()
    const { link, keyPrefix } = this.#options
    const sent = await purgeInRedis(link, keyPrefix, names)
    const table = this.#table
    if (sent === null) {
      for (const name of names) this.#waiting.add(name)
      return
    }
    this.#sent = sent.number
    if (sent.space === table.space && sent.number === table.now + 1) table.note(sent.number, names)
    this.#settle()
  }

  /** What was purged here is known by its number once those of others before it are, too. */
  #settle(): void {
    if (this.#waiting.size === 0 && this.#table.now >= this.#sent) this.#waitingPlaces = new Set()
  }

  #hear(message: string): void {
    const purge = parsePurge(message)
    const table = this.#table
    if (purge === null || (purge.space === table.space && purge.number <= table.now)) return
    if (purge.space !== table.space || purge.number > table.now + 1) return void this.prepare()
    table.note(purge.number, purge.names)
    this.#settle()
    for (const name of purge.names) this.#options.near.purge(name)
  }

  /** Finds out what was purged; false when Redis does not say. Never rejects. */
  prepare(): Promise<boolean> {
    return (this.#loading ??= this.#load())
  }

  async #load(): Promise<boolean> {
    const isFirst = !this.isReady
    const { link, keyPrefix, near } = this.#options
    const found = await this.#table.load(link, keyPrefix)
    this.#loading = null
    // Which names they were that were purged unheard is not known.
    if (found === 'other' && !isFirst) near.purge(SHARED_NAME)
    if (found === null) return false
    this.#settle()
    if (this.#waiting.size > 0 && !this.#isGathering) void this.#send()
    return true
  }
}
