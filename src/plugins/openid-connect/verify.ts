/** Verifies tokens that a provider signed (RFC 7519, RFC 8725). The work is `jose`'s; which keys and algorithms count is decided here. */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { parseClaims, type Claims } from '../identity/claims.ts'
import { codeOf } from './key-set.ts'
import type { Provider } from './provider.ts'

/**
 * What proves by a public key. `none` is no algorithm, and HMAC only one where the operator says so, with the client's secret: a
 * public key never serves as a secret.
 */
const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const HMAC = ['HS256', 'HS384', 'HS512']
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const MOST_REMEMBERED = 10_000

export type Verified =
  | { readonly is: 'valid'; readonly claims: Claims }
  | { readonly is: 'invalid'; readonly reason: string }
  | { readonly is: 'failed'; readonly problem: string }

interface Known {
  readonly claims: Claims
  readonly provider: Provider
  /** Of the provider's keys. */
  readonly generation: number
}

export interface VerifyRules {
  readonly leewayS: number
  /** The client's secret where HMAC counts; null where it does not. */
  readonly hmacSecret: string | null
}

/** What is right for one kind of token besides its signature and times. */
export interface TokenKind {
  /** Null: any. */
  readonly audience: string | null
  /** Whether it has to say when it ends; by default it has to. */
  readonly needsEnd?: boolean
}

export class TokenVerifier {
  readonly #rules: VerifyRules
  /** By digest: tokens are shown again and again, and a signature costs more than all else. */
  readonly #known = new LRUCache<string, Known>({ max: MOST_REMEMBERED })

  constructor(rules: VerifyRules) {
    this.#rules = rules
  }

  /** The claims of an access token that this worker has verified with keys that still count, and that holds; else null. */
  recall(text: string, nowMs: number): Claims | null {
    const known = this.#known.get(digestOf(text))
    if (known === undefined) return null
    const { keys } = known.provider
    if (known.generation !== keys.generation || !keys.isFresh(nowMs)) return null
    return this.#isInTime(known.claims, nowMs) ? known.claims : null
  }

  /** For access tokens that clients show. */
  async verifyShown(text: string, provider: Provider, nowMs: number): Promise<Verified> {
    const { generation } = provider.keys
    const verified = await this.verify(text, provider, { audience: null }, nowMs)
    // Keys that were replaced meanwhile may be those that proved it: then it is verified again the next time.
    if (verified.is === 'valid' && provider.keys.generation === generation)
      this.#known.set(digestOf(text), { claims: verified.claims, provider, generation })
    return verified
  }

  async verify(text: string, provider: Provider, kind: TokenKind, nowMs: number): Promise<Verified> {
    const { jwtVerify } = await import('jose')
    const metadata = await provider.metadata(nowMs)
    if ('problem' in metadata) return { is: 'failed', problem: metadata.problem }
    const { leewayS, hmacSecret } = this.#rules
    const options = {
      issuer: metadata.issuer,
      currentDate: new Date(nowMs),
      clockTolerance: leewayS,
      requiredClaims: kind.needsEnd === false ? [] : ['exp'],
      ...(kind.audience !== null && { audience: kind.audience }),
    }
    const usesSecret = hmacSecret !== null && HMAC.includes(headerOf(text)?.['alg'] as string)
    try {
      const { payload } = usesSecret
        ? await jwtVerify(text, Buffer.from(hmacSecret), { ...options, algorithms: HMAC })
        : await jwtVerify(text, (header, input) => provider.keys.find(header, input, nowMs) as never, {
            ...options,
            algorithms: ASYMMETRIC,
          })
      return { is: 'valid', claims: payload }
    } catch (error) {
      return refusalOf(error)
    }
  }

  #isInTime({ exp, nbf }: Claims, nowMs: number): boolean {
    const nowS = nowMs / 1000
    const { leewayS } = this.#rules
    return typeof exp === 'number' && exp + leewayS > nowS && !(typeof nbf === 'number' && nbf - leewayS > nowS)
  }
}

function digestOf(text: string): string {
  return hash('sha256', text, 'base64')
}

/** jose's errors have codes; anything without one is a bug and goes on. */
function refusalOf(error: unknown): Verified {
  const code = codeOf(error)
  if (code === 'KEYS_UNAVAILABLE') return { is: 'failed', problem: (error as Error).message }
  if (!code.startsWith('ERR_J')) throw error
  return { is: 'invalid', reason: (error as Error).message }
}

/** The claims of a token as it says them, unproven; null when it is no JWT in its compact form. */
export function unprovenClaims(text: string): Claims | null {
  const parts = text.split('.', 4)
  return parts.length !== 3 || headerOf(text) === null ? null : decoded(parts[1]!)
}

function headerOf(text: string): Claims | null {
  return decoded(text.slice(0, Math.max(0, text.indexOf('.'))))
}

function decoded(base64url: string): Claims | null {
  return /^[A-Za-z0-9_-]+$/.test(base64url) ? parseClaims(Buffer.from(base64url, 'base64url').toString('utf8')) : null
}

/** Whether claims are those of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.4). */
export function isLogoutToken({ events }: Claims): boolean {
  return typeof events === 'object' && events !== null && LOGOUT_EVENT in events
}
