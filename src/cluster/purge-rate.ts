/** How many names may be purged: so many a second, and as many at once. */
export class PurgeRate {
  readonly #perSecond: number
  readonly #monotonicMs: () => number
  #left: number
  #atMs: number

  /** 0 is without a limit. */
  constructor(perSecond: number, monotonicMs: () => number) {
    this.#perSecond = perSecond
    this.#monotonicMs = monotonicMs
    this.#left = perSecond
    this.#atMs = monotonicMs()
  }

  /** More than a second's worth at once waits for as long as it takes; what was taken before counts. */
  take(names: number): boolean {
    if (this.#perSecond === 0) return true
    const nowMs = this.#monotonicMs()
    this.#left = Math.min(this.#perSecond, this.#left + ((nowMs - this.#atMs) / 1000) * this.#perSecond)
    this.#atMs = nowMs
    if (this.#left <= 0) return false
    this.#left -= names
    return true
  }
}
