/** A response cache for tests of plugins: a map, and fills that the test ends. */
import { createHash } from 'node:crypto'
import type { ResponseCache } from './pdk.ts'
import { decodeStored, type StoredResponse } from './stored-response.ts'

interface Kept {
  readonly response: StoredResponse
  readonly names: readonly string[]
  readonly expiresAtMs: number
}

export class FakeResponses implements ResponseCache {
  largestBytes = 1 << 20
  generation = 0
  nowMs: () => number = () => 0
  readonly kept = new Map<string, Kept>()
  readonly #purged = new Map<string, number>()
  readonly #fills = new Map<
    string,
    { readonly token: number; readonly end: () => void; readonly ended: Promise<void> }
  >()

  find(text: string): StoredResponse | null {
    const kept = this.kept.get(text)
    return kept !== undefined && kept.expiresAtMs > this.nowMs() ? kept.response : null
  }

  keyOf(text: string): string {
    return createHash('sha256').update(text).digest('hex')
  }

  store(text: string, value: Buffer, names: readonly string[], generation: number, expiresAtMs: number): boolean {
    const response = decodeStored(value)
    if (response === null || value.length > this.largestBytes) return false
    if ([text, ...names].some((name) => (this.#purged.get(name) ?? -1) > generation)) return false
    this.kept.set(text, { response, names, expiresAtMs })
    return true
  }

  drop(text: string): void {
    this.#purged.set(text, ++this.generation)
    this.kept.delete(text)
  }

  purge(name: string): void {
    this.#purged.set(name, ++this.generation)
    for (const [text, { names }] of this.kept) if (names.includes(name)) this.kept.delete(text)
  }

  startFill(text: string): number {
    if (this.#fills.has(text)) return 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const token = ++this.generation
    this.#fills.set(text, { token, end: resolve, ended: promise })
    return token
  }

  keepFill(text: string, token: number): number {
    return this.#fills.get(text)?.token === token ? token : 0
  }

  endFill(text: string, token: number): void {
    const fill = this.#fills.get(text)
    if (fill === undefined || fill.token !== token) return
    this.#fills.delete(text)
    fill.end()
  }

  async awaitFill(text: string): Promise<void> {
    await this.#fills.get(text)?.ended
  }
}
