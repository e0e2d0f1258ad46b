/** A limiter for tests, slow and obvious: what others are compared with. */
import { previousWeight, type LimitDecision, type LimitWindow } from '#model/limit-window.ts'
import type { Limiter } from '#model/limiter.ts'

export class FakeLimiter implements Limiter {
  /** What nobody may decide about: Redis is gone, and the limiter not fault tolerant. */
  isGone = false
  isClosed = false
  readonly #totals = new Map<string, number>()
  readonly #buckets = new Map<string, { level: number; atMs: number }>()

  take(key: string, cost: number, windows: readonly LimitWindow[], nowMs: number): LimitDecision | null {
    if (this.isGone) return null
    const used = windows.map((window) => this.#used(key, window, nowMs))
    const refused = windows.findIndex(({ most }, index) => used[index]! + cost > most + 1e-9)
    if (refused >= 0) return { refusedBy: refused + 1, used, hasMoreElsewhere: false }
    this.add(key, cost, windows, nowMs)
    return { refusedBy: 0, used: used.map((each) => each + cost), hasMoreElsewhere: false }
  }

  add(key: string, amount: number, windows: readonly LimitWindow[], nowMs: number): void {
    for (const window of windows) {
      if (window.algorithm === 'bucket') this.#bucket(key, window, nowMs).level -= amount
      else this.#totals.set(key + window.keySuffix, this.#total(key + window.keySuffix) + amount)
    }
  }

  close(): void {
    this.isClosed = true
  }

  #used(key: string, window: LimitWindow, nowMs: number): number {
    if (window.algorithm === 'bucket') return window.most - this.#bucket(key, window, nowMs).level
    const before = window.algorithm === 'sliding' ? this.#total(key + window.previousSuffix) : 0
    return this.#total(key + window.keySuffix) + previousWeight(window, nowMs) * before
  }

  #total(name: string): number {
    return this.#totals.get(name) ?? 0
  }

  #bucket(key: string, { limitSuffix, most, unitMs }: LimitWindow, nowMs: number): { level: number; atMs: number } {
    const name = key + limitSuffix
    const bucket = this.#buckets.get(name) ?? { level: most, atMs: nowMs }
    this.#buckets.set(name, bucket)
    bucket.level = Math.min(most, bucket.level + (nowMs - bucket.atMs) / unitMs)
    bucket.atMs = nowMs
    return bucket
  }
}
