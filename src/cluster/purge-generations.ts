/**
 * What was purged when, in shared memory: numbers that only grow, never a scan over what is stored. A response remembers the number of
 * the moment at which it was asked for, and is gone when anything that it belongs to was purged later; so one that is still on its
 * way when a purge comes is not kept either.
 */
import { TextHash } from '#core/hash-text.ts'

/** Names fall into so many places. Two that share one are purged together, which only costs a fetch. */
const PLACES = 1 << 20
const NOW = 0
const ALL = 1
const SEED_A = 2
const SEED_B = 3
const DONE = 4
const FIRST = 5

export function createGenerationBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer((FIRST + PLACES) * 4)
}

export class PurgeGenerations {
  readonly #words: Int32Array
  readonly #hash: TextHash

  constructor(buffer: SharedArrayBuffer, seed: () => number = () => Math.floor(Math.random() * 2 ** 32)) {
    this.#words = new Int32Array(buffer)
    this.#hash = new TextHash(this.#agree(SEED_A, seed() | 0 || 1), this.#agree(SEED_B, seed() | 0 || 1))
  }

  /** The number of this moment. */
  get now(): number {
    return Atomics.load(this.#words, NOW)
  }

  /** A number that is another one after each purge: what was not purged a moment ago is not purged while it stays. */
  get done(): number {
    return Atomics.load(this.#words, DONE)
  }

  purgeAll(): void {
    this.#purge(ALL)
  }

  /** Purges everything that belongs to the name. */
  purge(name: string): void {
    this.#purge(this.placeOf(name))
  }

  placeOf(name: string): number {
    this.#hash.hash(name)
    return FIRST + ((this.#hash.a >>> 0) % PLACES)
  }

  /** Whether what was asked for at `generation` and belongs to these places was purged since. */
  isPurged(generation: number, places: readonly number[]): boolean {
    const words = this.#words
    if (((Atomics.load(words, ALL) - generation) | 0) > 0) return true
    for (let i = 0; i < places.length; i++) if (((Atomics.load(words, places[i]!) - generation) | 0) > 0) return true
    return false
  }

  #purge(place: number): void {
    const words = this.#words
    Atomics.store(words, place, Atomics.add(words, NOW, 1) + 1)
    // Only now: who sees this number sees the purge.
    Atomics.add(words, DONE, 1)
  }

  #agree(word: number, mine: number): number {
    return Atomics.compareExchange(this.#words, word, 0, mine) || mine
  }
}
