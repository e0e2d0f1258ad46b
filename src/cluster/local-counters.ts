/**
 * Counters that all worker threads of a node share: a table of fixed size in shared memory. A key belongs to one bucket of 15
 * slots, found by its hash; what the table keeps of the key are 96 bits of keyed hash, so that two keys practically never meet.
 *
 * Each bucket has a version, odd while a thread writes. An operation reads the version, looks through the bucket and then takes
 * the version from even to odd by compare-and-exchange: that succeeds only if nobody wrote in between, so what it saw holds and
 * no increment is lost. What follows until the version is even again is straight-line code without calls, loops or allocation,
 * where a worker that is being ended can't stop.
 */
import { randomBytes } from 'node:crypto'
import { TextHash } from '#core/hash-text.ts'

/** A bucket's version and the first 32 bits of its keys' hashes fill one cache line: a look-up reads that line and one slot. */
const SLOTS = 15
/** Slots of the rest: 32 bits more of the hash, twice, then expiry and total as doubles. */
const SLOT_BYTES = 24
const BUCKET_BYTES = 448
const HEAD_BYTES = 64
const FIRST_SLOT_BYTES = 64
/** Counters per bucket for which `sizeFor` makes room: with 7 of 15, one bucket in 400 overflows when every counter is in use. */
const PLANNED_PER_BUCKET = 7

/** Words of the table's head. */
const SEED_A = 0
const SEED_B = 1
const EVICTED = 2

/** Looks before a thread sleeps because another one, which holds a bucket, was put aside by the system. */
const SPINS = 200
const SLEEP_MS = 1
/** How long a thread may hold a bucket before it counts as dead: far longer than the system puts one aside. It loses one increment. */
const DEAD_AFTER_MS = 2000

export interface LocalCountersOptions {
  /** Unix time, ms. */
  readonly now?: () => number
  /** Key of the hash; taken by the first thread that comes to an empty buffer. */
  readonly seed?: () => number
  /** How long to wait for a thread that holds a bucket, about; a test has less patience. */
  readonly deadAfterMs?: number
}

/** Bytes of a buffer that holds `entries` counters at a time without dropping any that are in use. */
export function sizeFor(entries: number): number {
  if (!Number.isSafeInteger(entries) || entries < 1) throw new RangeError(`entries: expected 1 or more, got ${entries}`)
  return HEAD_BYTES + Math.ceil(entries / PLANNED_PER_BUCKET) * BUCKET_BYTES
}

/** Opens the table in `buffer`, which begins as zeros; every thread opens the same buffer. */
export function createLocalCounters(buffer: SharedArrayBuffer, options: LocalCountersOptions = {}): LocalCountersTable {
  return new LocalCountersTable(buffer, options)
}

export class LocalCountersTable {
  readonly #words: Int32Array
  readonly #numbers: Float64Array
  readonly #buckets: number
  readonly #hash: TextHash
  readonly #now: () => number
  readonly #patience: number
  /** Where `#find` found things: fields instead of a result object, as this runs for every request. */
  #slot = 0
  #isFound = false
  #evicts = false
  /** What the total was that was changed last. */
  #before = 0

  constructor(
    buffer: SharedArrayBuffer,
    { now = Date.now, seed = randomSeed, deadAfterMs = DEAD_AFTER_MS }: LocalCountersOptions,
  ) {
    this.#buckets = Math.floor((buffer.byteLength - HEAD_BYTES) / BUCKET_BYTES)
    if (this.#buckets < 1)
      throw new RangeError(`buffer: expected at least ${sizeFor(1)} bytes, got ${buffer.byteLength}`)
    this.#words = new Int32Array(buffer)
    this.#numbers = new Float64Array(buffer, 0, Math.floor(buffer.byteLength / 8))
    this.#now = now
    this.#patience = SPINS + deadAfterMs / SLEEP_MS
    this.#hash = new TextHash(agreeOn(this.#words, SEED_A, seed), agreeOn(this.#words, SEED_B, seed))
  }

  /** Counters that were dropped while in use because their bucket was full; they began again at 0. */
  get evicted(): number {
    return Atomics.load(this.#words, EVICTED)
  }

  /** Adds and answers the total after it, which is never below 0. The counter ends at `expiresAtMs` (Unix ms) and is then 0. */
  add(key: string, amount: number, expiresAtMs: number): number {
    return this.addUpTo(key, amount, Infinity, expiresAtMs)
  }

  /** Adds only if the total then is at most `limit`; answers what the total is, or would have been: over `limit` when refused. */
  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number): number {
    return this.#change(key, amount, limit, 0, expiresAtMs)
  }

  /** Makes the total at least this, and answers what it is. */
  raiseTo(key: string, total: number, expiresAtMs: number): number {
    return total > 0 ? this.#change(key, 0, Infinity, total, expiresAtMs) : this.read(key)
  }

  /** Makes the total at least this, and answers by how much it grew: of threads that do the same only one gets it. */
  growTo(key: string, total: number, expiresAtMs: number): number {
    return total > this.read(key) ? total - Math.min(total, this.#raise(key, total, expiresAtMs)) : 0
  }

  /**
   * For a total that falls behind a floor with time: adds to the floor or to the total, whichever is more, if the result then is at
   * most `limit`. Answers what it is, or would have been.
   */
  addAbove(key: string, floor: number, amount: number, limit: number, expiresAtMs: number): number {
    return this.#change(key, amount, limit, floor, expiresAtMs)
  }

  /** Answers what the total was. */
  #raise(key: string, total: number, expiresAtMs: number): number {
    this.#change(key, 0, Infinity, total, expiresAtMs)
    return this.#before
  }

  /** Adds to the total, or to `floor` where that is more. */
  #change(key: string, amount: number, limit: number, floor: number, expiresAtMs: number): number {
    const words = this.#words
    const numbers = this.#numbers
    const hash = this.#hash
    hash.hash(key)
    const tag = hash.a === 0 ? 1 : hash.a
    const { b, c } = hash
    const bucket = this.#bucketOf(c)
    const nowMs = this.#now()
    for (;;) {
      const version = this.#settledVersion(bucket)
      this.#find(bucket, tag, b, c, nowMs)
      const slot = this.#slot
      const at = slotWord(bucket, slot)
      const before = this.#isFound ? numbers[(at + 4) >> 1]! : 0
      const total = Math.max(0, Math.max(floor, before) + amount)
      if (total > limit) {
        if (Atomics.load(words, bucket) === version) return total
        continue
      }
      if (Atomics.compareExchange(words, bucket, version, version + 1) !== version) continue
      words[bucket + 1 + slot] = tag
      words[at] = b
      words[at + 1] = c
      numbers[(at + 2) >> 1] = expiresAtMs
      numbers[(at + 4) >> 1] = total
      Atomics.store(words, bucket, version + 2)
      this.#before = before
      if (this.#evicts) Atomics.add(words, EVICTED, 1)
      return total
    }
  }

  read(key: string): number {
    const hash = this.#hash
    hash.hash(key)
    const tag = hash.a === 0 ? 1 : hash.a
    const { b, c } = hash
    const bucket = this.#bucketOf(c)
    const nowMs = this.#now()
    for (;;) {
      const version = this.#settledVersion(bucket)
      this.#find(bucket, tag, b, c, nowMs)
      const total = this.#isFound ? this.#numbers[(slotWord(bucket, this.#slot) + 4) >> 1]! : 0
      if (Atomics.load(this.#words, bucket) === version) return total
    }
  }

  /** The word of the bucket's version. */
  #bucketOf(hash: number): number {
    return (HEAD_BYTES + ((hash >>> 0) % this.#buckets) * BUCKET_BYTES) >> 2
  }

  /**
   * Finds the key's slot, or the one to put it in: an empty one, else an expired one, else the soonest to expire. Reads without
   * protection: what it says holds only if the version is the same afterwards.
   */
  #find(bucket: number, tag: number, b: number, c: number, nowMs: number): void {
    const words = this.#words
    for (let slot = 0; slot < SLOTS; slot++) {
      if (words[bucket + 1 + slot] !== tag) continue
      const at = slotWord(bucket, slot)
      if (words[at] !== b || words[at + 1] !== c) continue
      this.#slot = slot
      this.#isFound = this.#numbers[(at + 2) >> 1]! > nowMs
      this.#evicts = false
      return
    }
    this.#isFound = false
    this.#chooseSlot(bucket, nowMs)
  }

  #chooseSlot(bucket: number, nowMs: number): void {
    let chosen = 0
    let soonest = Infinity
    for (let slot = 0; slot < SLOTS; slot++) {
      const isEmpty = this.#words[bucket + 1 + slot] === 0
      const expiresAtMs = isEmpty ? 0 : this.#numbers[(slotWord(bucket, slot) + 2) >> 1]!
      if (expiresAtMs >= soonest) continue
      soonest = expiresAtMs
      chosen = slot
      if (isEmpty) break
    }
    this.#slot = chosen
    this.#evicts = soonest > nowMs
  }

  /** The bucket's version once nobody writes in it. */
  #settledVersion(bucket: number): number {
    const version = Atomics.load(this.#words, bucket)
    return (version & 1) === 0 ? version : this.#awaitWriter(bucket)
  }

  #awaitWriter(bucket: number): number {
    const words = this.#words
    for (let looks = 0; ; looks++) {
      const version = Atomics.load(words, bucket)
      if ((version & 1) === 0) return version
      // Holders need some nanoseconds, so this one was put aside by the system: let it run.
      if (looks >= SPINS) Atomics.wait(words, bucket, version, SLEEP_MS)
      if (looks >= this.#patience) {
        Atomics.compareExchange(words, bucket, version, version + 1)
        looks = 0
      }
    }
  }
}

/** The first word of a slot's rest. */
function slotWord(bucket: number, slot: number): number {
  return bucket + ((FIRST_SLOT_BYTES + slot * SLOT_BYTES) >> 2)
}

/** The seed in this word: the one that the first thread put there. */
function agreeOn(words: Int32Array, word: number, seed: () => number): number {
  // 0 means nobody was here yet, so it can't be a seed.
  const mine = seed() | 0 || 1
  return Atomics.compareExchange(words, word, 0, mine) || mine
}

function randomSeed(): number {
  return randomBytes(4).readInt32LE()
}
