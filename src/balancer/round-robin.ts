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
  /** By rank, which is random, so that workers and nodes do not all begin with the same address. */
  readonly #addresses: Address[] = []
  /** How many addresses have each weight. With one weight the turn is the list itself, and a pick costs the same for any number of them. */
  readonly #weights = new Map<number, number>()
  /** With equal weights: index of the address that was picked last. */
  #last = -1
  /** Sum of what all are due. Only differences count: a newcomer starts at the average, and nobody owes what one that left was due. */
  #dueSum = 0

  constructor({ random }: Pick<AlgorithmOptions, 'random'>) {
    this.#random = random
  }

  add(address: Address): void {
    const addresses = this.#addresses
    if (address.rank < 0) address.rank = this.#random()
    const at = this.#firstAbove(address.rank)
    address.due = addresses.length === 0 ? 0 : this.#dueSum / addresses.length
    this.#dueSum += address.due
    addresses.splice(at, 0, address)
    if (at <= this.#last) this.#last++
    this.#countWeight(address.weight, 1)
  }

  remove(address: Address): void {
    const addresses = this.#addresses
    let at = this.#firstAbove(address.rank) - 1
    while (addresses[at] !== address) at--
    addresses.splice(at, 1)
    // The turn goes on behind the address that was last, also when that one is gone.
    if (at <= this.#last) this.#last--
    this.#dueSum = addresses.length === 0 ? 0 : this.#dueSum - address.due
    this.#countWeight(address.weight, -1)
  }

  reweighed(address: Address, before: number): void {
    this.#countWeight(before, -1)
    this.#countWeight(address.weight, 1)
  }

  pick(_hashInput: string | null, tried: readonly PickedTarget[]): Address | null {
    return this.#next(tried) ?? (tried.length === 0 ? null : this.#next(NONE_TRIED))
  }

  #next(tried: readonly PickedTarget[]): Address | null {
    return this.#weights.size <= 1 ? this.#nextInTurn(tried) : this.#mostDue(tried)
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
    let total = 0
    let best: Address | null = null
    for (let i = 0; i < addresses.length; i++) {
      const address = addresses[i]!
      if (!address.isUsable || (tried.length > 0 && isTried(address, tried))) continue
      const { weight } = address
      total += weight
      address.due += weight
      if (best === null || address.due > best.due) best = address
    }
    if (best === null) return null
    best.due -= total
    return best
  }

  /** Index of the first address whose rank is above. */
  #firstAbove(rank: number): number {
    let low = 0
    let high = this.#addresses.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#addresses[middle]!.rank <= rank) low = middle + 1
      else high = middle
    }
    return low
  }

  #countWeight(weight: number, change: 1 | -1): void {
    const count = (this.#weights.get(weight) ?? 0) + change
    if (count === 0) this.#weights.delete(weight)
    else this.#weights.set(weight, count)
  }
}
