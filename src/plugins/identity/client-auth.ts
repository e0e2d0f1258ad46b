/** How a client proves to an identity provider who it is (RFC 6749 2.3, OpenID Connect Core 9). */
import { randomUUID } from 'node:crypto'
import type { JWK } from 'jose'

export type ClientAuthMethod =
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'client_secret_jwt'
  | 'private_key_jwt'
  | 'none'

export interface ClientIdentity {
  readonly id: string
  readonly secret: string | null
  /** A private key, for `private_key_jwt`. */
  readonly key: JWK | null
  /** The algorithm of assertions; null for the key's, or HS256. */
  readonly algorithm: string | null
}

export interface ClientProof {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: Readonly<Record<string, string>>
}

/** An assertion is used at once. */
const ASSERTION_SECONDS = 60
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** @param audience whom an assertion is for: the provider's issuer, which only that provider has (RFC 7523 3) */
export async function proveClient(
  method: ClientAuthMethod,
  client: ClientIdentity,
  audience: string,
  nowMs: number,
): Promise<ClientProof> {
  const { id, secret } = client
  switch (method) {
    case 'client_secret_basic': {
      const credentials = `${formEncoded(id)}:${formEncoded(secret ?? '')}`
      return { headers: { Authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }, parameters: {} }
    }
    case 'client_secret_post':
      return { headers: {}, parameters: { client_id: id, client_secret: secret ?? '' } }
    case 'none':
      return { headers: {}, parameters: { client_id: id } }
    case 'client_secret_jwt':
    case 'private_key_jwt':
      return {
        headers: {},
        parameters: {
          client_id: id,
          client_assertion_type: ASSERTION_TYPE,
          client_assertion: await assertion(method, client, audience, nowMs),
        },
      }
  }
}

async function assertion(
  method: 'client_secret_jwt' | 'private_key_jwt',
  { id, secret, key, algorithm }: ClientIdentity,
  audience: string,
  nowMs: number,
): Promise<string> {
  const { SignJWT, importJWK } = await import('jose')
  const isSecret = method === 'client_secret_jwt'
  const alg = algorithm ?? (isSecret ? 'HS256' : (key?.alg ?? 'RS256'))
  const signer = isSecret ? Buffer.from(secret ?? '') : await importJWK(key!, alg)
  const seconds = Math.floor(nowMs / 1000)
  return new SignJWT({})
    .setProtectedHeader({ alg, ...(!isSecret && key?.kid !== undefined && { kid: key.kid }) })
    .setIssuer(id)
    .setSubject(id)
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + ASSERTION_SECONDS)
    .sign(signer)
}

/** RFC 6749 2.3.1: id and secret are form-encoded before they are joined. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}
