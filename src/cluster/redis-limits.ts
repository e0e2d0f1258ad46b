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
import { createLocalCounters, sizeFor } from './local-counters.ts'
import { RedisCounterRows } from './redis-counter-rows.ts'
import type { RedisBlock } from '#model/redis-block.ts'
import { endpointOf, type EndpointDefaults } from './redis-endpoint.ts'
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
  readonly log: Pick<Logger, 'warn' | 'info'>
}

/** Counters in use at a time. */
const ENTRIES = 200_000
/** At some 15 us of a worker each, a sixth of its time at most with the interval of 0.2 s. */
const ROUND_COUNTERS = 2000
/** What is shorter means strict counters. */
const LEAST_SYNC_MS = 20

export function createRedisLimitBuffers(nodeId: string): RedisLimitBuffers {
  return {
    own: new SharedArrayBuffer(sizeFor(ENTRIES)),
    known: new SharedArrayBuffer(sizeFor(ENTRIES)),
    nodes: new SharedArrayBuffer(4),
    timesAlone: new SharedArrayBuffer(4),
    incarnation: `${nodeId.slice(0, 8)}${randomUUID().slice(0, 13)}`,
  }
}

export class RedisLimits {
  readonly #options: RedisLimitsOptions
  readonly #nodes: Int32Array
  readonly #synced = new Map<string, SyncedCounters>()

  constructor(options: RedisLimitsOptions) {
    this.#options = options
    this.#nodes = new Int32Array(options.buffers.nodes)
  }

  /** Throws when the block names no Redis. */
  strict(block: RedisBlock): StrictCounters {
    const { buffers, links, endpoints, keyPrefix } = this.#options
    const { link, id, release } = links.take(endpointOf(block, endpoints))
    return new StrictCounters({
      link,
      own: createLocalCounters(buffers.own),
      known: createLocalCounters(buffers.known),
      timesAlone: new Int32Array(buffers.timesAlone),
      name: `s${id}`,
      incarnation: buffers.incarnation,
      keyPrefix: `${keyPrefix}limit:`,
      nodes: () => this.#liveNodes(),
      now: Date.now,
      release,
    })
  }

  /** The same for all plugins with this Redis and interval. Throws when the block names no Redis. */
  synced(block: RedisBlock, seconds: number): SyncedCounters {
    const { links, endpoints } = this.#options
    const shared = links.take(endpointOf(block, endpoints))
    const syncMs = Math.max(LEAST_SYNC_MS, seconds * 1000)
    const key = `${shared.id}/${syncMs}`
    const known = this.#synced.get(key)
    if (known !== undefined) {
      shared.release()
      return known.use()
    }
    const counters = this.#start(shared, syncMs, () => {
      this.#synced.delete(key)
      void counters.finish().then(shared.release)
    })
    this.#synced.set(key, counters)
    return counters.use()
  }

  /** Exchanges what was counted last. */
  async close(): Promise<void> {
    await Promise.all([...this.#synced.values()].map((counters) => counters.finish()))
  }

  #start({ link, id }: SharedLink, syncMs: number, onUnused: () => void): SyncedCounters {
    const { buffers, keyPrefix, log } = this.#options
    // The name before those of counters is local: nodes may reach one Redis in several ways.
    const name = `${id}/${syncMs}/`
    const tables = { own: buffers.own, others: buffers.known, state: new SharedArrayBuffer(4) }
    const sync = new CounterSync({
      buffers: tables,
      rows: new RedisCounterRows({ link, keyPrefix: `${keyPrefix}sync${syncMs}:`, now: Date.now }),
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
