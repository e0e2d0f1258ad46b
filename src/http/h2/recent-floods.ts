/**
 * Addresses from which somebody flooded this thread a moment ago. Who comes from there next is served as anybody, as it may be another
 * behind the same load balancer; but it begins with less of what a flood uses up, so that coming back at once is worth little.
 */

/** How long an address is remembered after its last flood. */
const REMEMBERED_MS = 10_000
const MOST_ADDRESSES = 1000

export class RecentFloods {
  /** Until when, the next to be forgotten first. */
  readonly #untilMs = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  add(address: string): void {
    // Of Unix sockets: nobody's.
    if (address === '') return
    this.#untilMs.delete(address)
    this.#untilMs.set(address, this.#now() + REMEMBERED_MS)
    if (this.#untilMs.size > MOST_ADDRESSES) for (const oldest of this.#untilMs.keys()) return this.#forget(oldest)
  }

  has(address: string): boolean {
    const untilMs = this.#untilMs.get(address)
    if (untilMs === undefined) return false
    if (untilMs > this.#now()) return true
    this.#forget(address)
    return false
  }

  #forget(address: string): void {
    this.#untilMs.delete(address)
  }
}
