/**
 * How late the event loop is: a timer that knows when it should have come. `currentMs` is what overload shedding looks at; the
 * quantiles are for /metrics.
 */
const TICK_MS = 50
/** Samples of one minute. */
const KEPT = 1200

export class LoopDelay {
  /** How late the last tick was. */
  currentMs = 0
  readonly #now: () => number
  readonly #samples = new Float64Array(KEPT)
  #count = 0
  #dueMs: number
  readonly #timer: NodeJS.Timeout

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#dueMs = now() + TICK_MS
    this.#timer = setInterval(() => this.tick(), TICK_MS)
    this.#timer.unref()
  }

  /** Forgets how late the last tick was: what held up the loop is over and concerned nobody. */
  restart(): void {
    this.currentMs = 0
    this.#dueMs = this.#now() + TICK_MS
  }

  /** Called by the timer, and by tests with their own clock. */
  tick(): void {
    const now = this.#now()
    this.currentMs = Math.max(0, now - this.#dueMs)
    this.#dueMs = now + TICK_MS
    this.#samples[this.#count++ % KEPT] = this.currentMs
  }

  /** In seconds, over the last minute at most. */
  quantiles(): { readonly p50: number; readonly p99: number; readonly max: number } {
    const sorted = this.#samples.slice(0, Math.min(this.#count, KEPT)).toSorted()
    const at = (share: number): number => (sorted[Math.ceil(share * sorted.length) - 1] ?? 0) / 1000
    return { p50: at(0.5), p99: at(0.99), max: at(1) }
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
