/**
 * Counters that decide by memory and exchange their counts over Redis in rounds, as `CounterSync` does over Cassandra. While Redis
 * does not answer, a node admits what is left of its share of the limit, by what it last knew of the others.
 */
import { ClusterCounters } from './cluster-counters.ts'
import type { CounterSync } from './counter-sync.ts'
import { shareOf, shortName } from './counter-name.ts'

/** With what stands before it no longer than what `ClusterCounters` leaves as it is. */
const LONGEST_NAME = 64

export interface SyncedCountersOptions {
  readonly counters: ClusterCounters
  readonly sync: CounterSync
  /** Before the names in the tables, which have counters of other Redis, too. */
  readonly name: string
  /** Whether Redis answers. */
  readonly isUp: () => boolean
  /** Among how many nodes a limit is divided while it does not. */
  readonly nodes: () => number
  /** Called when the last who uses it has closed it. */
  readonly onUnused: () => void
}

export class SyncedCounters {
  readonly #options: SyncedCountersOptions
  readonly #counters: ClusterCounters
  readonly #name: string
  #users = 0

  constructor(options: SyncedCountersOptions) {
    this.#options = options
    this.#counters = options.counters
    this.#name = options.name
  }

  /** False when counts have not been exchanged for a while, or Redis is known not to answer. */
  get isSynced(): boolean {
    return this.#options.isUp() && this.#counters.isSynced
  }

  use(): this {
    this.#users++
    return this
  }

  add(key: string, amount: number, expiresAtMs: number): number {
    return this.#counters.add(this.#nameOf(key), amount, expiresAtMs)
  }

  /** Adds and tells the others, without a limit. */
  count(key: string, amount: number, expiresAtMs: number, startsAtMs: number): number {
    return this.#counters.count(this.#nameOf(key), amount, expiresAtMs, startsAtMs)
  }

  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number, startsAtMs: number): number {
    const name = this.#nameOf(key)
    if (this.isSynced) return this.#counters.addUpTo(name, amount, limit, expiresAtMs, startsAtMs)
    const share = shareOf(limit, this.#options.nodes())
    return this.#counters.addWithinShare(name, amount, limit, share, expiresAtMs, startsAtMs)
  }

  read(key: string): number {
    return this.#counters.read(this.#nameOf(key))
  }

  readOthers(key: string): number {
    return this.#counters.readOthers(this.#nameOf(key))
  }

  close(): void {
    if (--this.#users === 0) this.#options.onUnused()
  }

  /** Exchanges what was counted last, and ends. */
  async finish(): Promise<void> {
    this.#counters.flush()
    await this.#options.sync.close()
  }

  #nameOf(key: string): string {
    return this.#name + shortName(key, LONGEST_NAME)
  }
}
