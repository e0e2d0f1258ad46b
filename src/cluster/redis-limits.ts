/**
 * Counters of limits in Redis, as a worker has them for its plugins: strict ones, which ask Redis for each decision, and synced
 * ones, which decide by memory and exchange counts. Both keep in shared memory what the node itself admitted and what it knows of
 * the others, and both limit by that, within the node's share, while Redis does not answer.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '#telemetry/logger.ts'
import { ClusterCounters } from './cluster-counters.ts'
import { sharedName } from './counter-name.ts'
import { CounterSync } from './counter-sync.ts'
import { ChangedNames } from './changed-names.ts'
import { exchangeKeys, rowsOf, type DataCenters } from './data-centers.ts'
import { LeasedLimiter } from './leased-limiter.ts'
import { limiterKeys, syncedPrefix, syncMsOf, type LimiterKeys } from './limiter-keys.ts'
import type { Limiter, LimiterOptions } from '#model/limiter.ts'
import { createLocalCounters, sizeFor, type LocalCountersTable } from './local-counters.ts'
import { MemoryLimiter } from './memory-limiter.ts'
import { RedisCounterRows } from './redis-counter-rows.ts'
import type { RedisBlock } from '#model/redis-block.ts'
import { endpointId, endpointOf, profileEndpoint, type EndpointDefaults, type RedisEndpoint } from './redis-endpoint.ts'
import { RedisLimiter } from './redis-limiter.ts'
import type { RedisLinks, SharedLink } from './redis-links.ts'
import { StrictCounters } from './redis-strict.ts'
import { SyncedCounters } from './redis-synced.ts'

/** Shared by all workers of a node. */
export interface RedisLimitBuffers {
  /** What this node admitted. */
  readonly own: SharedArrayBuffer
  /** What it knows of the others, or of all. */
  readonly known: SharedArrayBuffer
  /** A word: the nodes among which a limit is divided while Redis does not answer; 0 counts as 1. */
  readonly nodes: SharedArrayBuffer
  /** A word: how often the node decided without Redis. */
  readonly timesAlone: SharedArrayBuffer
  /** This start of this node. */
  readonly incarnation: string
}

export interface RedisLimitsOptions {
  readonly buffers: RedisLimitBuffers
  readonly links: RedisLinks
  readonly endpoints: EndpointDefaults
  readonly keyPrefix: string
  /** Null where there is one data center, or each limits for itself. */
  readonly dataCenters: DataCenters | null
  /** Counters of this node alone; they have its part of buckets. */
  readonly table: LocalCountersTable
  readonly log: Pick<Logger, 'warn' | 'info'>
}

/** Counters in use at a time. */
const ENTRIES = 200_000
/** At some 15 us of a worker each, a sixth of its time at most with the interval of 0.2 s. */
const ROUND_COUNTERS = 2000
/** How long names of what has changed are collected. */
const NOTE_MS = 50
const noNote = (): void => undefined

/** With data centers the names of a node's rows say in which one it is. */
export function createRedisLimitBuffers(nodeId: string, dataCenter: string | null): RedisLimitBuffers {
  return {
    own: new SharedArrayBuffer(sizeFor(ENTRIES)),
    known: new SharedArrayBuffer(sizeFor(ENTRIES)),
    nodes: new SharedArrayBuffer(4),
    timesAlone: new SharedArrayBuffer(4),
    incarnation: `${dataCenter === null ? '' : rowsOf(dataCenter)}${nodeId.slice(0, 8)}${randomUUID().slice(0, 13)}`,
  }
}

export class RedisLimits {
  readonly #options: RedisLimitsOptions
  readonly #nodes: Int32Array
  readonly #synced = new Map<string, SyncedCounters>()
  /** What has changed in the Redis of this data center; null before it is used. */
  #changed: { readonly names: ChangedNames; readonly release: () => void } | null = null

  /** Of this data center; null where there is one. */
  readonly #localEndpoint: RedisEndpoint | null
  readonly #localId: string | null

  constructor(options: RedisLimitsOptions) {
    this.#options = options
    this.#nodes = new Int32Array(options.buffers.nodes)
    const { dataCenters, endpoints } = options
    const profile = endpoints.profiles.find(({ name }) => name === dataCenters?.profile)
    this.#localEndpoint = profile === undefined ? null : profileEndpoint(profile, endpoints)
    this.#localId = this.#localEndpoint && endpointId(this.#localEndpoint)
  }

  /** Throws when the block names no Redis. */
  strict(block: RedisBlock): StrictCounters {
    const { id, ...counting } = this.#counting(block)
    const keyPrefix = `${this.#options.keyPrefix}limit:`
    return new StrictCounters({ ...counting, name: `s${id}`, keyPrefix, note: this.#noteFor(id) })
  }

  /** Throws when the block names no Redis and this node has none of its own data center. */
  limiter(options: LimiterOptions): Limiter {
    const { table, dataCenters, keyPrefix } = this.#options
    const { policy, syncRate, consistency, isFaultTolerant, redis } = options
    const nodes = () => this.#liveNodes()
    if (policy === 'local') return new MemoryLimiter({ table, shared: null, nodes, isFaultTolerant })
    const keys = limiterKeys({ host: redis.host, consistency, syncRate }, dataCenters, keyPrefix)
    const block = redis.host === null && dataCenters !== null ? { ...redis, host: dataCenters.profile } : redis
    if (keys.isSynced)
      return new MemoryLimiter({ table, shared: this.synced(block, syncRate, keys.isApart), nodes, isFaultTolerant })
    return this.#inRedis(block, keys, isFaultTolerant)
  }

  /**
   * The same for all plugins with this Redis and interval; `isApart` keeps data centers apart that limit together. Throws when the
   * block names no Redis.
   */
  synced(block: RedisBlock, seconds: number, isApart = false): SyncedCounters {
    const { links, endpoints } = this.#options
    const shared = links.take(endpointOf(block, endpoints))
    const syncMs = syncMsOf(seconds)
    const key = `${shared.id}/${isApart ? 'apart' : ''}${syncMs}`
    const known = this.#synced.get(key)
    if (known !== undefined) {
      shared.release()
      return known.use()
    }
    const counters = this.#start(shared, syncMs, isApart, () => {
      this.#synced.delete(key)
      void counters.finish().then(shared.release)
    })
    this.#synced.set(key, counters)
    return counters.use()
  }

  /** Exchanges what was counted last. */
  async close(): Promise<void> {
    await Promise.all([...this.#synced.values()].map((counters) => counters.finish()))
    await this.#changed?.names.close()
    this.#changed?.release()
  }

  #inRedis(block: RedisBlock, { keyPrefix, isLeased, isApart }: LimiterKeys, isFaultTolerant: boolean): Limiter {
    const { dataCenters } = this.#options
    const { id, ...counting } = this.#counting(block)
    const common = { ...counting, keyPrefix, isFaultTolerant }
    if (isLeased && dataCenters !== null) {
      const { birth: birthKey } = exchangeKeys(this.#options.keyPrefix)
      return new LeasedLimiter({ ...common, name: `l${id}`, birthKey, dataCenters, note: this.#noteFor(id) })
    }
    const name = `${isApart ? 'a' : 't'}${id}`
    return new RedisLimiter({ ...common, name, note: isApart ? noNote : this.#noteFor(id) })
  }

  /** What every way to count in this Redis needs. */
  #counting(block: RedisBlock) {
    const { buffers, links, endpoints } = this.#options
    const { link, id, release } = links.take(endpointOf(block, endpoints))
    return {
      id,
      link,
      own: createLocalCounters(buffers.own),
      known: createLocalCounters(buffers.known),
      timesAlone: new Int32Array(buffers.timesAlone),
      incarnation: buffers.incarnation,
      nodes: () => this.#liveNodes(),
      now: Date.now,
      release,
    }
  }

  /** Who is told of windows that change in this Redis: the exchange, where it is that of the data center. */
  #noteFor(id: string): (key: string) => void {
    const { dataCenters, links, keyPrefix } = this.#options
    if (dataCenters === null || id !== this.#localId) return noNote
    if (this.#changed === null) {
      const { link, release } = links.take(this.#localEndpoint!)
      const names = new ChangedNames({
        link,
        key: exchangeKeys(keyPrefix).changed,
        everyMs: Math.min(NOTE_MS, dataCenters.exchangeMs / 4),
        later: (run, ms) => void setTimeout(run, ms),
      })
      this.#changed = { names, release }
    }
    return this.#changed.names.note
  }

  #start({ link, id }: SharedLink, syncMs: number, isApart: boolean, onUnused: () => void): SyncedCounters {
    const { buffers, keyPrefix, log } = this.#options
    // The name before those of counters is local: nodes may reach one Redis in several ways.
    const name = `${id}/${isApart ? 'apart' : ''}${syncMs}/`
    const tables = { own: buffers.own, others: buffers.known, state: new SharedArrayBuffer(4) }
    const sync = new CounterSync({
      buffers: tables,
      rows: new RedisCounterRows({
        link,
        keyPrefix: syncedPrefix(keyPrefix, syncMs, isApart),
        now: Date.now,
        note: isApart ? noNote : this.#noteFor(id),
      }),
      nameOf: (key) => sharedName(key.slice(name.length)),
      incarnation: buffers.incarnation,
      log,
      now: Date.now,
      monotonicMs: () => performance.now(),
      delay: (ms, signal) => delay(ms, undefined, { signal }),
      syncMs,
      roundCounters: ROUND_COUNTERS,
    })
    const counters = new ClusterCounters({
      buffers: tables,
      tell: (keys) => sync.take(keys),
      later: (run, ms) => void setTimeout(run, Math.min(ms, syncMs / 4)),
    })
    sync.start()
    return new SyncedCounters({
      counters,
      sync,
      name,
      isUp: () => link.isUp,
      nodes: () => this.#liveNodes(),
      onUnused,
    })
  }

  #liveNodes(): number {
    return Math.max(1, Atomics.load(this.#nodes, 0))
  }
}
