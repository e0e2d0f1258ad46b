/**
 * Which names were purged at which revision of the configuration's log, in memory that the threads of a node share. Revisions are the
 * same on every node, so a response that nodes pass to each other can say how much of the log was known when it was asked for, and
 * each of them can tell whether it was purged since, whatever it missed meanwhile.
 */
import { EVERYTHING } from '#model/cache-names.ts'
import { TextHash } from '#core/hash-text.ts'

/** Names fall into so many places of the log. Two that share one are purged together, which only costs a fetch. */
const PLACES = 65_536
const NOW = PLACES
const EPOCH = PLACES + 1

export function createPurgeLogBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer((PLACES + 2) * 8)
}

export class PurgeLog {
  readonly #words: BigInt64Array

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new BigInt64Array(buffer)
  }

  /** The newest revision that purged something, as far as this node knows. */
  get now(): number {
    return Number(Atomics.load(this.#words, NOW))
  }

  /** Of which log the revisions are. */
  get epoch(): number {
    return Number(Atomics.load(this.#words, EPOCH))
  }

  /** Another log: what was purged in the one before says nothing. */
  begin(epoch: number): void {
    this.#words.fill(0n)
    Atomics.store(this.#words, EPOCH, BigInt(epoch))
  }

  /** Notes a purge; false when it was known. */
  note(place: number, revision: number): boolean {
    const words = this.#words
    const number = BigInt(revision)
    if (Atomics.load(words, place) >= number) return false
    Atomics.store(words, place, number)
    if (Atomics.load(words, NOW) < number) Atomics.store(words, NOW, number)
    return true
  }

  /** Whether what was asked for when `revision` was known, and belongs to these names, was purged since. */
  isPurged(revision: number, names: readonly string[]): boolean {
    const words = this.#words
    const number = BigInt(revision)
    // Mostly nothing at all was purged since.
    if (Atomics.load(words, NOW) <= number) return false
    if (Atomics.load(words, EVERY_PLACE) > number) return true
    return names.some((name) => Atomics.load(words, logPlace(name)) > number)
  }
}

const hash = new TextHash(0x6d657269, 0x6469616e)

/** The place that stands for everything. */
export const EVERY_PLACE = 0

/** The place of a name in the log. */
export function logPlace(name: string): number {
  return purgePlace(name, PLACES)
}

/** The place of a name, on every node the same. */
export function purgePlace(name: string, places: number): number {
  if (name === EVERYTHING) return EVERY_PLACE
  hash.hash(name)
  return 1 + ((hash.a >>> 0) % (places - 1))
}
