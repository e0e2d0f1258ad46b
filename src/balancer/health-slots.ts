/**
 * The node's places for the health of addresses, in memory that all threads share. The main thread gives them out by key, so that
 * no two addresses ever have one; the threads count in them without asking (`health-table.ts`).
 */
import { HEALTH_KEPT_MS } from './health-table.ts'

export interface HealthSlotsOptions {
  readonly nowMs: () => number
  /** Addresses at one time; more have their health in each thread alone. */
  readonly size?: number
}

const SIZE = 131_072

interface Place {
  readonly slot: number
  readonly threads: Set<number>
  /** When the last thread let go; 0 while one has it. */
  releasedAtMs: number
}

export class HealthSlots {
  readonly cells: SharedArrayBuffer
  /** Addresses that found no place. */
  refused = 0
  readonly #nowMs: () => number
  readonly #size: number
  readonly #places = new Map<string, Place>()
  readonly #free: number[] = []
  #used = 0

  constructor({ nowMs, size = SIZE }: HealthSlotsOptions) {
    this.#nowMs = nowMs
    this.#size = size
    this.cells = new SharedArrayBuffer(size * Int32Array.BYTES_PER_ELEMENT)
  }

  /** The place of each key, -1 where there is no room. */
  open(thread: number, keys: readonly string[]): (readonly [key: string, slot: number])[] {
    return keys.map((key) => {
      const place = this.#places.get(key) ?? this.#take(key)
      if (place === null) return [key, -1]
      place.threads.add(thread)
      place.releasedAtMs = 0
      return [key, place.slot]
    })
  }

  release(thread: number, keys: readonly string[]): void {
    for (const key of keys) {
      const place = this.#places.get(key)
      // Threads keep what they released for five minutes themselves.
      if (place?.threads.delete(thread) && place.threads.size === 0) this.#drop(key, place)
    }
  }

  /** The thread ended: what only it knew is kept for its successor. */
  lost(thread: number): void {
    for (const place of this.#places.values())
      if (place.threads.delete(thread) && place.threads.size === 0) place.releasedAtMs = this.#nowMs()
  }

  /** To be called now and then. */
  sweep(): void {
    const before = this.#nowMs() - HEALTH_KEPT_MS
    for (const [key, place] of this.#places)
      if (place.threads.size === 0 && place.releasedAtMs < before) this.#drop(key, place)
  }

  #take(key: string): Place | null {
    const slot = this.#free.pop() ?? (this.#used < this.#size ? this.#used++ : null)
    if (slot === null) {
      this.refused++
      return null
    }
    new Int32Array(this.cells)[slot] = 0
    const place: Place = { slot, threads: new Set(), releasedAtMs: 0 }
    this.#places.set(key, place)
    return place
  }

  #drop(key: string, place: Place): void {
    this.#places.delete(key)
    this.#free.push(place.slot)
  }
}
