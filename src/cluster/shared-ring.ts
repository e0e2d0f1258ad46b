/**
 * Records that all threads of a node share, in a ring of fixed size: new ones are written at its head and overwrite the oldest. Each has
 * a key of 32 bytes, found by an index of buckets beside it.
 *
 * One thread writes at a time; nobody waits for it: who finds another one writing keeps nothing, which a cache may do. Readers take no
 * lock. They copy a record and then look whether it is still among those that live, for a writer says that records end before it
 * overwrites them. A writer that is ended in the middle has published nothing.
 */
import { randomBytes } from 'node:crypto'

/** Records begin at multiples of this, so that a place fits into one word up to 128 GiB. */
const UNIT_BYTES = 64
/** Of a record: mark, its number, bytes of the value, units in all; its end as Unix ms; eight bytes unused; the key. */
const HEADER_BYTES = 64
const HEADER_KEY = 32
export const KEY_BYTES = 32

/** A bucket of the index is one cache line: the tags of eight records, then their places. */
const SLOTS = 8
const BUCKET_WORDS = 16
/** One place in the index for so many bytes: smaller records than this on average are dropped for want of one. */
const BYTES_PER_SLOT = 512

/** Words of the index's head. */
const LOCK = 0
const MARK = 1
const HEAD_UNIT = 2
const TAIL_UNIT = 3
const HEAD_NUMBER = 4
const TAIL_NUMBER = 5
const USED_UNITS = 6
const EVICTED = 7
const HEAD_WORDS = 16

/** A thread that holds the lock for longer was ended. */
const DEAD_AFTER_MS = 5000
/** A record may take this part of the ring. */
const LARGEST_PART = 8
/** Of the ring's length, behind which a record that is still asked for is written anew. */
const OLD_PART = 0.75

export interface RingBuffers {
  readonly index: SharedArrayBuffer
  readonly data: SharedArrayBuffer
}

/** Memory is only taken when it is written. */
export function createRingBuffers(bytes: number): RingBuffers {
  const units = Math.floor(bytes / UNIT_BYTES)
  if (units < 64) throw new RangeError(`bytes: expected ${64 * UNIT_BYTES} or more, got ${bytes}`)
  const buckets = Math.max(1, Math.ceil(bytes / BYTES_PER_SLOT / SLOTS))
  return {
    index: new SharedArrayBuffer((HEAD_WORDS + buckets * BUCKET_WORDS) * 4),
    data: new SharedArrayBuffer(units * UNIT_BYTES),
  }
}

/** A copy of a record, and where it was found. */
export interface RingRecord {
  readonly value: Buffer
  readonly expiresAtMs: number
  readonly slot: number
  readonly place: number
  readonly number: number
}

export class SharedRing {
  readonly #index: Int32Array
  readonly #bytes: Buffer
  readonly #words: Int32Array
  readonly #doubles: Float64Array
  readonly #units: number
  readonly #buckets: number
  readonly #mark: number
  readonly #nowMs: () => number

  constructor({ index, data }: RingBuffers, nowMs: () => number = Date.now) {
    this.#index = new Int32Array(index)
    this.#bytes = Buffer.from(data)
    this.#words = new Int32Array(data)
    this.#doubles = new Float64Array(data)
    this.#units = data.byteLength / UNIT_BYTES
    this.#buckets = (this.#index.length - HEAD_WORDS) / BUCKET_WORDS
    this.#nowMs = nowMs
    // Unknown to clients and upstreams, so that no body can look like a record.
    const mine = randomBytes(4).readInt32LE() || 1
    this.#mark = Atomics.compareExchange(this.#index, MARK, 0, mine) || mine
  }

  /** Bytes of the largest value that it keeps. */
  get largestValue(): number {
    return Math.floor(this.#units / LARGEST_PART) * UNIT_BYTES - HEADER_BYTES
  }

  get usedBytes(): number {
    return Atomics.load(this.#index, USED_UNITS) * UNIT_BYTES
  }

  get sizeBytes(): number {
    return this.#units * UNIT_BYTES
  }

  /** Records that were overwritten before their end. */
  get evicted(): number {
    return Atomics.load(this.#index, EVICTED)
  }

  /** A copy of the record with this key, which has not ended. */
  get(key: Buffer): RingRecord | null {
    const slot = this.#find(key)
    if (slot < 0) return null
    const place = Atomics.load(this.#index, slot + SLOTS)
    if (place === 0) return null
    const at = ((place - 1) * UNIT_BYTES) >> 2
    const words = this.#words
    const number = words[at + 1]!
    const length = words[at + 2]!
    if (words[at] !== this.#mark || !this.#isLive(number) || length < 0 || length > this.largestValue) return null
    const expiresAtMs = this.#doubles[(at + 4) >> 1]!
    const start = at * 4 + HEADER_BYTES
    const isSame = key.compare(this.#bytes, at * 4 + HEADER_KEY, at * 4 + HEADER_BYTES) === 0
    const value = Buffer.allocUnsafeSlow(isSame ? length : 0)
    if (isSame) this.#bytes.copy(value, 0, start, start + length)
    // Only now: what was copied is the record if it lives still.
    if (!isSame || !this.#isLive(number) || expiresAtMs <= this.#nowMs()) return null
    return { value, expiresAtMs, slot, place, number }
  }

  /** Whether a record that was found is there still: not replaced, dropped or overwritten. Its end is for the caller to look at. */
  isCurrent(record: RingRecord): boolean {
    return Atomics.load(this.#index, record.slot + SLOTS) === record.place && this.#isLive(record.number)
  }

  /** Whether it will be overwritten before long. */
  isOld({ place }: RingRecord): boolean {
    const behind = (Atomics.load(this.#index, HEAD_UNIT) - (place - 1) + this.#units) % this.#units
    return behind > this.#units * OLD_PART && this.usedBytes > this.sizeBytes / 2
  }

  /** Keeps a value until `expiresAtMs`; false when it is too large, or another thread writes. */
  put(key: Buffer, value: Buffer, expiresAtMs: number): boolean {
    const units = Math.ceil((HEADER_BYTES + value.length) / UNIT_BYTES)
    if (value.length > this.largestValue || !this.#lock()) return false
    const place = this.#makeRoom(units)
    const at = (place * UNIT_BYTES) >> 2
    const number = this.#index[HEAD_NUMBER]!
    this.#writeHeader(at, number, value.length, units)
    this.#doubles[(at + 4) >> 1] = expiresAtMs
    this.#bytes.set(key, at * 4 + HEADER_KEY)
    this.#bytes.set(value, at * 4 + HEADER_BYTES)
    Atomics.add(this.#index, USED_UNITS, units)
    Atomics.store(this.#index, HEAD_NUMBER, (number + 1) | 0)
    Atomics.store(this.#index, HEAD_UNIT, (place + units) % this.#units)
    this.#publish(key, place)
    this.#unlock()
    return true
  }

  /** Drops the record with this key; says whether there was one. */
  delete(key: Buffer): boolean {
    const found = this.get(key)
    if (found === null) return false
    return Atomics.compareExchange(this.#index, found.slot + SLOTS, found.place, 0) === found.place
  }

  /** The numbers of records only grow, and start again below zero after 2^31. */
  #isLive(number: number): boolean {
    return (
      ((number - Atomics.load(this.#index, TAIL_NUMBER)) | 0) >= 0 &&
      ((Atomics.load(this.#index, HEAD_NUMBER) - number) | 0) > 0
    )
  }

  /** The first word of the bucket. */
  #bucketOf(key: Buffer): number {
    return HEAD_WORDS + (key.readUInt32LE(4) % this.#buckets) * BUCKET_WORDS
  }

  #find(key: Buffer): number {
    const bucket = this.#bucketOf(key)
    const tag = tagOf(key)
    for (let slot = bucket; slot < bucket + SLOTS; slot++)
      if (Atomics.load(this.#index, slot) === tag && this.#index[slot + SLOTS] !== 0) return slot
    return -1
  }

  /** Puts the place into the index: where the key was, else where nothing is, else instead of the oldest. */
  #publish(key: Buffer, place: number): void {
    const index = this.#index
    const bucket = this.#bucketOf(key)
    const tag = tagOf(key)
    let chosen = -1
    let oldest = Infinity
    for (let slot = bucket; slot < bucket + SLOTS; slot++) {
      if (index[slot] === tag) {
        chosen = slot
        break
      }
      const there = index[slot + SLOTS]!
      const age =
        there === 0
          ? -1
          : (this.#words[(((there - 1) * UNIT_BYTES) >> 2) + 1]! - Atomics.load(index, TAIL_NUMBER)) >>> 0
      if (age >= oldest) continue
      oldest = age
      chosen = slot
    }
    if (index[chosen] !== tag && index[chosen + SLOTS] !== 0) Atomics.add(index, EVICTED, 1)
    // Empty in between: nobody may find the place of one key under the tag of another.
    Atomics.store(index, chosen + SLOTS, 0)
    Atomics.store(index, chosen, tag)
    Atomics.store(index, chosen + SLOTS, place + 1)
  }

  /** The unit at which `units` are free, at the head or, when they don't fit before the end, at the start. */
  #makeRoom(units: number): number {
    const head = this.#index[HEAD_UNIT]!
    const rest = this.#units - head
    if (rest >= units) {
      this.#free(units)
      return head
    }
    this.#free(rest)
    // What is left over before the end is a record without a key, so that the tail can walk over it.
    const at = (head * UNIT_BYTES) >> 2
    const number = this.#index[HEAD_NUMBER]!
    this.#writeHeader(at, number, -1, rest)
    Atomics.add(this.#index, USED_UNITS, rest)
    Atomics.store(this.#index, HEAD_NUMBER, (number + 1) | 0)
    Atomics.store(this.#index, HEAD_UNIT, 0)
    this.#free(units)
    return 0
  }

  /** Ends records at the tail until so many units are free. */
  #free(units: number): void {
    const index = this.#index
    while (this.#units - index[USED_UNITS]! < units) {
      const tail = index[TAIL_UNIT]!
      const at = (tail * UNIT_BYTES) >> 2
      const length = this.#words[at + 3]!
      Atomics.store(index, TAIL_NUMBER, (index[TAIL_NUMBER]! + 1) | 0)
      if (this.#words[at + 2]! >= 0) this.#forget(tail, at)
      Atomics.store(index, TAIL_UNIT, (tail + length) % this.#units)
      Atomics.sub(index, USED_UNITS, length)
    }
  }

  #forget(unit: number, at: number): void {
    const key = this.#bytes.subarray(at * 4 + HEADER_KEY, at * 4 + HEADER_BYTES)
    const bucket = this.#bucketOf(key)
    for (let slot = bucket; slot < bucket + SLOTS; slot++)
      if (Atomics.compareExchange(this.#index, slot + SLOTS, unit + 1, 0) === unit + 1) {
        if (this.#doubles[(at + 4) >> 1]! > this.#nowMs()) Atomics.add(this.#index, EVICTED, 1)
        return
      }
  }

  #writeHeader(at: number, number: number, length: number, units: number): void {
    const words = this.#words
    words[at] = this.#mark
    words[at + 1] = number
    words[at + 2] = length
    words[at + 3] = units
  }

  /** Takes the lock if nobody has it, or who has it is dead. Its value is when it was taken, in ms, so that this can be told. */
  #lock(): boolean {
    const now = (this.#nowMs() % 0x7fffffff) | 1
    const held = Atomics.compareExchange(this.#index, LOCK, 0, now)
    if (held === 0) return true
    return Math.abs(now - held) > DEAD_AFTER_MS && Atomics.compareExchange(this.#index, LOCK, held, now) === held
  }

  #unlock(): void {
    Atomics.store(this.#index, LOCK, 0)
  }
}

function tagOf(key: Buffer): number {
  return key.readInt32LE(0)
}
