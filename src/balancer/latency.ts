/**
 * The address with the lowest moving average of latencies for its weight. The average decays with time towards 0 when it is
 * compared, so that a slow address is tried again; a new address starts at the average of the known ones and is not flooded.
 */
import { isTried, type Address } from './address.ts'
import { AddressList } from './address-list.ts'
import { NONE_TRIED, type Algorithm, type AlgorithmOptions } from './algorithm.ts'
import type { Outcome, PickedTarget } from './contract.ts'

/** Kong's: after ten seconds an old latency counts for 37 %. */
const DECAY_MS = 10_000
/** What a failure counts at least: an address that refuses at once would else look like the fastest of all. */
const FAILURE_MS = 1000
/** The client went away: says nothing about the address. */
const CLIENT_CLOSED = 499

export class Latency implements Algorithm {
  readonly #nowMs: () => number
  readonly #list = new AddressList()
  /** Of all averages. */
  #sumMs = 0
  /** Where the next pass begins: equals, such as addresses that are all new, take turns. */
  #start = 0

  constructor({ nowMs }: Pick<AlgorithmOptions, 'nowMs'>) {
    this.#nowMs = nowMs
  }

  add(address: Address): void {
    const count = this.#list.all.length
    address.latencyMs = count === 0 ? 0 : this.#sumMs / count
    address.latencyAtMs = this.#nowMs()
    this.#sumMs += address.latencyMs
    this.#list.add(address)
  }

  remove(address: Address): void {
    this.#list.remove(address)
    // Rounding must not add up over the years.
    this.#sumMs = this.#list.all.length === 0 ? 0 : this.#sumMs - address.latencyMs
  }

  reweighed(): void {}

  pick(_hashInput: string | null, tried: readonly PickedTarget[]): Address | null {
    return this.#fastest(tried) ?? (tried.length === 0 ? null : this.#fastest(NONE_TRIED))
  }

  ended(address: Address, outcome: Outcome, latencyMs: number): void {
    if (outcome.type === 'status' && outcome.status === CLIENT_CLOSED) return
    const isFailure = outcome.type !== 'status' || outcome.status >= 500
    const now = this.#nowMs()
    const old = decay(address, now)
    const before = address.latencyMs
    address.latencyMs = before * old + Math.max(latencyMs, isFailure ? FAILURE_MS : 0) * (1 - old)
    // One that has left meanwhile is in no sum.
    if (this.#list.all[address.place] === address) this.#sumMs += address.latencyMs - before
    address.latencyAtMs = now
  }

  #fastest(tried: readonly PickedTarget[]): Address | null {
    const addresses = this.#list.all
    const count = addresses.length
    if (count === 0) return null
    const now = this.#nowMs()
    this.#start = (this.#start + 1) % count
    let best: Address | null = null
    let least = Infinity
    for (let i = 0; i < count; i++) {
      const address = addresses[(this.#start + i) % count]!
      if (!address.isUsable || (tried.length > 0 && isTried(address, tried))) continue
      const score = (address.latencyMs * decay(address, now)) / address.weight
      if (score < least) {
        least = score
        best = address
      }
    }
    return best
  }
}

/** How much of the address' average still counts now. */
function decay(address: Address, now: number): number {
  return Math.exp(-Math.max(0, now - address.latencyAtMs) / DECAY_MS)
}
