/**
 * Where a thread's health of addresses lives: longer than the balancers that look at it, so that a change of targets forgets
 * nothing. With a link to the main thread the states are those of all threads (`health-slots.ts`): what one counts holds for all.
 */
import type { Outcome } from './contract.ts'
import { countOutcome, HealthState, setHealth, type CheckRules } from './health.ts'

export interface HealthTable {
  /** The state for a key: the same for everybody who opened it, healthy at first. To be released as often. */
  open(key: string): HealthState
  /** Forgets the state some time after the last one who opened it released it. */
  release(key: string): void
  /** Counts an outcome. Says whether the address became usable or unusable by it; then all who watch it are told. */
  count(state: HealthState, rules: CheckRules, outcome: Outcome): boolean
  set(state: HealthState, isHealthy: boolean): boolean
}

/** How a thread comes to share states; answers come by `adopt`, changes of other threads by `changed`. */
export interface HealthLink {
  /** The states are wanted; those that are not given stay with the thread alone. */
  open(keys: readonly string[]): void
  release(keys: readonly string[]): void
  /** The state became usable or unusable in this thread. */
  changed(slot: number): void
}

export interface HealthTableOptions {
  readonly nowMs: () => number
  readonly cells?: SharedArrayBuffer
  readonly link?: HealthLink
}

/** As Kong: a target that comes back within five minutes is as healthy as it was. */
export const HEALTH_KEPT_MS = 300_000
/** States of addresses that are gone; names whose addresses change all the time must not fill the memory. */
const MAX_RELEASED = 10_000
const NO_SLOT = -1

interface Held {
  readonly key: string
  readonly state: HealthState
  slot: number
  holders: number
}

export class LocalHealthTable implements HealthTable {
  readonly #nowMs: () => number
  readonly #cells: Int32Array | null
  readonly #link: HealthLink | null
  readonly #held = new Map<string, Held>()
  readonly #bySlot = new Map<number, Held>()
  readonly #slots = new WeakMap<HealthState, Held>()
  /** In the order of their release, oldest first. */
  readonly #released = new Map<string, { readonly held: Held; readonly atMs: number }>()
  /** Asked for in this turn of the event loop. */
  #wanted: string[] = []
  #unanswered = 0
  #onSettled: (() => void)[] = []

  constructor({ nowMs, cells, link }: HealthTableOptions) {
    this.#nowMs = nowMs
    this.#cells = cells === undefined ? null : new Int32Array(cells)
    this.#link = link ?? null
  }

  open(key: string): HealthState {
    this.forget()
    let held = this.#held.get(key)
    if (held === undefined) {
      held = this.#released.get(key)?.held
      this.#released.delete(key)
      if (held === undefined) {
        held = { key, state: new HealthState(), slot: NO_SLOT, holders: 0 }
        this.#slots.set(held.state, held)
        this.#want(key)
      }
      this.#held.set(key, held)
    }
    held.holders++
    return held.state
  }

  release(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) throw new Error(`health state ${key} released more often than opened`)
    if (--held.holders > 0) return
    this.#held.delete(key)
    this.#released.set(key, { held, atMs: this.#nowMs() })
    this.forget()
  }

  count(state: HealthState, rules: CheckRules, outcome: Outcome): boolean {
    return this.#noted(state, countOutcome(state, rules, outcome))
  }

  set(state: HealthState, isHealthy: boolean): boolean {
    return this.#noted(state, setHealth(state, isHealthy))
  }

  /** The main thread's answer to `open`: the slot of each key, where there was room. */
  adopt(slots: readonly (readonly [key: string, slot: number])[]): void {
    for (const [key, slot] of slots) {
      const held = this.#held.get(key) ?? this.#released.get(key)?.held
      if (slot === NO_SLOT || held === undefined || held.slot === slot) continue
      held.slot = slot
      this.#bySlot.set(slot, held)
      held.state.adopt(this.#cells!, slot)
    }
    this.#unanswered -= slots.length
    if (this.#unanswered > 0) return
    for (const settled of this.#onSettled) settled()
    this.#onSettled = []
  }

  /** Another thread made the states usable or unusable. */
  changed(slots: readonly number[]): void {
    for (const slot of slots) this.#bySlot.get(slot)?.state.tell()
  }

  /** Resolves when all states that were opened so far are those of all threads, or after the time. */
  async settled(withinMs: number): Promise<void> {
    if (this.#unanswered === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs)
      this.#onSettled.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /** Lets go of what was released long enough ago. Done with every opening and release; to be called now and then besides. */
  forget(): void {
    const before = this.#nowMs() - HEALTH_KEPT_MS
    const gone: string[] = []
    for (const [key, { held, atMs }] of this.#released) {
      if (atMs >= before && this.#released.size <= MAX_RELEASED) break
      this.#released.delete(key)
      // A long request may still count on it, when its place is somebody else's.
      held.state.detach()
      this.#bySlot.delete(held.slot)
      held.slot = NO_SLOT
      gone.push(key)
    }
    if (gone.length > 0) this.#link?.release(gone)
  }

  #noted(state: HealthState, hasFlipped: boolean): boolean {
    if (!hasFlipped) return false
    state.tell()
    const slot = this.#slots.get(state)?.slot ?? NO_SLOT
    if (slot !== NO_SLOT) this.#link?.changed(slot)
    return true
  }

  #want(key: string): void {
    if (this.#link === null) return
    this.#unanswered++
    this.#wanted.push(key)
    if (this.#wanted.length > 1) return
    queueMicrotask(() => {
      const wanted = this.#wanted
      this.#wanted = []
      this.#link!.open(wanted)
    })
  }
}

export function createHealthTable(options: HealthTableOptions): HealthTable {
  return new LocalHealthTable(options)
}
