/** Purges of stored responses on the main thread: what the log says of them, and those of a node whose log is its own. */
import type { StoredResponses, StoredResponseView } from '#admin/ports.ts'
import { PurgeLog } from '#cluster/purge-log.ts'
import { PurgeRate } from '#cluster/purge-rate.ts'
import type { SharedLink } from '#cluster/redis-links.ts'
import { purgeInRedis } from '#cluster/redis-purge-table.ts'
import { peekInRedis } from '#cluster/redis-response-peek.ts'
import type { ResponseCache } from '#cluster/response-cache.ts'
import { PURGES } from '#model/cache-names.ts'
import type { Row } from '#model/document.ts'
import type { RedisBlock } from '#model/redis-block.ts'
import type { Settings } from '#model/settings.ts'
import { decodeStored, type StoredResponse } from '#pdk/stored-response.ts'
import type { Publisher } from '#snapshot/publisher.ts'
import type { MainRedis } from './gateway-redis.ts'

export interface GatewayPurgesOptions {
  readonly settings: Pick<Settings, 'redis_key_prefix' | 'proxy_cache_purge_rate'>
  readonly workers: { readonly responses: ResponseCache<StoredResponse>; readonly purgeLog: SharedArrayBuffer }
  readonly redis: MainRedis
  /** What has the log that nodes share; null where each node has its own. */
  readonly cassandra: { readonly store: { readonly epoch: number } } | null
}

export class GatewayPurges implements StoredResponses {
  readonly #options: GatewayPurgesOptions
  readonly #log: PurgeLog
  readonly #rate: PurgeRate
  #publisher: Publisher | null = null
  #isLoaded = false

  constructor(options: GatewayPurgesOptions) {
    this.#options = options
    this.#log = new PurgeLog(options.workers.purgeLog)
    this.#rate = new PurgeRate(options.settings.proxy_cache_purge_rate, () => performance.now())
  }

  get isInLog(): boolean {
    return this.#options.cassandra !== null
  }

  /** The publisher of the configuration, whose rows come by `take`. */
  follow(publisher: Publisher): void {
    this.#publisher = publisher
  }

  /** Rows of the log; with `isWhole` all that there are. Counts before workers serve their revision. */
  take(rows: readonly Row[], isWhole: boolean): void {
    const { cassandra, workers } = this.#options
    if (cassandra === null) return
    if (isWhole) {
      const { epoch } = cassandra.store
      if (this.#log.epoch !== epoch) this.#log.begin(epoch)
      // What was purged between this state and the one before is not told by name.
      if (this.#isLoaded) workers.responses.purgeAll()
      this.#isLoaded = true
    }
    for (const { kind, document, revision } of rows) {
      if (kind !== PURGES) continue
      this.#log.note(document['place'] as number, revision)
      if (!isWhole)
        for (const name of document['names'] as readonly string[]) this.#options.workers.responses.purge(name)
    }
  }

  mayPurge(names: number): boolean {
    return this.#rate.take(names)
  }

  async purge(names: readonly string[]): Promise<readonly string[]> {
    for (const name of names) this.#options.workers.responses.purge(name)
    return await this.#inEachRedis(async ({ link }) => {
      const sent = await purgeInRedis(link, this.#options.settings.redis_key_prefix, names)
      return sent === null ? link.endpoint.name : null
    })
  }

  async get(key: string): Promise<StoredResponseView | null> {
    const near = this.#options.workers.responses.findByKey(key)
    if (near !== null) return shown(near)
    if (!/^[0-9a-f]{64}$/.test(key)) return null
    const [found] = await this.#inEachRedis(async ({ link }) => {
      const bytes = await peekInRedis(link, this.#options.settings.redis_key_prefix, this.#log, key)
      return bytes === null ? null : decodeStored(bytes)
    })
    return found === undefined ? null : shown(found)
  }

  /** What is not null of the answers. */
  async #inEachRedis<T>(ask: (shared: SharedLink) => Promise<T | null>): Promise<T[]> {
    const asked = new Map<string, SharedLink>()
    for (const block of this.#blocks()) {
      const shared = this.#options.redis.takeBlock(block, null)
      if (asked.has(shared.id)) shared.release()
      else asked.set(shared.id, shared)
    }
    try {
      const answers = await Promise.all([...asked.values()].map(ask))
      return answers.filter((answer) => answer !== null)
    } finally {
      for (const shared of asked.values()) shared.release()
    }
  }

  *#blocks(): Generator<RedisBlock> {
    for (const { id, document } of this.#publisher?.held('plugins') ?? []) {
      if (document?.['name'] !== 'proxy-cache') continue
      const config = this.#publisher!.resolved('plugins', id)?.['config'] as Record<string, unknown>
      if (config['strategy'] === 'redis' && config['redis'] !== null) yield config['redis'] as RedisBlock
    }
  }
}

function shown({ facts, headers, body }: StoredResponse): StoredResponseView | null {
  if (facts.varyBy !== null) return null
  return {
    status: facts.status,
    headers: headers.toObject(),
    body: body.toString('utf8'),
    body_len: body.length,
    timestamp: Math.floor(facts.storedAtMs / 1000),
    ttl: Math.ceil(facts.freshForMs / 1000),
    version: 1,
  }
}
