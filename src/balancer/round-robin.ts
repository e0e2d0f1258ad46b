/**
 * Smooth weighted round-robin: over one full turn (sum of weights / their greatest common divisor) every address is picked
 * exactly by its weight, and a heavy one is spread over the turn instead of coming in a row. Kong lays the same turn out
 * as a shuffled wheel.
 */
import { isTried, type Address } from './address.ts'
import { NONE_TRIED, type Algorithm, type AlgorithmOptions } from './algorithm.ts'
import type { PickedTarget } from './contract.ts'

export class RoundRobin implements Algorithm {
  readonly #random: () => number
  #addresses: readonly Address[] = []
  /** Decides among equals, so that workers and nodes do not all begin with the same address. */
  readonly #rank = new WeakMap<Address, number>()
  /** Whether all weights are equal: then the turn is the list itself and a pick costs the same for any number of addresses. */
  #isEven = true
  /** With equal weights: index of the address that was picked last. */
  #last = -1
  /** With unequal weights: how much each address is due; together 0 while all are usable. */
  #due = new Float64Array(0)

  constructor({ random }: Pick<AlgorithmOptions, 'random'>) {
    this.#random = random
  }

  update(addresses: readonly Address[]): void {
    const last = this.#addresses[this.#last]
    const due = new Map(this.#addresses.map((address, index) => [address, this.#due[index]!]))
    for (const address of addresses) if (!this.#rank.has(address)) this.#rank.set(address, this.#random())
    this.#addresses = addresses.toSorted((a, b) => this.#rankOf(a) - this.#rankOf(b))
    this.#isEven = addresses.every(({ weight }) => weight === addresses[0]!.weight)
    // The turn goes on behind the address that was last, also when that one is gone.
    const lastRank = last === undefined ? -1 : this.#rankOf(last)
    this.#last = this.#addresses.findLastIndex((address) => this.#rankOf(address) <= lastRank)
    this.#due = Float64Array.from(this.#addresses, (address) => due.get(address) ?? 0)
    // What the addresses that left were due is shared: else the others would for ever owe or be owed it.
    const total = this.#due.reduce((sum, value) => sum + value, 0)
    for (let i = 0; i < this.#due.length; i++) this.#due[i]! -= total / this.#due.length
  }

  pick(_hashInput: string | null, tried: readonly PickedTarget[]): Address | null {
    return this.#next(tried) ?? (tried.length === 0 ? null : this.#next(NONE_TRIED))
  }

  #next(tried: readonly PickedTarget[]): Address | null {
    return this.#isEven ? this.#nextInTurn(tried) : this.#mostDue(tried)
  }

  #nextInTurn(tried: readonly PickedTarget[]): Address | null {
    const addresses = this.#addresses
    for (let step = 0; step < addresses.length; step++) {
      if (++this.#last >= addresses.length) this.#last = 0
      const address = addresses[this.#last]!
      if (address.isUsable && !(tried.length > 0 && isTried(address, tried))) return address
    }
    return null
  }

  #mostDue(tried: readonly PickedTarget[]): Address | null {
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

  #rankOf(address: Address): number {
    return this.#rank.get(address)!
  }
}
