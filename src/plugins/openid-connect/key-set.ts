/** The public keys of a provider (RFC 7517), fetched when needed and again when a token names a key that is not there. */
import type { FlattenedJWSInput, JWSHeaderParameters } from 'jose'
import type { Claims } from '../identity/claims.ts'
import type { ProviderAnswer } from '../identity/provider-client.ts'

/** Keys that can't be had: says nothing about the token. */
export class KeysUnavailable extends Error {
  readonly code = 'KEYS_UNAVAILABLE'
}

/** Keys are fetched again after this time without being asked for, so that one that was withdrawn is not trusted for ever. */
const FRESH_MS = 600_000
const MOST_KEYS = 100

type Select = (header: JWSHeaderParameters, input: FlattenedJWSInput) => Promise<CryptoKey>

export class KeySet {
  /** Another number for each other set of keys: what was verified with the one before is verified again. */
  generation = 0
  readonly #fetchAll: (nowMs: number) => Promise<readonly ProviderAnswer[]>
  readonly #intervalMs: number
  #select: Select | null = null
  #text = ''
  #triedAtMs = -Infinity
  #fetchedAtMs = -Infinity
  #fetching: Promise<string | null> | null = null

  /**
   * @param fetchAll the sets of all addresses
   * @param intervalMs no two fetches begin within it, whatever tokens say
   */
  constructor(fetchAll: (nowMs: number) => Promise<readonly ProviderAnswer[]>, intervalMs: number) {
    this.#fetchAll = fetchAll
    this.#intervalMs = intervalMs
  }

  /** Whether the keys were fetched so lately that what was verified with them need not be verified again. */
  isFresh(nowMs: number): boolean {
    return nowMs - this.#fetchedAtMs <= FRESH_MS
  }

  /** The key for a token's header. Rejects with KeysUnavailable, or with jose's error when there is none. */
  async find(header: JWSHeaderParameters, input: FlattenedJWSInput, nowMs: number): Promise<CryptoKey> {
    if (this.#select === null) await this.#refetch(nowMs)
    // Meanwhile the keys that are there do.
    else if (!this.isFresh(nowMs) && this.#mayFetch(nowMs)) void this.#fetch(nowMs)
    try {
      return await this.#select!(header, input)
    } catch (error) {
      if (codeOf(error) !== 'ERR_JWKS_NO_MATCHING_KEY' || !(await this.#mayHaveNew(nowMs))) throw error
      return await this.#select!(header, input)
    }
  }

  /** Fetches because a key is unknown, at most once in an interval; false when there is nothing new to look at. */
  async #mayHaveNew(nowMs: number): Promise<boolean> {
    const before = this.generation
    if (this.#fetching === null && !this.#mayFetch(nowMs)) return false
    await (this.#fetching ?? this.#fetch(nowMs))
    return this.generation !== before
  }

  #mayFetch(nowMs: number): boolean {
    return this.#fetching === null && nowMs - this.#triedAtMs >= this.#intervalMs
  }

  async #refetch(nowMs: number): Promise<void> {
    // The first keys may be tried for again sooner: until there are some, nobody gets in.
    if (this.#fetching === null && nowMs - this.#triedAtMs < Math.min(1000, this.#intervalMs))
      throw new KeysUnavailable('the keys could not be fetched')
    const problem = await (this.#fetching ?? this.#fetch(nowMs))
    if (this.#select === null) throw new KeysUnavailable(problem ?? 'the keys could not be fetched')
  }

  /** Null, or why it failed; the keys from before stay then. */
  #fetch(nowMs: number): Promise<string | null> {
    this.#triedAtMs = nowMs
    const fetching = this.#take(nowMs).finally(() => {
      this.#fetching = null
    })
    this.#fetching = fetching
    return fetching
  }

  async #take(nowMs: number): Promise<string | null> {
    const answers = await this.#fetchAll(nowMs)
    const keys: Claims[] = []
    for (const answer of answers) {
      // One address of several that fails must not take its keys from those that use them.
      if (answer.is !== 'ok') return answer.is === 'failed' ? answer.problem : `the keys were refused: ${answer.error}`
      if (!Array.isArray(answer.json['keys'])) return 'expected keys to be a list'
      keys.push(...(answer.json['keys'] as unknown[]).filter(isPublicKey))
    }
    if (keys.length > MOST_KEYS) return `expected at most ${MOST_KEYS} keys, got ${keys.length}`
    const text = JSON.stringify(keys)
    if (text !== this.#text || this.#select === null) {
      const { createLocalJWKSet } = await import('jose')
      this.#select = createLocalJWKSet({ keys })
      this.#text = text
      this.generation++
    }
    this.#fetchedAtMs = nowMs
    return null
  }
}

/** Public keys for signatures only: a secret in a set that everybody can read proves nothing. */
function isPublicKey(value: unknown): value is Claims {
  if (typeof value !== 'object' || value === null) return false
  const { kty, use, d, k } = value as Claims
  return (kty === 'RSA' || kty === 'EC' || kty === 'OKP') && use !== 'enc' && d === undefined && k === undefined
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}
