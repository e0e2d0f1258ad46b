/**
 * Decides over limits in Redis, with one script for each decision. The node's memory has what it counted itself and the totals that
 * it knows of; by both it limits while Redis does not answer, within its share, and both are told to Redis with each decision.
 */
import { previousWeight, ROUNDING, usedOfBucket, type LimitDecision, type LimitWindow } from '#model/limit-window.ts'
import { sharedName, shareOf, shortName } from './counter-name.ts'
import type { Limiter } from '#model/limiter.ts'
import { DECIDE } from './limit-scripts.ts'
import { bucketName } from './memory-limiter.ts'
import { UNTOLD_MAX, type RedisCountingOptions } from './redis-counting.ts'
import { RedisFailure } from './redis-link.ts'

/** Buckets are among the totals. */
export interface RedisLimiterOptions extends RedisCountingOptions {
  readonly isFaultTolerant: boolean
}

/** A decision as it is asked and answered. */
interface Asked {
  readonly key: string
  readonly windows: readonly LimitWindow[]
  readonly cost: number
  readonly isLimited: boolean
  readonly nowMs: number
}

export class RedisLimiter implements Limiter {
  readonly #options: RedisLimiterOptions
  readonly #untold = new Map<string, Asked>()
  readonly #forgetLink: () => void

  constructor(options: RedisLimiterOptions) {
    this.#options = options
    this.#forgetLink = options.link.onUp(() => this.#tell())
  }

  take(
    key: string,
    cost: number,
    windows: readonly LimitWindow[],
    nowMs: number,
  ): LimitDecision | null | Promise<LimitDecision | null> {
    const asked = { key, cost, windows, nowMs, isLimited: true }
    return this.#ask(asked) ?? this.#takeAlone(asked)
  }

  add(key: string, amount: number, windows: readonly LimitWindow[], nowMs: number): void {
    const asked = { key, cost: amount, windows, nowMs, isLimited: false }
    if (this.#ask(asked) === null) this.#takeAlone(asked)
  }

  close(): void {
    this.#forgetLink()
    this.#options.release()
  }

  /** Null at once while Redis is known not to answer; when it does not answer this one, the node decides. */
  #ask(asked: Asked): Promise<LimitDecision | null> | null {
    const { link, keyPrefix, own, known, timesAlone, incarnation, now } = this.#options
    const { key, cost, windows, isLimited, nowMs } = asked
    const tag = `${keyPrefix}{${sharedName(key)}}`
    if (!link.answersFor(tag)) return null
    const sentAtMs = now()
    const timesBefore = Atomics.load(timesAlone, 0)
    const keys: string[] = []
    const args: (string | number)[] = [incarnation, cost, isLimited ? 1 : 0, nowMs]
    const name = this.#nameOf(key)
    for (const window of windows) {
      const { algorithm, keySuffix, previousSuffix, most, unitMs, keptUntilMs } = window
      keys.push(tag + keySuffix, tag + previousSuffix)
      const weight = algorithm === 'sliding' ? previousWeight(window, nowMs) : 0
      const lifeMs = Math.max(1, Math.ceil(keptUntilMs - sentAtMs))
      const before = algorithm === 'sliding' ? known.read(name + previousSuffix) : 0
      args.push(
        algorithm,
        most,
        lifeMs,
        known.read(name + keySuffix),
        before,
        own.read(name + keySuffix),
        weight,
        unitMs,
      )
    }
    return link.run(DECIDE, keys, args).then((answer) => {
      if (answer instanceof RedisFailure) return this.#takeAlone(asked)
      const isExact = Atomics.load(timesAlone, 0) === timesBefore
      return this.#conclude(asked, name, tag, (answer as string[]).map(Number), isExact)
    })
  }

  #conclude(asked: Asked, name: string, tag: string, answer: readonly number[], isExact: boolean): LimitDecision {
    const { own, known, note } = this.#options
    const { windows, cost } = asked
    const count = windows.length
    const refusedBy = answer[0]!
    for (let i = 0; i < count; i++) {
      const window = windows[i]!
      const { keySuffix, keptUntilMs } = window
      if (window.algorithm === 'bucket')
        known.raiseTo(bucketName(name, window), answer[1 + 3 * count + i]!, keptUntilMs)
      else known.raiseTo(name + keySuffix, answer[1 + count + i]!, keptUntilMs)
      // What was counted alone while the answer was under way is not in it: then this one comes on top.
      if (isExact) own.raiseTo(name + keySuffix, answer[1 + 2 * count + i]!, keptUntilMs)
      else if (refusedBy === 0) own.add(name + keySuffix, cost, keptUntilMs)
      if (refusedBy === 0) note(tag + keySuffix)
    }
    return { refusedBy, used: answer.slice(1, 1 + count), hasMoreElsewhere: false }
  }

  #takeAlone(asked: Asked): LimitDecision | null {
    const { timesAlone, isFaultTolerant, own } = this.#options
    const { key, windows, cost, isLimited } = asked
    if (!isFaultTolerant && isLimited) return null
    Atomics.add(timesAlone, 0, 1)
    const name = this.#nameOf(key)
    const used: number[] = []
    for (const [index, window] of windows.entries()) {
      const total = this.#takeOneAlone(name, window, asked)
      if (total < 0) {
        for (const earlier of windows.slice(0, index)) this.#takeBack(name, earlier, cost)
        const soFar = windows.map((each) => this.#usedAlone(name, each, asked.nowMs))
        return { refusedBy: index + 1, used: soFar, hasMoreElsewhere: false }
      }
      used.push(total)
    }
    for (const window of windows)
      if (window.algorithm === 'bucket') own.add(name + window.keySuffix, cost, window.keptUntilMs)
    if (this.#untold.size < UNTOLD_MAX)
      this.#untold.set(key + windows[0]!.keySuffix, { ...asked, cost: 0, isLimited: false })
    return { refusedBy: 0, used, hasMoreElsewhere: false }
  }

  /** What is used then; below 0 when there is no room within this node's share, or within what was known to be left. */
  #takeOneAlone(name: string, window: LimitWindow, { cost, isLimited, nowMs }: Asked): number {
    const { own, known, nodes } = this.#options
    const { algorithm, most, unitMs, keySuffix, keptUntilMs } = window
    const divided = isLimited ? nodes() : 1
    if (algorithm === 'bucket') {
      const limitMs = isLimited ? nowMs + (shareOf(most, divided) * divided + ROUNDING) * unitMs : Infinity
      const fullAtMs = known.addAbove(bucketName(name, window), nowMs, cost * divided * unitMs, limitMs, keptUntilMs)
      return fullAtMs > limitMs ? -1 : usedOfBucket(window, fullAtMs, nowMs)
    }
    const before = isLimited ? this.#beforeAlone(name, window, nowMs) : 0
    // What the window before left is over the limit by itself: then nothing is let through, whatever it costs.
    if (isLimited && before > most + ROUNDING) return -1
    const left = isLimited ? Math.max(0, most - before) + ROUNDING : Infinity
    if (known.addUpTo(name + keySuffix, cost, left, keptUntilMs) > left) return -1
    const share = shareOf(left, divided)
    if (own.addUpTo(name + keySuffix, cost, share, keptUntilMs) <= share) return this.#usedAlone(name, window, nowMs)
    known.add(name + keySuffix, -cost, keptUntilMs)
    return -1
  }

  #takeBack(name: string, window: LimitWindow, cost: number): void {
    const { own, known, nodes } = this.#options
    const { algorithm, keySuffix, keptUntilMs, unitMs } = window
    if (algorithm === 'bucket') {
      known.add(bucketName(name, window), -cost * nodes() * unitMs, keptUntilMs)
      return
    }
    own.add(name + keySuffix, -cost, keptUntilMs)
    known.add(name + keySuffix, -cost, keptUntilMs)
  }

  #beforeAlone(name: string, window: LimitWindow, nowMs: number): number {
    if (window.algorithm !== 'sliding') return 0
    return previousWeight(window, nowMs) * this.#options.known.read(name + window.previousSuffix)
  }

  /** What is not left of its share is used for this node. */
  #usedAlone(name: string, window: LimitWindow, nowMs: number): number {
    const { own, known, nodes } = this.#options
    const { algorithm, most, keySuffix } = window
    if (algorithm === 'bucket') return usedOfBucket(window, known.read(bucketName(name, window)), nowMs)
    const left = most - this.#beforeAlone(name, window, nowMs)
    const free = Math.min(left - known.read(name + keySuffix), shareOf(left, nodes()) - own.read(name + keySuffix))
    return most - Math.max(0, free)
  }

  /** Redis is there again: what was counted alone is told at once, so that the other nodes hear of it before they decide. */
  #tell(): void {
    const untold = [...this.#untold.values()]
    this.#untold.clear()
    for (const asked of untold) void this.#ask({ ...asked, nowMs: this.#options.now() })
  }

  #nameOf(key: string): string {
    return this.#options.name + shortName(key)
  }
}
