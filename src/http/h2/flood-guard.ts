/**
 * Counts frames that cost a peer nothing and us something: resets, pings, settings, empty DATA, window updates without data, and the
 * streams that were refused. Each takes a token; so many are there at first and so many come back in each second. Whoever uses
 * them up is told ENHANCE_YOUR_CALM (CVE-2019-9512 to 9518, CVE-2023-44487, CVE-2024-27316, CVE-2025-8671).
 */

/** What a connection begins with, and may have at most. */
export const FLOOD_TOKENS = 1000
const TOKENS_PER_SECOND = 100
/** Window updates that each DATA frame of ours pays for: peers answer with one for the stream and one for the connection, at most. */
const UPDATES_PER_DATA = 4
const MOST_UPDATES = 1000

export class FloodGuard {
  /** Tokens that were taken since somebody set this to 0. */
  spent = 0
  #tokens: number
  #updates = MOST_UPDATES
  #countedMs: number
  readonly #now: () => number

  constructor(tokens: number, now: () => number = () => performance.now()) {
    this.#tokens = tokens
    this.#now = now
    this.#countedMs = now()
  }

  /** Takes tokens; false when they are used up. */
  take(count = 1): boolean {
    this.spent += count
    this.#tokens -= count
    if (this.#tokens >= 0) return true
    const nowMs = this.#now()
    this.#tokens += Math.min(FLOOD_TOKENS, Math.floor(((nowMs - this.#countedMs) / 1000) * TOKENS_PER_SECOND))
    this.#countedMs = nowMs
    return this.#tokens >= 0
  }

  dataSent(): void {
    if (this.#updates < MOST_UPDATES) this.#updates += UPDATES_PER_DATA
  }

  /** False when there are far more window updates than data that they could be for. */
  updateReceived(): boolean {
    if (this.#updates > 0) {
      this.#updates--
      return true
    }
    return this.take()
  }
}
