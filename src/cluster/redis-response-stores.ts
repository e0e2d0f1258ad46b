/** Stored responses in Redis as a thread has them: one store for each Redis, whoever means it. */
import type { RedisBlock } from '#model/redis-block.ts'
import type { PurgeLog } from './purge-log.ts'
import type { SharedLink } from './redis-links.ts'
import type { RedisEndpoint } from './redis-endpoint.ts'
import type { RedisSubscription } from './redis-port.ts'
import { RedisPurges } from './redis-purges.ts'
import { RedisResponses } from './redis-responses.ts'
import type { ResponseCache } from './response-cache.ts'

export interface RedisResponseStoresOptions<T> {
  /** Throws when the block names no Redis. */
  readonly take: (block: RedisBlock) => SharedLink
  /** The node's own memory. */
  readonly near: ResponseCache<T>
  readonly decode: (bytes: Buffer) => T | null
  readonly log: PurgeLog
  readonly subscribe: (
    endpoint: RedisEndpoint,
    channel: string,
    onMessage: (message: string) => void,
    onSubscribed: () => void,
  ) => RedisSubscription
  readonly keyPrefix: string
}

/** Larger values would hold up what else is asked of Redis. */
const LARGEST_BYTES = 1 << 20

export class RedisResponseStores<T> {
  readonly #options: RedisResponseStoresOptions<T>
  readonly #stores = new Map<string, { readonly store: RedisResponses<T>; users: number }>()

  constructor(options: RedisResponseStoresOptions<T>) {
    this.#options = options
  }

  get hits(): number {
    return this.#sum((store) => store.hits)
  }

  get misses(): number {
    return this.#sum((store) => store.misses)
  }

  /** To be closed by who opened it. Throws when the block names no Redis. */
  open(block: RedisBlock): RedisResponses<T> {
    const shared = this.#options.take(block)
    const known = this.#stores.get(shared.id)
    if (known !== undefined) {
      shared.release()
      known.users++
      return known.store
    }
    const store = this.#create(shared)
    this.#stores.set(shared.id, { store, users: 1 })
    return store
  }

  #create(shared: SharedLink): RedisResponses<T> {
    const { near, decode, log, keyPrefix, subscribe } = this.#options
    const { link } = shared
    const purges = new RedisPurges({
      link,
      keyPrefix,
      subscribe: (channel, onMessage, onSubscribed) => subscribe(link.endpoint, channel, onMessage, onSubscribed),
      log,
      near,
      later: (run, ms) => void setTimeout(run, ms),
      every,
    })
    return new RedisResponses({
      link,
      near,
      decode,
      purges,
      keyPrefix,
      largestBytes: Math.min(LARGEST_BYTES, near.largestBytes),
      now: Date.now,
      every,
      release: () => {
        const known = this.#stores.get(shared.id)!
        if (--known.users > 0) return false
        this.#stores.delete(shared.id)
        shared.release()
        return true
      },
    })
  }

  #sum(figure: (store: RedisResponses<T>) => number): number {
    let sum = 0
    for (const { store } of this.#stores.values()) sum += figure(store)
    return sum
  }
}

function every(run: () => void, ms: number): () => void {
  const timer = setInterval(run, ms)
  return () => clearInterval(timer)
}
