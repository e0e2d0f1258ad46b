/**
 * Decides over limits by the node's memory: counters of this node alone, or what is known of all nodes. Several limits are not one
 * step over all workers: what a later one refuses is taken back from those before.
 */
import {
  MOST_OWED,
  previousWeight,
  ROUNDING,
  usedOfBucket,
  type LimitDecision,
  type LimitWindow,
} from '#model/limit-window.ts'
import type { Limiter } from '#model/limiter.ts'
import { shareOf, shortName } from './counter-name.ts'
import type { LocalCountersTable } from './local-counters.ts'

/** Counters of windows. */
export interface WindowCounters {
  add(key: string, amount: number, expiresAtMs: number): number
  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number, startsAtMs: number): number
  /** Counts and tells, whatever the limit. */
  count(key: string, amount: number, expiresAtMs: number, startsAtMs: number): number
  read(key: string): number
}

export interface SharedWindowCounters extends WindowCounters {
  /** Whether counts are exchanged. */
  readonly isSynced: boolean
  /** What other nodes counted, as far as known. */
  readOthers(key: string): number
  close(): void
}

export interface MemoryLimiterOptions {
  /** Those of the node: they count for `local`, and have the buckets of each policy. */
  readonly table: LocalCountersTable
  /** Those of all nodes; null where each limits for itself. */
  readonly shared: SharedWindowCounters | null
  /** Among how many nodes a limit is divided while counts are not exchanged. */
  readonly nodes: () => number
  readonly isFaultTolerant: boolean
}

export class MemoryLimiter implements Limiter {
  readonly #options: MemoryLimiterOptions
  readonly #counters: WindowCounters

  constructor(options: MemoryLimiterOptions) {
    this.#options = options
    this.#counters = options.shared ?? localWindows(options.table)
  }

  take(key: string, cost: number, windows: readonly LimitWindow[], nowMs: number): LimitDecision | null {
    const { shared, isFaultTolerant } = this.#options
    if (shared !== null && !shared.isSynced && !isFaultTolerant) return null
    const name = shortName(key)
    const used: number[] = []
    for (let i = 0; i < windows.length; i++) {
      const total = this.#takeOne(name, cost, windows[i]!, nowMs)
      if (total < 0) return this.#refuse(name, cost, windows, nowMs, i)
      used.push(total)
    }
    for (const window of windows) if (window.algorithm === 'bucket') this.#tellBucket(name, cost, window)
    return { refusedBy: 0, used, hasMoreElsewhere: false }
  }

  add(key: string, amount: number, windows: readonly LimitWindow[], nowMs: number): void {
    const name = shortName(key)
    for (const window of windows) {
      const { algorithm, keySuffix, startMs, keptUntilMs } = window
      if (algorithm === 'bucket') {
        this.#fill(name, amount, window, nowMs, Infinity)
        this.#tellBucket(name, amount, window)
      } else this.#counters.count(name + keySuffix, amount, keptUntilMs, startMs)
    }
  }

  close(): void {
    this.#options.shared?.close()
  }

  /** What is used then; below 0 when there is no room. */
  #takeOne(name: string, cost: number, window: LimitWindow, nowMs: number): number {
    const { algorithm, most, keySuffix, startMs, keptUntilMs } = window
    if (algorithm === 'bucket') {
      this.#payOwed(name, window, nowMs)
      const nodes = this.#dividedBy()
      const room = shareOf(most, nodes) * nodes * window.unitMs
      const limitMs = nowMs + room + ROUNDING * window.unitMs
      const fullAtMs = this.#fill(name, cost * nodes, window, nowMs, limitMs)
      return fullAtMs > limitMs ? -1 : usedOfBucket(window, fullAtMs, nowMs)
    }
    const before = this.#before(name, window, nowMs)
    const limit = Math.max(0, most - before) + ROUNDING
    const total = this.#counters.addUpTo(name + keySuffix, cost, limit, keptUntilMs, startMs)
    // What the window before left may be over the limit by itself.
    return total > limit || total + before > most + ROUNDING ? -1 : total + before
  }

  #takeBack(name: string, cost: number, window: LimitWindow): void {
    const { algorithm, unitMs, keySuffix, keptUntilMs } = window
    if (algorithm !== 'bucket') this.#counters.add(name + keySuffix, -cost, keptUntilMs)
    else this.#options.table.add(bucketName(name, window), -cost * this.#dividedBy() * unitMs, keptUntilMs)
  }

  #refuse(name: string, cost: number, windows: readonly LimitWindow[], nowMs: number, at: number): LimitDecision {
    for (let i = 0; i < at; i++) this.#takeBack(name, cost, windows[i]!)
    const used = windows.map((window) => this.#used(name, window, nowMs))
    return { refusedBy: at + 1, used, hasMoreElsewhere: false }
  }

  #used(name: string, window: LimitWindow, nowMs: number): number {
    if (window.algorithm === 'bucket')
      return usedOfBucket(window, this.#options.table.read(bucketName(name, window)), nowMs)
    return this.#counters.read(name + window.keySuffix) + this.#before(name, window, nowMs)
  }

  #before(name: string, window: LimitWindow, nowMs: number): number {
    if (window.algorithm !== 'sliding') return 0
    return previousWeight(window, nowMs) * this.#counters.read(name + window.previousSuffix)
  }

  /** Takes out of a bucket if it is full again at `limitMs` at the latest; answers when it is, or would be. */
  #fill(name: string, cost: number, window: LimitWindow, nowMs: number, limitMs: number): number {
    const { table } = this.#options
    return table.addAbove(bucketName(name, window), nowMs, cost * window.unitMs, limitMs, window.keptUntilMs)
  }

  #tellBucket(name: string, cost: number, { keySuffix, keptUntilMs, startMs }: LimitWindow): void {
    this.#options.shared?.count(name + keySuffix, cost, keptUntilMs, startMs)
  }

  /** Takes out what others took since. */
  #payOwed(name: string, window: LimitWindow, nowMs: number): void {
    const { shared, table } = this.#options
    if (shared === null) return
    let owed = 0
    for (const suffix of [window.previousSuffix, window.keySuffix]) {
      const others = shared.readOthers(name + suffix)
      if (others > 0) owed += table.growTo(`${name}${suffix}>`, others, window.keptUntilMs)
    }
    if (owed === 0) return
    const fullAtMs = Math.max(nowMs, table.read(bucketName(name, window)))
    const room = nowMs + MOST_OWED * window.most * window.unitMs - fullAtMs
    this.#fill(name, Math.min(owed, Math.max(0, room / window.unitMs)), window, nowMs, Infinity)
  }

  #dividedBy(): number {
    const { shared, nodes } = this.#options
    return shared === null || shared.isSynced ? 1 : nodes()
  }
}

/** One for all windows of the bucket. */
export function bucketName(name: string, { limitSuffix }: LimitWindow): string {
  return `${name}${limitSuffix}~`
}

/** Counters that nobody else is told of. */
function localWindows(table: LocalCountersTable): WindowCounters {
  return {
    add: (key, amount, expiresAtMs) => table.add(key, amount, expiresAtMs),
    addUpTo: (key, amount, limit, expiresAtMs) => table.addUpTo(key, amount, limit, expiresAtMs),
    count: (key, amount, expiresAtMs) => table.add(key, amount, expiresAtMs),
    read: (key) => table.read(key),
  }
}
