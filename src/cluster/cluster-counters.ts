/**
 * Counters of all nodes, as a worker sees them: what this node counted, exact over its workers, and what the main thread last
 * learned of the other nodes. Both are tables in shared memory, so that a request never waits for another node; what a worker adds
 * it tells the main thread, which writes and reads the rows of all nodes (`counter-sync.ts`).
 */
import { shortName } from './counter-name.ts'
import { createLocalCounters, sizeFor, type LocalCountersTable } from './local-counters.ts'

/** Shared by all threads of a node. */
export interface ClusterCounterBuffers {
  readonly own: SharedArrayBuffer
  readonly others: SharedArrayBuffer
  /** One word: whether the nodes' counts are out of step. */
  readonly state: SharedArrayBuffer
}

/** A counter that has grown: its name, and its window (Unix ms) until the moment when nobody counts in it any more. */
export interface CountedKey {
  readonly key: string
  readonly startsAtMs: number
  readonly expiresAtMs: number
}

export interface ClusterCountersOptions {
  readonly buffers: ClusterCounterBuffers
  /** Gives the main thread what has grown. */
  readonly tell: (keys: readonly CountedKey[]) => void
  /** Runs it once after a time, without keeping the process. */
  readonly later: (run: () => void, ms: number) => void
  readonly now?: () => number
}

/** How long a worker collects names before it tells them: a message costs as much as some requests. */
export const TELL_MS = 50
/** Names in a message; with more they are told at once. */
const TELL_KEYS = 1000

export function createClusterCounterBuffers(entries: number): ClusterCounterBuffers {
  return {
    own: new SharedArrayBuffer(sizeFor(entries)),
    others: new SharedArrayBuffer(sizeFor(entries)),
    state: new SharedArrayBuffer(4),
  }
}

export class ClusterCounters {
  readonly #own: LocalCountersTable
  readonly #others: LocalCountersTable
  readonly #state: Int32Array
  readonly #tell: ClusterCountersOptions['tell']
  readonly #later: ClusterCountersOptions['later']
  readonly #flush = () => this.flush()
  #grown = new Map<string, CountedKey>()

  constructor({ buffers, tell, later, now = Date.now }: ClusterCountersOptions) {
    this.#own = createLocalCounters(buffers.own, { now })
    this.#others = createLocalCounters(buffers.others, { now })
    this.#state = new Int32Array(buffers.state)
    this.#tell = tell
    this.#later = later
  }

  /** False when this node has not been able to exchange counts with the others for a while. */
  get isSynced(): boolean {
    return Atomics.load(this.#state, 0) === 0
  }

  /** Adds and answers the total over all nodes, as far as known. Taking back what was added tells nobody: rows only grow. */
  add(key: string, amount: number, expiresAtMs: number): number {
    const name = shortName(key)
    return this.#others.read(name) + this.#own.add(name, amount, expiresAtMs)
  }

  /** Adds, whatever the limit, and tells the others. */
  count(key: string, amount: number, expiresAtMs: number, startsAtMs: number): number {
    return this.addUpTo(key, amount, Infinity, expiresAtMs, startsAtMs)
  }

  /** Adds only if the total over all nodes then is at most `limit`; answers what it is, or would have been. */
  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number, startsAtMs: number): number {
    const name = shortName(key)
    const others = this.#others.read(name)
    const total = others + this.#own.addUpTo(name, amount, limit - others, expiresAtMs)
    if (total <= limit && !this.#grown.has(name)) this.#note({ key: name, startsAtMs, expiresAtMs })
    return total
  }

  /**
   * Adds only if the total as far as known then is at most `limit`, and what this node counted at most `share`. Answers the limit
   * less what this node may still add, or more than the limit when it refused.
   */
  addWithinShare(
    key: string,
    amount: number,
    limit: number,
    share: number,
    expiresAtMs: number,
    startsAtMs: number,
  ): number {
    const name = shortName(key)
    const most = Math.min(share, limit - this.#others.read(name))
    const own = this.#own.addUpTo(name, amount, most, expiresAtMs)
    if (own > most) return limit + amount
    if (!this.#grown.has(name)) this.#note({ key: name, startsAtMs, expiresAtMs })
    return limit - (most - own)
  }

  read(key: string): number {
    const name = shortName(key)
    return this.#others.read(name) + this.#own.read(name)
  }

  /** What other nodes counted, as far as known. */
  readOthers(key: string): number {
    return this.#others.read(shortName(key))
  }

  /** Tells what has grown now, and not only after a while. */
  flush(): void {
    if (this.#grown.size === 0) return
    this.#tell([...this.#grown.values()])
    this.#grown = new Map()
  }

  #note(counted: CountedKey): void {
    if (this.#grown.size === 0) this.#later(this.#flush, TELL_MS)
    this.#grown.set(counted.key, counted)
    if (this.#grown.size >= TELL_KEYS) this.flush()
  }
}
