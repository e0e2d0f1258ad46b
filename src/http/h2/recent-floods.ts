/**
 * Addresses from which somebody flooded this thread a moment ago. Connections that are there are served as any; new ones begin with less
 * of what a flood uses up, and only so many come in, as another client may be behind the same address: coming back at once, which costs
 * us far more than a flood does until it is ended, is then worth little.
 */
import { RecentFacts } from '#core/recent-facts.ts'
import { networkOf } from './network-of.ts'

/** How long an address is remembered after its last flood. */
const REMEMBERED_MS = 10_000
const MOST_ADDRESSES = 1000
/** So many floods in a second come from more addresses than can be told apart: all that is new begins with less. */
const MANY_IN_A_SECOND = 20

export interface FloodOptions {
  /** New connections in a second that may come from where a flood came; none is refused without it. */
  readonly connectionsPerSecond?: number
  /** Whether an address is known to be a proxy's, behind which are all clients: its connections are not counted. */
  readonly isProxy?: (address: string) => boolean
  /** From now on some are refused, the first of them from there; or, with null, none any more. */
  readonly onChange?: (address: string | null) => void
}

interface Flooder {
  /** Connections in a second. */
  readonly rate: number
  /** Connections that may come now, at `countedMs`. */
  allowed: number
  countedMs: number
}

export class RecentFloods {
  /** Connections that were refused. */
  refused = 0
  readonly #rate: number
  readonly #isProxy: (address: string) => boolean
  readonly #onChange: (address: string | null) => void
  readonly #now: () => number
  /** By network. */
  readonly #flooders = new RecentFacts<Flooder>(REMEMBERED_MS, MOST_ADDRESSES)
  #isRefusing = false
  /** Floods of the second that began at `#secondMs`, and of the one before. */
  #inSecond = 0
  #inLastSecond = 0
  #secondMs = -Infinity

  constructor(options: FloodOptions = {}, now: () => number = () => performance.now()) {
    this.#rate = options.connectionsPerSecond ?? Infinity
    this.#isProxy = options.isProxy ?? (() => false)
    this.#onChange = options.onChange ?? (() => undefined)
    this.#now = now
  }

  /** Somebody there was told ENHANCE_YOUR_CALM. */
  add(address: string): void {
    // Of Unix sockets: nobody's.
    if (address === '') return
    const nowMs = this.#now()
    this.#count(nowMs)
    this.#inSecond++
    const key = networkOf(address)
    this.#flooders.set(key, this.#flooders.get(key, nowMs) ?? this.#newFlooder(address, nowMs), nowMs)
  }

  /** Whether a new connection from there begins with less. */
  has(address: string): boolean {
    if (this.#flooders.size === 0) return false
    this.#count(this.#now())
    return this.#inSecond + this.#inLastSecond >= MANY_IN_A_SECOND || this.#find(address) !== undefined
  }

  /** Whether a new connection from there may come in; it counts as one that did. */
  admits(address: string): boolean {
    const one = this.#find(address)
    if (one === undefined || one.rate === Infinity) return true
    const nowMs = this.#now()
    one.allowed = Math.min(one.rate, one.allowed + ((nowMs - one.countedMs) / 1000) * one.rate)
    one.countedMs = nowMs
    if (one.allowed >= 1) {
      one.allowed--
      return true
    }
    this.refused++
    if (!this.#isRefusing) {
      this.#isRefusing = true
      this.#onChange(address)
    }
    return false
  }

  /** Forgets those whose time is over; to be called now and then. */
  forget(): void {
    this.#flooders.forget(this.#now())
    if (!this.#isRefusing || this.#flooders.size > 0) return
    this.#isRefusing = false
    this.#onChange(null)
  }

  #count(nowMs: number): void {
    const passedMs = nowMs - this.#secondMs
    if (passedMs < 1000) return
    this.#inLastSecond = passedMs < 2000 ? this.#inSecond : 0
    this.#inSecond = 0
    this.#secondMs = nowMs
  }

  #find(address: string): Flooder | undefined {
    if (this.#flooders.size === 0) return undefined
    return this.#flooders.get(networkOf(address), this.#now())
  }

  #newFlooder(address: string, nowMs: number): Flooder {
    const rate = this.#isProxy(address) ? Infinity : this.#rate
    return { rate, allowed: rate, countedMs: nowMs }
  }
}
