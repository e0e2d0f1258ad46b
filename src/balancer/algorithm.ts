import type { Address } from './address.ts'
import type { Outcome, PickedTarget } from './contract.ts'

/** How one address is chosen among those of an upstream. Not told which requests are which: that is in its input. */
export interface Algorithm {
  /**
   * An address that gets requests (weight above 0) is there, is gone, has another weight: each costs the same however many
   * there are. What is known of the others is kept.
   */
  add(address: Address): void
  remove(address: Address): void
  reweighed(address: Address, before: number): void
  /** How many targets the upstream has in all; where the algorithm depends on it. */
  countTargets?(count: number): void
  /** A usable address, not one of `tried` while there are others; null when none is usable. */
  pick(hashInput: string | null, tried: readonly PickedTarget[]): Address | null
  /** A request to the address ended; present where the algorithm learns from it. */
  ended?(address: Address, outcome: Outcome, latencyMs: number): void
}

export interface AlgorithmOptions {
  /** Size of the continuum of consistent hashing. */
  readonly slots: number
  /** 0 up to but not including 1. */
  readonly random: () => number
  readonly nowMs: () => number
}

export const NONE_TRIED: readonly PickedTarget[] = []
