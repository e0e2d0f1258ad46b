/**
 * Responses that the workers of a node share (`shared-ring.ts`), with what a worker has decoded of them before. The shared record decides:
 * a decoded one is served only while its record is there and nothing that it belongs to was purged, so that workers agree at
 * once. Looking costs a look-up in a map and some loads of shared words.
 */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { EVERYTHING, keyName, withPrefixes } from '#model/cache-names.ts'
import { createFillLockBuffer, FillLocks, TAKEN } from './fill-locks.ts'
import { createGenerationBuffer, PurgeGenerations } from './purge-generations.ts'
import { createRingBuffers, KEY_BYTES, SharedRing, type RingBuffers, type RingRecord } from './shared-ring.ts'

export interface ResponseCacheBuffers {
  readonly ring: RingBuffers
  readonly generations: SharedArrayBuffer
  readonly locks: SharedArrayBuffer
}

export function createResponseCacheBuffers(bytes: number): ResponseCacheBuffers {
  return { ring: createRingBuffers(bytes), generations: createGenerationBuffer(), locks: createFillLockBuffer() }
}

export interface ResponseCacheOptions<T> {
  readonly buffers: ResponseCacheBuffers
  /** What a worker keeps of a stored value; the bytes are its own. Null when they are none. */
  readonly decode: (bytes: Buffer) => T | null
  /** Bytes of decoded responses that this thread keeps. */
  readonly nearBytes: number
  readonly nowMs?: () => number
}

interface Near<T> {
  readonly record: RingRecord
  readonly key: Buffer
  readonly value: T
  readonly generation: number
  readonly places: readonly number[]
  /** The purges over which it was looked whether it is among them. */
  lookedAt: number
}

/** Before the value: its generation, and how long the names are that follow. */
const ENVELOPE_BYTES = 8
/** A decoded response takes about so much more than its bytes. */
const NEAR_OVERHEAD = 512

export class ResponseCache<T> {
  readonly #ring: SharedRing
  readonly #generations: PurgeGenerations
  readonly #locks: FillLocks
  readonly #near: LRUCache<string, Near<T>>
  readonly #decode: (bytes: Buffer) => T | null
  readonly #nowMs: () => number
  /** The text that was hashed last: whoever misses asks again and again in the same turn. */
  #text: string | null = null
  #hex = ''
  /** Its bytes, written over with each: to keep them, they are copied. */
  readonly #key = Buffer.alloc(KEY_BYTES)
  hits = 0
  misses = 0

  constructor({ buffers, decode, nearBytes, nowMs = Date.now }: ResponseCacheOptions<T>) {
    this.#ring = new SharedRing(buffers.ring, nowMs)
    this.#generations = new PurgeGenerations(buffers.generations)
    this.#locks = new FillLocks(buffers.locks, nowMs)
    this.#near = new LRUCache({
      maxSize: nearBytes,
      sizeCalculation: ({ record }) => record.value.length + NEAR_OVERHEAD,
    })
    this.#decode = decode
    this.#nowMs = nowMs
  }

  get usedBytes(): number {
    return this.#ring.usedBytes
  }

  get sizeBytes(): number {
    return this.#ring.sizeBytes
  }

  get evicted(): number {
    return this.#ring.evicted
  }

  /** Values over this size are not kept. */
  get largestBytes(): number {
    return this.#ring.largestValue - ENVELOPE_BYTES
  }

  /** The number of this moment, to be remembered when a response is asked for and given to `store`. */
  get generation(): number {
    return this.#generations.now
  }

  /** What is stored under this text, or null. */
  find(text: string): T | null {
    const near = this.#near.get(text)
    if (near !== undefined) {
      const { record } = near
      if (record.expiresAtMs > this.#nowMs() && this.#ring.isCurrent(record) && this.#isGood(near)) {
        if (this.#ring.isOld(record)) this.#ring.put(near.key, record.value, record.expiresAtMs)
        this.hits++
        return near.value
      }
      this.#near.delete(text)
    }
    const value = this.#fetch(text)
    if (value === null) this.misses++
    else this.hits++
    return value
  }

  /** What is stored under a key as `keyOf` says it. */
  findByKey(key: string): T | null {
    const bytes = keyBytes(key)
    return bytes === null ? null : (this.#read(bytes, key)?.value ?? null)
  }

  /** The name of a text outside: 64 hex characters. */
  keyOf(text: string): string {
    if (text !== this.#text) this.recall(text, hash('sha256', text, 'hex'))
    return this.#hex
  }

  /** Says what `keyOf` answered of this text, before it is asked for again. */
  recall(text: string, key: string): void {
    this.#text = text
    this.#hex = key
    this.#key.write(key, 'hex')
  }

  /**
   * Keeps a value until `expiresAtMs`. It belongs to itself and to `names`: whichever is purged after `generation`, it is gone.
   * False when it is not kept: too large, purged already, or another worker is writing.
   */
  store(text: string, value: Buffer, names: readonly string[], generation: number, expiresAtMs: number): boolean {
    const key = this.#bytesOf(text)
    const list = Buffer.from(names.join('\n'))
    if (ENVELOPE_BYTES + list.length + value.length > this.#ring.largestValue) return false
    // Mostly nothing at all was purged since.
    if (generation !== this.#generations.now) {
      const places = this.#placesOf(this.keyOf(text), names)
      if (this.#generations.isPurged(generation, places)) return false
    }
    const record = Buffer.allocUnsafe(ENVELOPE_BYTES + list.length + value.length)
    record.writeInt32LE(generation, 0)
    record.writeInt32LE(list.length, 4)
    record.set(list, ENVELOPE_BYTES)
    record.set(value, ENVELOPE_BYTES + list.length)
    return this.#ring.put(key, record, expiresAtMs)
  }

  /** Drops what is stored under the text, and what is on its way there. */
  drop(text: string): void {
    this.#generations.purge(keyName(this.keyOf(text)))
  }

  /** As `drop`, by `keyOf`; says whether something was there. */
  dropByKey(key: string): boolean {
    const bytes = keyBytes(key)
    if (bytes === null) return false
    const wasThere = this.#read(bytes, key) !== null
    this.#generations.purge(keyName(key))
    return wasThere
  }

  /** Drops everything that belongs to a name; `EVERYTHING` is one that all do. */
  purge(name: string): void {
    if (name === EVERYTHING) this.purgeAll()
    else this.#generations.purge(name)
  }

  purgeAll(): void {
    this.#generations.purgeAll()
  }

  /** Says who fetches a missing value: a token for `endFill`, or 0 when somebody else does. */
  startFill(text: string, forMs: number): number {
    return this.#locks.take(this.#bytesOf(text), forMs)
  }

  /** Holds it for longer: another token, or 0 when somebody else has begun since. */
  keepFill(text: string, token: number, forMs: number): number {
    return token === TAKEN ? TAKEN : this.#locks.keep(this.#bytesOf(text), token, forMs)
  }

  endFill(text: string, token: number): void {
    if (token !== TAKEN) this.#locks.release(this.#bytesOf(text), token)
  }

  /** Resolves when who fetches is done, or after the time. */
  awaitFill(text: string, atMostMs: number): Promise<void> {
    return this.#locks.wait(this.#bytesOf(text), atMostMs)
  }

  #fetch(text: string): T | null {
    const near = this.#read(this.#bytesOf(text), this.keyOf(text))
    if (near === null) return null
    this.#near.set(text, near)
    if (this.#ring.isOld(near.record)) this.#ring.put(near.key, near.record.value, near.record.expiresAtMs)
    return near.value
  }

  /** By the bytes of a key, and how it is said outside. */
  #read(key: Buffer, hex: string): Near<T> | null {
    const record = this.#ring.get(key)
    if (record === null) return null
    const bytes = record.value
    const generation = bytes.readInt32LE(0)
    const start = ENVELOPE_BYTES + bytes.readInt32LE(4)
    const names = start === ENVELOPE_BYTES ? [] : bytes.toString('utf8', ENVELOPE_BYTES, start).split('\n')
    const lookedAt = this.#generations.done
    const places = this.#placesOf(hex, names)
    if (this.#generations.isPurged(generation, places)) return null
    const value = this.#decode(bytes.subarray(start))
    return value === null ? null : { record, key: Buffer.from(key), value, generation, places, lookedAt }
  }

  /** Whether nothing that it belongs to was purged. */
  #isGood(near: Near<T>): boolean {
    const { done } = this.#generations
    if (near.lookedAt === done) return true
    if (this.#generations.isPurged(near.generation, near.places)) return false
    near.lookedAt = done
    return true
  }

  #placesOf(hex: string, names: readonly string[]): number[] {
    const places = withPrefixes(names).map((name) => this.#generations.placeOf(name))
    places.push(this.#generations.placeOf(keyName(hex)))
    return places
  }

  /** Valid until the next call. */
  #bytesOf(text: string): Buffer {
    this.keyOf(text)
    return this.#key
  }
}

function keyBytes(key: string): Buffer | null {
  return /^[0-9a-f]{64}$/.test(key) && key.length === KEY_BYTES * 2 ? Buffer.from(key, 'hex') : null
}
