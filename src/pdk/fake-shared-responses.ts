/** Stored responses that nodes share, for tests of plugins: what a `FakeResponses` is to one node. */
import type { FakeResponses } from './fake-responses.ts'
import type { PurgeMoment, SharedAnswer, SharedResponses } from './shared-responses.ts'
import { decodeStored, type StoredResponse } from './stored-response.ts'

interface Kept {
  readonly bytes: Buffer
  readonly names: readonly string[]
  readonly freshUntilMs: number
  readonly expiresAtMs: number
}

/** A Redis in memory, which a test makes answer or not. */
export class FakeSharedStore {
  readonly kept = new Map<string, Kept>()
  readonly claims = new Map<string, string>()
  readonly passing = new Set<string>()
  claimed = 0
  /** False: nothing is sent any more. */
  isUp = true
  /** What is sent is not answered in time. */
  isSilent = false

  /** As a node sees it. */
  of(near: FakeResponses): SharedResponses {
    return new FakeSharedResponses(this, near)
  }
}

class FakeSharedResponses implements SharedResponses {
  readonly largestBytes = 1 << 20
  readonly moment: PurgeMoment = { log: 0, redis: 0 }
  readonly #store: FakeSharedStore
  readonly #near: FakeResponses

  constructor(store: FakeSharedStore, near: FakeResponses) {
    this.#store = store
    this.#near = near
  }

  find(text: string, question: { readonly claims: boolean }): Promise<SharedAnswer | null> | null {
    if (!this.#store.isUp) return null
    return Promise.resolve(this.#store.isSilent ? null : this.#find(text, question.claims))
  }

  store(
    text: string,
    bytes: Buffer,
    names: readonly string[],
    options: { readonly freshUntilMs: number; readonly expiresAtMs: number; readonly claim: string },
  ): void {
    const { freshUntilMs, expiresAtMs, claim } = options
    if (this.#store.isUp) this.#store.kept.set(text, { bytes, names, freshUntilMs, expiresAtMs })
    this.endClaim(text, claim, 0)
  }

  endClaim(text: string, claim: string, passMs: number): void {
    if (claim === '' || this.#store.claims.get(text) !== claim) return
    this.#store.claims.delete(text)
    if (passMs > 0) this.#store.passing.add(text)
  }

  purge(name: string): void {
    for (const [text, { names }] of this.#store.kept) if (names.includes(name)) this.#store.kept.delete(text)
  }

  close(): void {
    // Nothing is open.
  }

  #find(text: string, isClaiming: boolean): SharedAnswer {
    const { kept, claims, passing } = this.#store
    const found = kept.get(text)
    const isThere = found !== undefined && found.expiresAtMs > Date.now()
    const value: StoredResponse | null = isThere ? decodeStored(found.bytes) : null
    if (isThere && found.freshUntilMs > Date.now()) {
      this.#near.store(text, found.bytes, found.names, this.#near.generation, found.expiresAtMs)
      return { state: 'fresh', value, claim: '' }
    }
    if (!isClaiming) return { state: 'none', value, claim: '' }
    if (passing.has(text)) return { state: 'pass', value, claim: '' }
    if (claims.has(text)) return { state: 'taken', value, claim: '' }
    const claim = String(++this.#store.claimed)
    claims.set(text, claim)
    return { state: 'mine', value, claim }
  }
}
