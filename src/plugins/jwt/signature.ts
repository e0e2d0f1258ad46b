/** The signature algorithms of RFC 7518 section 3 and RFC 8037. */
import { constants, createHmac, createPublicKey, timingSafeEqual, verify, type KeyObject } from 'node:crypto'

type Algorithm =
  | { readonly kind: 'hmac'; readonly hash: string }
  | { readonly kind: 'rsa' | 'rsa-pss'; readonly hash: string }
  | { readonly kind: 'ec'; readonly hash: string; readonly curve: string }
  | { readonly kind: 'eddsa' }

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['HS256', { kind: 'hmac', hash: 'sha256' }],
  ['HS384', { kind: 'hmac', hash: 'sha384' }],
  ['HS512', { kind: 'hmac', hash: 'sha512' }],
  ['RS256', { kind: 'rsa', hash: 'sha256' }],
  ['RS384', { kind: 'rsa', hash: 'sha384' }],
  ['RS512', { kind: 'rsa', hash: 'sha512' }],
  ['PS256', { kind: 'rsa-pss', hash: 'sha256' }],
  ['PS384', { kind: 'rsa-pss', hash: 'sha384' }],
  ['PS512', { kind: 'rsa-pss', hash: 'sha512' }],
  ['ES256', { kind: 'ec', hash: 'sha256', curve: 'prime256v1' }],
  ['ES384', { kind: 'ec', hash: 'sha384', curve: 'secp384r1' }],
  ['ES512', { kind: 'ec', hash: 'sha512', curve: 'secp521r1' }],
  ['EdDSA', { kind: 'eddsa' }],
] as const)

/** What proves a signature: the secret's bytes, or a public key. */
export type VerificationKey = Buffer | KeyObject

export function isAlgorithm(name: string): boolean {
  return ALGORITHMS.has(name)
}

export function isSymmetric(name: string): boolean {
  return ALGORITHMS.get(name)?.kind === 'hmac'
}

/** Null when the text is no public key that this algorithm can use. */
export function loadPublicKey(algorithm: string, pem: string | Buffer): KeyObject | null {
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch {
    // Told to the client as a bad key, and to the operator when the credential was written.
    return null
  }
  return fits(ALGORITHMS.get(algorithm), key) ? key : null
}

function fits(algorithm: Algorithm | undefined, key: KeyObject): boolean {
  const type = key.asymmetricKeyType
  switch (algorithm?.kind) {
    case 'rsa':
      return type === 'rsa'
    case 'rsa-pss':
      return type === 'rsa' || type === 'rsa-pss'
    case 'ec':
      return type === 'ec' && key.asymmetricKeyDetails?.namedCurve === algorithm.curve
    case 'eddsa':
      return type === 'ed25519' || type === 'ed448'
    default:
      return false
  }
}

/** @param key what fits the algorithm: bytes for a symmetric one, else what `loadPublicKey` gave for it */
export function isSigned(text: string, signature: Buffer, algorithm: string, key: VerificationKey): boolean {
  const known = ALGORITHMS.get(algorithm)
  // Bytes never serve as a public key nor a public key as a secret, whatever the token says.
  if (known === undefined || Buffer.isBuffer(key) !== (known.kind === 'hmac')) return false
  const bytes = Buffer.from(text, 'latin1')
  switch (known.kind) {
    case 'hmac': {
      const expected = createHmac(known.hash, key).update(bytes).digest()
      return expected.length === signature.length && timingSafeEqual(expected, signature)
    }
    case 'rsa':
      return verify(known.hash, bytes, key, signature)
    case 'rsa-pss':
      return verify(
        known.hash,
        bytes,
        {
          key: key as KeyObject,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        },
        signature,
      )
    case 'ec':
      return verify(known.hash, bytes, { key: key as KeyObject, dsaEncoding: 'ieee-p1363' }, signature)
    case 'eddsa':
      return verify(null, bytes, key, signature)
  }
}
