/**
 * Smooth weighted round-robin: over one full turn (sum of weights / their greatest common divisor) every address is picked
 * exactly by its weight, and a heavy one is spread over the turn instead of coming in a row. Each pick is one pass over the
 * addresses. Kong lays the same turn out as a shuffled wheel.
 */
import { isTried, type Address } from './address.ts'
import { NONE_TRIED, type Algorithm, type AlgorithmOptions } from './algorithm.ts'
import type { PickedTarget } from './contract.ts'

export class RoundRobin implements Algorithm {
  readonly #random: () => number
  #addresses: readonly Address[] = []
  /** How much each address is due; together 0 while all are usable. */
  #due = new Float64Array(0)
  /** Decides among equals, so that workers and nodes do not all begin with the same address. */
  readonly #rank = new WeakMap<Address, number>()

  constructor({ random }: Pick<AlgorithmOptions, 'random'>) {
    this.#random = random
  }

  update(addresses: readonly Address[]): void {
    const due = new Map(this.#addresses.map((address, index) => [address, this.#due[index]!]))
    for (const address of addresses) if (!this.#rank.has(address)) this.#rank.set(address, this.#random())
    this.#addresses = addresses.toSorted((a, b) => this.#rank.get(a)! - this.#rank.get(b)!)
    this.#due = Float64Array.from(this.#addresses, (address) => due.get(address) ?? 0)
    // What the addresses that left were due is shared: else the others would for ever owe or be owed it.
    const total = this.#due.reduce((sum, value) => sum + value, 0)
    for (let i = 0; i < this.#due.length; i++) this.#due[i]! -= total / this.#due.length
  }

  pick(_hashInput: string | null, tried: readonly PickedTarget[]): Address | null {
    return this.#next(tried) ?? (tried.length === 0 ? null : this.#next(NONE_TRIED))
  }

  #next(tried: readonly PickedTarget[]): Address | null {
    const addresses = this.#addresses
    const due = this.#due
    let total = 0
    let most = -Infinity
    let best = -1
    for (let i = 0; i < addresses.length; i++) {
      const address = addresses[i]!
      if (!address.isUsable || (tried.length > 0 && isTried(address, tried))) continue
      const { weight } = address
      total += weight
      const mine = (due[i]! += weight)
      if (mine > most) {
        most = mine
        best = i
      }
    }
    if (best < 0) return null
    due[best]! -= total
    return addresses[best]!
  }
}
