/** Keys that something happened to a moment ago. Each is remembered for some time after the last time, and only so many of them. */
export class RecentKeys {
  readonly #forMs: number
  readonly #most: number
  /** Until when, the next to be forgotten first. */
  readonly #untilMs = new Map<string, number>()

  constructor(forMs: number, most: number) {
    this.#forMs = forMs
    this.#most = most
  }

  /** Forgets the one whose last time is the longest ago, where there is no room. */
  add(key: string, nowMs: number): void {
    this.#untilMs.delete(key)
    if (this.#untilMs.size >= this.#most) this.#untilMs.delete(this.#untilMs.keys().next().value!)
    this.#untilMs.set(key, nowMs + this.#forMs)
  }

  has(key: string, nowMs: number): boolean {
    if (this.#untilMs.size === 0) return false
    return (this.#untilMs.get(key) ?? -Infinity) > nowMs
  }
}
