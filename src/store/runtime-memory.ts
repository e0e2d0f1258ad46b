/** The runtime store in memory: its values live as long as the process. */
import { GatewayError } from '#core/errors.ts'
import type { RuntimeStore } from './contract.ts'

export interface MemoryRuntimeOptions {
  readonly nowMs: () => number
  /** Live values at most; a further one is refused. */
  readonly limit?: number
}

export function createMemoryRuntimeStore(options: MemoryRuntimeOptions): RuntimeStore {
  return new MemoryRuntimeStore(options)
}

interface Kept {
  /** JSON, so that nobody changes what is kept by changing what was put or got. */
  readonly text: string
  readonly expiresAtMs: number
}

class MemoryRuntimeStore implements RuntimeStore {
  readonly #nowMs: () => number
  readonly #limit: number
  readonly #kept = new Map<string, Kept>()

  constructor({ nowMs, limit = 1_000_000 }: MemoryRuntimeOptions) {
    this.#nowMs = nowMs
    this.#limit = limit
  }

  async put(space: string, key: string, value: unknown, ttlMs: number): Promise<void> {
    this.#put(place(space, key), value, ttlMs)
  }

  async putIfAbsent(space: string, key: string, value: unknown, ttlMs: number): Promise<boolean> {
    const at = place(space, key)
    if (this.#live(at)) return false
    this.#put(at, value, ttlMs)
    return true
  }

  async get(space: string, key: string): Promise<unknown> {
    const kept = this.#live(place(space, key))
    return kept && JSON.parse(kept.text)
  }

  async take(space: string, key: string): Promise<unknown> {
    const at = place(space, key)
    const kept = this.#live(at)
    this.#kept.delete(at)
    return kept && JSON.parse(kept.text)
  }

  async delete(space: string, key: string): Promise<void> {
    this.#kept.delete(place(space, key))
  }

  async close(): Promise<void> {
    this.#kept.clear()
  }

  #put(at: string, value: unknown, ttlMs: number): void {
    this.#kept.delete(at)
    if (this.#kept.size >= this.#limit) this.#sweep()
    if (this.#kept.size >= this.#limit)
      throw new GatewayError('RUNTIME_STORE_FULL', `expected at most ${this.#limit} live values`)
    this.#kept.set(at, { text: JSON.stringify(value), expiresAtMs: this.#nowMs() + ttlMs })
  }

  #live(at: string): Kept | undefined {
    const kept = this.#kept.get(at)
    return kept && kept.expiresAtMs > this.#nowMs() ? kept : undefined
  }

  #sweep(): void {
    const nowMs = this.#nowMs()
    for (const [at, { expiresAtMs }] of this.#kept) if (expiresAtMs <= nowMs) this.#kept.delete(at)
  }
}

function place(space: string, key: string): string {
  return `${space}\0${key}`
}
