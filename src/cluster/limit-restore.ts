/**
 * Brings back what a Redis had of leased limits before it was emptied, from the other data centers. Until that is done a window that
 * began before has no share here, unless the exchange has asked about it in particular.
 */
import type { Logger } from '#telemetry/logger.ts'
import { exchangeKeys, type DataCenters } from './data-centers.ts'
import { mergeWindow } from './limit-rows.ts'
import { BIRTH, RESTORED } from './limit-scripts.ts'
import { RedisFailure, type RedisLink } from './redis-link.ts'

export interface LimitRestoreOptions {
  readonly dataCenters: DataCenters
  readonly local: Pick<RedisLink, 'run'>
  readonly peers: readonly { readonly name: string; readonly link: Pick<RedisLink, 'run' | 'command'> }[]
  readonly keyPrefix: string
  readonly log: Pick<Logger, 'info'>
}

/** Names that Redis looks through for an answer, and windows under way at a time. */
const SCANNED = 500
const AT_ONCE = 64

export class LimitRestore {
  readonly #options: LimitRestoreOptions
  /** What is being brought back, or was: a birth. */
  #birth = '0'
  #isRunning = false

  constructor(options: LimitRestoreOptions) {
    this.#options = options
  }

  /** Finds out whether this Redis has lost what it had, and then begins; does not wait for the end. */
  async round(): Promise<void> {
    if (this.#isRunning) return
    const { local, keyPrefix, log, dataCenters } = this.#options
    const { birth } = exchangeKeys(keyPrefix)
    const answer = await local.run(BIRTH, [birth], [])
    if (answer instanceof RedisFailure || answer === '0') return
    this.#birth = String(answer)
    this.#isRunning = true
    void this.#restore().then(async (isWhole) => {
      if (isWhole && (await local.run(RESTORED, [birth], [this.#birth])) === 1)
        log.info({ dataCenter: dataCenters.local }, 'what the Redis of this data center had of leased limits is back')
      this.#isRunning = false
    })
  }

  /** False when another data center did not answer: the next round begins anew. */
  async #restore(): Promise<boolean> {
    for (const peer of this.#options.peers) {
      let cursor = '0'
      do {
        const page = await this.#scan(peer.link, cursor)
        if (page === null || !(await this.#takeAll(peer.link, page.keys))) return false
        cursor = page.cursor
      } while (cursor !== '0')
    }
    return true
  }

  async #scan(
    link: Pick<RedisLink, 'command'>,
    cursor: string,
  ): Promise<{ readonly cursor: string; readonly keys: string[] } | null> {
    const { leased } = exchangeKeys(this.#options.keyPrefix)
    const pattern = `${leased.replaceAll(/[*?[\]\\]/g, '\\$&')}*`
    const answer = await link.command(leased, 'scan', [cursor, 'MATCH', pattern, 'COUNT', SCANNED])
    if (answer instanceof RedisFailure) return null
    const [next, keys] = answer as [string, string[]]
    return { cursor: next, keys }
  }

  async #takeAll(link: Pick<RedisLink, 'run'>, keys: string[]): Promise<boolean> {
    let isWhole = true
    const drain = async (): Promise<void> => {
      for (let key = keys.pop(); key !== undefined && isWhole; key = keys.pop())
        if (!(await this.#takeOne(link, key))) isWhole = false
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, keys.length) }, drain))
    return isWhole
  }

  async #takeOne(link: Pick<RedisLink, 'run'>, key: string): Promise<boolean> {
    const held = await mergeWindow(link, key)
    if (held instanceof RedisFailure) return false
    return held.lifeMs < 0 || !((await mergeWindow(this.#options.local, key, held)) instanceof RedisFailure)
  }
}
