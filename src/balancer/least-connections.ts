/** The address with the fewest requests under way for its weight. One more is counted than there are, so that an idle upstream begins with its heaviest. */
import { isTried, type Address } from './address.ts'
import { AddressList } from './address-list.ts'
import { NONE_TRIED, type Algorithm } from './algorithm.ts'
import type { PickedTarget } from './contract.ts'

export class LeastConnections implements Algorithm {
  readonly #list = new AddressList()
  /** Where the next pass begins: equals take turns. */
  #start = 0

  add(address: Address): void {
    this.#list.add(address)
  }

  remove(address: Address): void {
    this.#list.remove(address)
  }

  reweighed(): void {}

  pick(_hashInput: string | null, tried: readonly PickedTarget[]): Address | null {
    return this.#least(tried) ?? (tried.length === 0 ? null : this.#least(NONE_TRIED))
  }

  #least(tried: readonly PickedTarget[]): Address | null {
    const addresses = this.#list.all
    const count = addresses.length
    if (count === 0) return null
    this.#start = (this.#start + 1) % count
    let best: Address | null = null
    let least = Infinity
    for (let i = 0; i < count; i++) {
      const address = addresses[(this.#start + i) % count]!
      if (!address.isUsable || (tried.length > 0 && isTried(address, tried))) continue
      const load = (address.active + 1) / address.weight
      if (load < least) {
        least = load
        best = address
      }
    }
    return best
  }
}
