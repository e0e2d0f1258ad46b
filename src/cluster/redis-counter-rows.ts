/** The nodes' rows of synced counters in Redis: a hash for each counter and window, with a field for each start of a node. */
import type { CounterName, CounterRow, CounterRows, CounterTotals } from './counter-sync.ts'
import { RedisFailure, type RedisLink } from './redis-link.ts'
import { EXCHANGE } from './redis-scripts.ts'

export interface RedisCounterRowsOptions {
  readonly link: Pick<RedisLink, 'run'>
  /** Before the names of counters. */
  readonly keyPrefix: string
  readonly now: () => number
  /** Told of each counter that this node has made grow. */
  readonly note: (key: string) => void
}

/**
 * Counts only grow and each field has one writer, so an exchange whose answer was lost is simply done again, and a Redis that has
 * lost everything has it again after each node's next exchange.
 */
export class RedisCounterRows implements CounterRows {
  readonly #options: RedisCounterRowsOptions

  constructor(options: RedisCounterRowsOptions) {
    this.#options = options
  }

  async exchange(counter: CounterName, row: CounterRow, expiresAtMs: number): Promise<CounterTotals> {
    const { link, keyPrefix, now, note } = this.#options
    const lifeMs = Math.max(1, Math.ceil(expiresAtMs - now()))
    const key = `${keyPrefix}{${counter.key}}${counter.windowStartMs.toString(36)}`
    const answer = await link.run(EXCHANGE, [key], [row.incarnation, row.count, lifeMs])
    if (answer instanceof RedisFailure) throw new Error(answer.message)
    const [own, sum] = answer as [number, number]
    if (own <= row.count && own > 0) note(key)
    return { own, others: sum - own }
  }
}
