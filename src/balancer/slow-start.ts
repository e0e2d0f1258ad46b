/** Addresses that are new, or well again, get their share little by little. Moved on once a second: requests cost nothing more. */
import type { Address } from './address.ts'

/** The share at the beginning: with less, an address would hardly be asked in a short time. */
const FIRST = 0.1

export class SlowStart {
  readonly #since = new Map<Address, number>()
  readonly #apply: (address: Address, share: number) => void

  /** `apply` gives the address that part of its weight. */
  constructor(apply: (address: Address, share: number) => void) {
    this.#apply = apply
  }

  begin(address: Address, nowMs: number): void {
    this.#since.set(address, nowMs)
    this.#apply(address, FIRST)
  }

  drop(address: Address): void {
    this.#since.delete(address)
  }

  /** The part of its weight that the address has now. */
  shareOf(address: Address, nowMs: number, durationMs: number): number {
    const since = this.#since.get(address)
    return since === undefined || durationMs === 0 ? 1 : Math.min(1, Math.max(FIRST, (nowMs - since) / durationMs))
  }

  tick(nowMs: number, durationMs: number): void {
    for (const address of this.#since.keys()) {
      const share = this.shareOf(address, nowMs, durationMs)
      if (share === 1) this.#since.delete(address)
      this.#apply(address, share)
    }
  }
}
