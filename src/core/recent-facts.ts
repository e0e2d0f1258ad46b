/** What is known of keys to which something happened a moment ago: for some time after the last time, and only of so many of them. */
export class RecentFacts<Fact> {
  readonly #forMs: number
  readonly #most: number
  /** The next to be forgotten first. */
  readonly #entries = new Map<string, { readonly untilMs: number; readonly fact: Fact }>()

  constructor(forMs: number, most: number) {
    this.#forMs = forMs
    this.#most = most
  }

  get size(): number {
    return this.#entries.size
  }

  /** Forgets the one whose last time is the longest ago, where there is no room. */
  set(key: string, fact: Fact, nowMs: number): void {
    this.#entries.delete(key)
    if (this.#entries.size >= this.#most) this.#entries.delete(this.#entries.keys().next().value!)
    this.#entries.set(key, { untilMs: nowMs + this.#forMs, fact })
  }

  get(key: string, nowMs: number): Fact | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && entry.untilMs > nowMs ? entry.fact : undefined
  }

  /** Lets go of those whose time is over before there is no room; to be called now and then. */
  forget(nowMs: number): void {
    for (const [key, { untilMs }] of this.#entries) {
      if (untilMs > nowMs) break
      this.#entries.delete(key)
    }
  }
}

/** Keys of which nothing more is known than that. */
export class RecentKeys extends RecentFacts<true> {
  add(key: string, nowMs: number): void {
    this.set(key, true, nowMs)
  }

  has(key: string, nowMs: number): boolean {
    return this.size > 0 && this.get(key, nowMs) === true
  }
}
