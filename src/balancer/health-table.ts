/** Where the health of addresses lives: longer than the balancers that look at it, so that a change of targets forgets nothing. */
import type { Outcome } from './contract.ts'
import { countOutcome, HealthState, setHealth, type CheckRules } from './health.ts'

export interface HealthTable {
  /** Another number whenever an address became usable or unusable: a balancer recounts only then. */
  readonly version: number
  /** The state for a key: the same for everybody who opened it, healthy at first. To be released as often. */
  open(key: string): HealthState
  /** Forgets the state some time after the last one who opened it released it. */
  release(key: string): void
  /** Counts an outcome. Says whether the address became usable or unusable by it. */
  count(state: HealthState, rules: CheckRules, outcome: Outcome): boolean
  set(state: HealthState, isHealthy: boolean): boolean
}

export interface HealthTableOptions {
  readonly nowMs: () => number
}

export function createHealthTable(options: HealthTableOptions): HealthTable {
  return new LocalHealthTable(options)
}

/** As Kong: a target that comes back within five minutes is as healthy as it was. */
const KEPT_MS = 300_000
/** States of addresses that are gone; names whose addresses change all the time must not fill the memory. */
const MAX_RELEASED = 10_000

interface Held {
  readonly state: HealthState
  holders: number
}

class LocalHealthTable implements HealthTable {
  version = 0
  readonly #nowMs: () => number
  readonly #held = new Map<string, Held>()
  /** In the order of their release, oldest first. */
  readonly #released = new Map<string, { readonly state: HealthState; readonly atMs: number }>()

  constructor({ nowMs }: HealthTableOptions) {
    this.#nowMs = nowMs
  }

  open(key: string): HealthState {
    this.#forget()
    const held = this.#held.get(key)
    if (held !== undefined) {
      held.holders++
      return held.state
    }
    const state = this.#released.get(key)?.state ?? new HealthState()
    this.#released.delete(key)
    this.#held.set(key, { state, holders: 1 })
    return state
  }

  release(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) throw new Error(`health state ${key} released more often than opened`)
    if (--held.holders > 0) return
    this.#held.delete(key)
    this.#released.set(key, { state: held.state, atMs: this.#nowMs() })
    this.#forget()
  }

  count(state: HealthState, rules: CheckRules, outcome: Outcome): boolean {
    return this.#noted(countOutcome(state, rules, outcome))
  }

  set(state: HealthState, isHealthy: boolean): boolean {
    return this.#noted(setHealth(state, isHealthy))
  }

  #noted(hasFlipped: boolean): boolean {
    if (hasFlipped) this.version++
    return hasFlipped
  }

  #forget(): void {
    const before = this.#nowMs() - KEPT_MS
    for (const [key, { atMs }] of this.#released) {
      if (atMs >= before && this.#released.size <= MAX_RELEASED) return
      this.#released.delete(key)
    }
  }
}
