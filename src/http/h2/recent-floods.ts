/**
 * Addresses from which somebody flooded this thread a moment ago. Who comes from there next is served as anybody, as it may be another
 * behind the same load balancer; but it begins with less of what a flood uses up, so that coming back at once is worth little.
 */
import { RecentKeys } from '#core/recent-keys.ts'

/** How long an address is remembered after its last flood. */
const REMEMBERED_MS = 10_000
const MOST_ADDRESSES = 1000

export class RecentFloods {
  readonly #addresses = new RecentKeys(REMEMBERED_MS, MOST_ADDRESSES)
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  add(address: string): void {
    // Of Unix sockets: nobody's.
    if (address !== '') this.#addresses.add(address, this.#now())
  }

  has(address: string): boolean {
    return this.#addresses.has(address, this.#now())
  }
}
