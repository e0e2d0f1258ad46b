/** What a server said of tokens: remembered for a while and within bounds, and the same token asked for once at a time. */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Claims } from './claims.ts'

/** `failed`: the server said neither yes nor no. */
export type TokenAnswer =
  | { readonly is: 'active'; readonly claims: Claims }
  | { readonly is: 'inactive' }
  | { readonly is: 'failed'; readonly problem: string }

const MOST_REMEMBERED = 10_000
/** Questions under way; over that a token is answered as when the server can't be asked. */
const MOST_ASKING = 1000
/** Tokens that don't hold are remembered for less, because a server may take some time to know a new one. */
const INACTIVE_S = 5

export class TokenAnswers {
  readonly #ttlS: number
  readonly #remembered: LRUCache<string, TokenAnswer>
  readonly #asking = new Map<string, Promise<TokenAnswer>>()

  /** @param ttlS seconds that an answer is remembered, at most until the token's end; 0: never */
  constructor(ttlS: number) {
    this.#ttlS = ttlS
    this.#remembered = new LRUCache({ max: MOST_REMEMBERED, ttl: Math.max(1, ttlS * 1000) })
  }

  /** Answers at once what is remembered. Failures never are. `question` must not reject. */
  ask(token: string, nowMs: number, question: () => Promise<TokenAnswer>): TokenAnswer | Promise<TokenAnswer> {
    const key = hash('sha256', token, 'base64')
    const remembered = this.#remembered.get(key)
    if (remembered !== undefined && !isOver(remembered, nowMs)) return remembered
    const asking = this.#asking.get(key)
    if (asking !== undefined) return asking
    if (this.#asking.size >= MOST_ASKING) return { is: 'failed', problem: `${MOST_ASKING} tokens are being asked for` }
    const asked = question()
      .then((answer) => this.#remember(key, answer, nowMs))
      .finally(() => this.#asking.delete(key))
    this.#asking.set(key, asked)
    return asked
  }

  #remember(key: string, answer: TokenAnswer, nowMs: number): TokenAnswer {
    if (answer.is === 'failed') return answer
    if (isOver(answer, nowMs)) return { is: 'inactive' }
    if (this.#ttlS <= 0) return answer
    const ttlS = answer.is === 'active' ? this.#ttlS : Math.min(INACTIVE_S, this.#ttlS)
    this.#remembered.set(key, answer, { ttl: ttlS * 1000 })
    return answer
  }
}

/** Whatever `active` says: a token that has ended, or has not begun, does not hold. */
function isOver(answer: TokenAnswer, nowMs: number): boolean {
  if (answer.is !== 'active') return false
  const { exp, nbf } = answer.claims
  return (typeof exp === 'number' && exp * 1000 <= nowMs) || (typeof nbf === 'number' && nbf * 1000 > nowMs)
}
