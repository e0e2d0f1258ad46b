/** Addresses in no particular order: to add one and to take one out cost the same however many there are. */
import type { Address } from './address.ts'

export class AddressList {
  readonly all: Address[] = []

  add(address: Address): void {
    address.place = this.all.length
    this.all.push(address)
  }

  remove(address: Address): void {
    const last = this.all.pop()!
    if (last === address) return
    this.all[address.place] = last
    last.place = address.place
  }
}
