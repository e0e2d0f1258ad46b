/** The key of an account with an ACME server: signs all requests, and is what the account is known by. */
import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { JWK } from 'jose'

export interface AccountKey {
  readonly privateKey: KeyObject
  /** Public members only. */
  readonly jwk: JWK
  readonly algorithm: string
  /** RFC 7638, SHA-256. */
  readonly thumbprint: string
}

/** PEM (PKCS #8) of a new one. */
export async function generateAccountKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' })
}

/** @throws {Error} what is no private key, or one of a kind that ACME servers do not take */
export async function readAccountKey(source: { readonly pem: string } | { readonly jwk: object }): Promise<AccountKey> {
  const { calculateJwkThumbprint } = await import('jose')
  const privateKey =
    'pem' in source ? createPrivateKey(source.pem) : createPrivateKey({ key: source.jwk, format: 'jwk' })
  const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...jwk } = privateKey.export({ format: 'jwk' }) as JWK
  return { privateKey, jwk, algorithm: algorithmOf(jwk), thumbprint: await calculateJwkThumbprint(jwk, 'sha256') }
}

/** RFC 8555 6.2 wants ES256 of servers; RS256 and the larger curves are what they take besides. */
function algorithmOf({ kty, crv }: JWK): string {
  const name = kty === 'RSA' ? 'RS256' : kty === 'EC' ? ALGORITHM_OF_CURVE[crv ?? ''] : undefined
  if (name === undefined)
    throw new Error(`expected a key of RSA or of the curves P-256, P-384 or P-521, got ${kty} ${crv ?? ''}`)
  return name
}

const ALGORITHM_OF_CURVE: Readonly<Record<string, string>> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }
