/** The keys of a set: those that an operator gave, or ones that change by themselves and that all workers and nodes of a store share. */
import type { RuntimeValues } from '#pdk'
import { generateKey, loadKey, type Algorithm, type SigningKey } from './signing-key.ts'

export interface KeyRing {
  /** The one that signs now; at once when this worker knows it. Rejects when the store can't be asked. */
  current(nowMs: number): SigningKey | Promise<SigningKey>
  /** All that may have signed what still counts, and the one that comes next, so that who remembers keys has it in time. */
  published(nowMs: number): Promise<readonly SigningKey[]>
}

export class GivenKeys implements KeyRing {
  readonly #keys: readonly SigningKey[]
  constructor(keys: readonly SigningKey[]) {
    this.#keys = keys
  }
  current(): SigningKey {
    return this.#keys[0]!
  }
  published(): Promise<readonly SigningKey[]> {
    return Promise.resolve(this.#keys)
  }
}

/** Periods have numbers, so that all who share the clock mean the same key. */
export class RotatingKeys implements KeyRing {
  readonly #runtime: RuntimeValues
  readonly #name: string
  readonly #algorithm: Algorithm
  readonly #periodMs: number
  /** How long what was signed last still counts. */
  readonly #graceMs: number
  readonly #known = new Map<number, SigningKey>()
  readonly #asking = new Map<number, Promise<SigningKey>>()

  constructor(runtime: RuntimeValues, name: string, algorithm: Algorithm, periodMs: number, graceMs: number) {
    this.#runtime = runtime
    this.#name = name
    this.#algorithm = algorithm
    this.#periodMs = periodMs
    this.#graceMs = graceMs
  }

  current(nowMs: number): SigningKey | Promise<SigningKey> {
    const period = Math.floor(nowMs / this.#periodMs)
    return this.#known.get(period) ?? this.#ask(period, nowMs)
  }

  async published(nowMs: number): Promise<readonly SigningKey[]> {
    const period = Math.floor(nowMs / this.#periodMs)
    const before = Math.ceil(this.#graceMs / this.#periodMs)
    const periods = Array.from({ length: before + 2 }, (_, at) => period + 1 - at)
    const keys = await Promise.all(periods.map((one) => this.#find(one, one >= period, nowMs)))
    return keys.filter((key) => key !== null)
  }

  async #find(period: number, isMade: boolean, nowMs: number): Promise<SigningKey | null> {
    const known = this.#known.get(period)
    if (known !== undefined) return known
    return isMade ? this.#ask(period, nowMs) : this.#read(period)
  }

  #ask(period: number, nowMs: number): Promise<SigningKey> {
    const asking = this.#asking.get(period)
    if (asking !== undefined) return asking
    const asked = this.#readOrMake(period, nowMs).finally(() => this.#asking.delete(period))
    this.#asking.set(period, asked)
    return asked
  }

  async #readOrMake(period: number, nowMs: number): Promise<SigningKey> {
    const found = await this.#read(period)
    if (found !== null) return found
    const pem = await generateKey(this.#algorithm)
    const endsMs = (period + 1) * this.#periodMs + this.#graceMs
    // Of all who make one at the same time, the first's counts.
    await this.#runtime.putIfAbsent('keys', this.#keyOf(period), pem, endsMs - nowMs)
    const made = await this.#read(period)
    if (made === null) throw new Error('a key that was stored is not there')
    return made
  }

  async #read(period: number): Promise<SigningKey | null> {
    const pem = await this.#runtime.get('keys', this.#keyOf(period))
    const key = typeof pem === 'string' ? loadKey(pem, this.#algorithm) : null
    if (key !== null) this.#keep(period, key)
    return key
  }

  #keep(period: number, key: SigningKey): void {
    this.#known.set(period, key)
    const oldest = Math.max(...this.#known.keys()) - 2 - Math.ceil(this.#graceMs / this.#periodMs)
    for (const one of this.#known.keys()) if (one < oldest) this.#known.delete(one)
  }

  /** Another algorithm or period is another set. */
  #keyOf(period: number): string {
    return `${this.#name} ${this.#algorithm} ${this.#periodMs} ${period}`
  }
}
