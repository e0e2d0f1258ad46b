/** Keys that sign, and what of them everybody may know. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, sign, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

export type Algorithm = 'ES256' | 'RS256' | 'EdDSA'

export interface SigningKey {
  readonly algorithm: Algorithm
  readonly kid: string
  readonly privateKey: KeyObject
  /** RFC 7517, for a set of keys. */
  readonly publicJwk: Readonly<Record<string, unknown>>
}

const generate = promisify(generateKeyPair) as unknown as (
  type: string,
  options: object,
) => Promise<{ readonly privateKey: KeyObject }>

/** PEM (PKCS #8) of a new private key. */
export async function generateKey(algorithm: Algorithm): Promise<string> {
  const { privateKey } =
    algorithm === 'ES256'
      ? await generate('ec', { namedCurve: 'P-256' })
      : algorithm === 'RS256'
        ? await generate('rsa', { modulusLength: 2048 })
        : await generate('ed25519', {})
  return privateKey.export({ type: 'pkcs8', format: 'pem' })
}

/** Null when the text is no private key that the algorithm can use. */
export function loadKey(pem: string, algorithm: Algorithm): SigningKey | null {
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(pem)
  } catch {
    // Told to the operator as a field that is wrong; the message would have nothing to add but parts of a key.
    return null
  }
  if (!fits(privateKey, algorithm)) return null
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' }) as Record<string, unknown>
  const kid = thumbprint(jwk)
  return { algorithm, kid, privateKey, publicJwk: { ...jwk, kid, alg: algorithm, use: 'sig' } }
}

function fits(key: KeyObject, algorithm: Algorithm): boolean {
  const details = key.asymmetricKeyDetails
  switch (algorithm) {
    case 'ES256':
      return key.asymmetricKeyType === 'ec' && details?.namedCurve === 'prime256v1'
    case 'RS256':
      // RFC 7518 3.3.
      return key.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) >= 2048
    case 'EdDSA':
      return key.asymmetricKeyType === 'ed25519'
  }
}

/** RFC 7638: the same key has the same name wherever it is loaded. */
function thumbprint({ kty, crv, x, y, n, e }: Record<string, unknown>): string {
  const members = kty === 'RSA' ? { e, kty, n } : kty === 'EC' ? { crv, kty, x, y } : { crv, kty, x }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}

/** A JWT in its compact form (RFC 7515 7.1). */
export function signClaims({ algorithm, kid, privateKey }: SigningKey, claims: object): string {
  const text = `${encoded({ alg: algorithm, typ: 'JWT', kid })}.${encoded(claims)}`
  const bytes = Buffer.from(text)
  const signature =
    algorithm === 'EdDSA'
      ? sign(null, bytes, privateKey)
      : sign('sha256', bytes, algorithm === 'ES256' ? { key: privateKey, dsaEncoding: 'ieee-p1363' } : privateKey)
  return `${text}.${signature.toString('base64url')}`
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
