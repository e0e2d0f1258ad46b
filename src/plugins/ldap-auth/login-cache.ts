/** Logins that the directory said are right, for a while; wrong ones are never remembered, so a new password is good at once. */
import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { BindOutcome } from './directory.ts'

const MOST = 10_000

export class LoginCache {
  /** Neither names nor passwords are kept, only what they are hashed to with a key that this process alone has. */
  readonly #key = randomBytes(32)
  readonly #right: LRUCache<string, true> | null
  /** The same login asked for several times at once is asked of the directory once. */
  readonly #asking = new Map<string, Promise<BindOutcome>>()

  /** @param ttlMs 0: nothing is kept */
  constructor(ttlMs: number) {
    this.#right = ttlMs > 0 ? new LRUCache({ max: MOST, ttl: ttlMs }) : null
  }

  check(name: string, password: string, ask: () => Promise<BindOutcome>): BindOutcome | Promise<BindOutcome> {
    const key = createHmac('sha256', this.#key)
      .update(JSON.stringify([name, password]))
      .digest('base64')
    if (this.#right?.get(key) === true) return { is: 'right' }
    const asking = this.#asking.get(key)
    if (asking !== undefined) return asking
    const asked = ask().then((outcome) => {
      if (outcome.is === 'right') this.#right?.set(key, true)
      return outcome
    })
    this.#asking.set(key, asked)
    return asked.finally(() => this.#asking.delete(key))
  }
}
