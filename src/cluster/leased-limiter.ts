/**
 * Decides over limits of which each data center has a share: the sum of the shares is the limit, so no data center has to ask another
 * one, and together they never admit more. What a share lacks the exchange fetches from those that have more left.
 */
import { ROUNDING, type LimitDecision, type LimitWindow } from '#model/limit-window.ts'
import { sharedName, shortName } from './counter-name.ts'
import type { DataCenters } from './data-centers.ts'
import type { Limiter } from '#model/limiter.ts'
import { DECIDE_LEASED } from './limit-scripts.ts'
import type { RedisLimiterOptions } from './redis-limiter.ts'
import { RedisFailure } from './redis-link.ts'

export interface LeasedLimiterOptions extends RedisLimiterOptions {
  readonly dataCenters: DataCenters
  /** The key that says since when this Redis is. */
  readonly birthKey: string
}

export class LeasedLimiter implements Limiter {
  readonly #options: LeasedLimiterOptions

  constructor(options: LeasedLimiterOptions) {
    this.#options = options
  }

  take(
    key: string,
    cost: number,
    windows: readonly LimitWindow[],
  ): LimitDecision | null | Promise<LimitDecision | null> {
    return this.#ask(key, cost, windows, true) ?? this.#takeAlone(key, cost, windows)
  }

  /** What comes on top of a request may pass the share, and so the limit, by itself. */
  add(key: string, amount: number, windows: readonly LimitWindow[]): void {
    if (this.#ask(key, amount, windows, false) === null) this.#addAlone(key, amount, windows)
  }

  close(): void {
    this.#options.release()
  }

  #ask(
    key: string,
    cost: number,
    windows: readonly LimitWindow[],
    isLimited: boolean,
  ): Promise<LimitDecision | null> | null {
    const { link, keyPrefix, birthKey, own, known, timesAlone, incarnation, now, dataCenters } = this.#options
    const tag = `${keyPrefix}{${sharedName(key)}}`
    if (!link.answersFor(tag)) return null
    const { local, names } = dataCenters
    const sentAtMs = now()
    const timesBefore = Atomics.load(timesAlone, 0)
    const name = this.#nameOf(key)
    const keys: string[] = []
    const args: (string | number)[] = [incarnation, cost, isLimited ? 1 : 0, local, names.length, names.indexOf(local)]
    for (const { keySuffix, most, keptUntilMs, startMs } of windows) {
      keys.push(tag + keySuffix)
      const lifeMs = Math.max(1, Math.ceil(keptUntilMs - sentAtMs))
      args.push(most, lifeMs, known.read(name + keySuffix), own.read(name + keySuffix), startMs)
    }
    keys.push(birthKey)
    return link.run(DECIDE_LEASED, keys, args).then((answer) => {
      if (answer instanceof RedisFailure) {
        if (isLimited) return this.#takeAlone(key, cost, windows)
        this.#addAlone(key, cost, windows)
        return null
      }
      const isExact = Atomics.load(timesAlone, 0) === timesBefore
      return this.#conclude(name, tag, cost, windows, (answer as string[]).map(Number), isExact)
    })
  }

  #conclude(
    name: string,
    tag: string,
    cost: number,
    windows: readonly LimitWindow[],
    answer: readonly number[],
    isExact: boolean,
  ): LimitDecision {
    const { own, known, note } = this.#options
    const count = windows.length
    const refusedBy = answer[0]!
    let hasMoreElsewhere = false
    for (let i = 0; i < count; i++) {
      const { keySuffix, keptUntilMs, most } = windows[i]!
      known.raiseTo(name + keySuffix, answer[1 + count + i]!, keptUntilMs)
      if (isExact) own.raiseTo(name + keySuffix, answer[1 + 2 * count + i]!, keptUntilMs)
      else if (refusedBy === 0) own.add(name + keySuffix, cost, keptUntilMs)
      if (refusedBy === i + 1) hasMoreElsewhere = answer[1 + i]! + cost <= most + ROUNDING
      // Also what was refused: then more is wanted.
      note(tag + keySuffix)
    }
    return { refusedBy, used: answer.slice(1, 1 + count), hasMoreElsewhere }
  }

  /** Within a node's part of the even share, and what was known to be left of that. */
  #takeAlone(key: string, cost: number, windows: readonly LimitWindow[]): LimitDecision | null {
    const { isFaultTolerant, timesAlone, own, known } = this.#options
    if (!isFaultTolerant) return null
    Atomics.add(timesAlone, 0, 1)
    const name = this.#nameOf(key)
    for (const [index, window] of windows.entries()) {
      const { keySuffix, keptUntilMs } = window
      const { ofNode, ofDataCenter } = this.#sharesOf(window)
      if (known.addUpTo(name + keySuffix, cost, ofDataCenter, keptUntilMs) <= ofDataCenter) {
        if (own.addUpTo(name + keySuffix, cost, ofNode, keptUntilMs) <= ofNode) continue
        known.add(name + keySuffix, -cost, keptUntilMs)
      }
      for (const earlier of windows.slice(0, index)) {
        own.add(name + earlier.keySuffix, -cost, earlier.keptUntilMs)
        known.add(name + earlier.keySuffix, -cost, earlier.keptUntilMs)
      }
      return { refusedBy: index + 1, used: this.#usedAlone(name, windows), hasMoreElsewhere: false }
    }
    return { refusedBy: 0, used: this.#usedAlone(name, windows), hasMoreElsewhere: false }
  }

  #addAlone(key: string, amount: number, windows: readonly LimitWindow[]): void {
    const { own, known, timesAlone } = this.#options
    Atomics.add(timesAlone, 0, 1)
    const name = this.#nameOf(key)
    for (const { keySuffix, keptUntilMs } of windows) {
      own.add(name + keySuffix, amount, keptUntilMs)
      known.add(name + keySuffix, amount, keptUntilMs)
    }
  }

  #usedAlone(name: string, windows: readonly LimitWindow[]): number[] {
    const { own, known } = this.#options
    return windows.map((window) => {
      const { ofNode, ofDataCenter } = this.#sharesOf(window)
      const left = Math.min(
        ofNode - own.read(name + window.keySuffix),
        ofDataCenter - known.read(name + window.keySuffix),
      )
      return window.most - Math.max(0, left)
    })
  }

  #sharesOf({ most }: LimitWindow): { readonly ofNode: number; readonly ofDataCenter: number } {
    const { names, local } = this.#options.dataCenters
    const count = names.length
    const ofDataCenter = Math.floor(most / count) + (names.indexOf(local) < most % count ? 1 : 0)
    return { ofNode: Math.floor(ofDataCenter / this.#options.nodes()), ofDataCenter }
  }

  #nameOf(key: string): string {
    return this.#options.name + shortName(key)
  }
}
