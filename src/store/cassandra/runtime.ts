/**
 * The runtime store on Cassandra: every write is a lightweight transaction over all data centers, so of two that take a value, or
 * put one where nothing is, one gets it, wherever they are. Rows end by their time to live; until they do, the moment of their end
 * decides, by this node's clock.
 */
import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { GatewayError } from '#core/errors.ts'
import type { RuntimeStore } from '../contract.ts'
import type { Keyring } from '../keyring.ts'
import { RuntimeSeal } from '../runtime.ts'
import {
  CassandraFailure,
  type CassandraPort,
  type ConditionalOptions,
  type ReadConsistency,
  type TableRow,
} from './port.ts'
import { RUNTIME } from './tables.ts'

export interface CassandraRuntimeOptions {
  readonly port: CassandraPort
  readonly keyring: Keyring
  readonly nowMs: () => number
  /** Of `get`, which may be older than a write in another data center by the time that takes to come. */
  readonly read?: ReadConsistency
  readonly conditional?: ConditionalOptions
}

/** A row lives this much longer than its value, so that the moment of its end decides also where clocks differ. */
const MARGIN_MS = 60_000
/** Cassandra's longest time to live. */
const LONGEST_SECONDS = 20 * 365 * 24 * 3600
/** Attempts at a statement whose outcome is open, or in whose way others came. */
const ATTEMPTS = 20
/** Between attempts, doubled each time up to the second, and drawn at random: transactions that meet hinder each other. */
const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 500

export function createCassandraRuntimeStore(options: CassandraRuntimeOptions): RuntimeStore {
  return new CassandraRuntimeStore(options)
}

interface Place {
  readonly space: string
  /** Hashed. */
  readonly key: string
}

class CassandraRuntimeStore implements RuntimeStore {
  readonly #port: CassandraPort
  readonly #seal: RuntimeSeal
  readonly #nowMs: () => number
  readonly #read: ReadConsistency
  readonly #conditional: ConditionalOptions

  constructor({ port, keyring, nowMs, read, conditional }: CassandraRuntimeOptions) {
    this.#port = port
    this.#seal = new RuntimeSeal(keyring)
    this.#nowMs = nowMs
    this.#read = read ?? 'LOCAL_QUORUM'
    this.#conditional = conditional ?? { serial: 'SERIAL', commit: 'QUORUM' }
  }

  async put(space: string, key: string, value: unknown, ttlMs: number): Promise<void> {
    const { place, row, ttlSeconds } = this.#rowOf(space, key, value, ttlMs)
    await this.#settle(async () => {
      const there = await this.#insert(row, ttlSeconds)
      if (there === null || isOwn(there, row)) return DONE
      return (await this.#replace(place, row, there, ttlSeconds)) ? DONE : null
    })
  }

  async putIfAbsent(space: string, key: string, value: unknown, ttlMs: number): Promise<boolean> {
    const { place, row, ttlSeconds } = this.#rowOf(space, key, value, ttlMs)
    return await this.#settle(async () => {
      const there = await this.#insert(row, ttlSeconds)
      if (there === null || isOwn(there, row)) return true
      if (this.#isLive(there)) return false
      return (await this.#replace(place, row, there, ttlSeconds)) ? true : null
    })
  }

  async get(space: string, key: string): Promise<unknown> {
    const place = { space, key: this.#seal.keyOf(space, key) }
    const row = await explained(() => this.#rowAt(place, this.#read))
    return row !== undefined && this.#isLive(row) ? this.#open(place, row) : undefined
  }

  async take(space: string, key: string): Promise<unknown> {
    const place = { space, key: this.#seal.keyOf(space, key) }
    // Who takes leaves its name, so that it knows its own statement again when the answer to it was lost.
    const taker = randomUUID()
    let tried: TableRow | null = null
    const taken = await this.#settle(async () => {
      const row = await this.#rowAt(place, this.#conditional.serial)
      if (tried !== null && row?.['value'] === markOf(taker, tried)) return tried
      if (row === undefined || !this.#isLive(row)) return NOTHING
      tried = row
      const gone = { ...place, value: markOf(taker, row), expires_at_ms: 0 }
      return (await this.#replace(place, gone, row, seconds(MARGIN_MS))) ? row : null
    })
    return taken === NOTHING ? undefined : this.#open(place, taken)
  }

  async delete(space: string, key: string): Promise<void> {
    const place = { space, key: this.#seal.keyOf(space, key) }
    await this.#settle(async () => {
      await this.#port.deleteIfPresent(RUNTIME, { ...place }, this.#conditional)
      return DONE
    })
  }

  async close(): Promise<void> {
    // The port is the caller's.
  }

  #rowOf(space: string, key: string, value: unknown, ttlMs: number) {
    const place = { space, key: this.#seal.keyOf(space, key) }
    const row = { ...place, value: this.#seal.seal(space, place.key, value), expires_at_ms: this.#nowMs() + ttlMs }
    return { place, row, ttlSeconds: seconds(ttlMs + MARGIN_MS) }
  }

  /** What stands there instead; null when it was inserted. */
  async #insert(row: TableRow, ttlSeconds: number): Promise<TableRow | null> {
    const result = await this.#port.insertIfAbsent(RUNTIME, row, { ...this.#conditional, ttlSeconds })
    if (result.isApplied) return null
    // A row whose value is over, seen in the moment of its end: like one that is replaced.
    return result.row ?? { ...row, value: null, expires_at_ms: null }
  }

  /** Sealed values are never equal, so the value tells the row from every other that stood there. */
  async #replace(place: Place, row: TableRow, there: TableRow, ttlSeconds: number): Promise<boolean> {
    const expected = { value: there['value'] ?? null }
    const result = await this.#port.replaceIf(RUNTIME, { ...place, ...row }, expected, {
      ...this.#conditional,
      ttlSeconds,
    })
    return result.isApplied || result.row?.['value'] === row['value']
  }

  async #rowAt(place: Place, consistency: ReadConsistency): Promise<TableRow | undefined> {
    const [row] = await this.#port.select(RUNTIME, { partition: { ...place }, limit: 1, consistency })
    return row
  }

  #isLive({ value, expires_at_ms: expiresAtMs }: TableRow): boolean {
    return typeof value === 'string' && typeof expiresAtMs === 'number' && expiresAtMs > this.#nowMs()
  }

  #open({ space, key }: Place, row: TableRow): unknown {
    return this.#seal.open(space, key, String(row['value']))
  }

  /** Repeats until the attempt answers something: null means that others came in its way. An open outcome is looked at again. */
  async #settle<T>(attempt: () => Promise<T | null>): Promise<T> {
    return await explained(async () => {
      for (let count = 1; ; count++) {
        try {
          const outcome = await attempt()
          if (outcome !== null) return outcome
          if (count === ATTEMPTS)
            throw new CassandraFailure('overloaded', 'others write the same key all the time', true)
        } catch (error) {
          // Also a read times out where transactions meet: it has to finish those that it finds.
          const isOpen = error instanceof CassandraFailure && (!error.isSettled || error.reason === 'timeout')
          if (!isOpen || count === ATTEMPTS) throw error
        }
        await delay(Math.random() * Math.min(FIRST_PAUSE_MS * 2 ** count, LONGEST_PAUSE_MS))
      }
    })
  }
}

const DONE = true
const NOTHING = Symbol('nothing')
/** What stands in place of a value that was taken: by whom, and which value. Sealed values don't begin so. */
function markOf(taker: string, row: TableRow): string {
  return `taken by ${taker} ${digestOf(row)}`
}

/** Whether a row is what a write before, whose outcome was open, put there; also when it has been taken since. */
function isOwn(there: TableRow, row: TableRow): boolean {
  const value = String(there['value'])
  return value === row['value'] || (value.startsWith('taken by ') && value.endsWith(` ${digestOf(row)}`))
}

function digestOf(row: TableRow): string {
  return createHash('sha256').update(String(row['value'])).digest('base64url')
}

function seconds(ms: number): number {
  return Math.min(Math.max(1, Math.ceil(ms / 1000)), LONGEST_SECONDS)
}

async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof CassandraFailure)) throw cause
    throw new GatewayError('STORE_UNAVAILABLE', `the store of short-lived values: ${cause.message}`, { cause })
  }
}
