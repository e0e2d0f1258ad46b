/** Which clients can verify a certificate's key: two certificates for one name are there so that each client gets one that it can. */
import { X509Certificate } from 'node:crypto'

/** RFC 8446 4.2.3: with TLS 1.3 a curve has its hash. */
const HASH_OF_CURVE: Readonly<Record<string, string>> = {
  prime256v1: 'ECDSA+SHA256',
  secp384r1: 'ECDSA+SHA384',
  secp521r1: 'ECDSA+SHA512',
}

export interface KeyKind {
  readonly isRsa: boolean
  /** What a signature algorithm's name begins with, as `TLSSocket.getSharedSigalgs` writes it. */
  readonly signature: string
}

/** Throws for what is no certificate. */
export function keyKindOf(pem: string): KeyKind {
  const { asymmetricKeyType: type = '', asymmetricKeyDetails: details } = new X509Certificate(pem).publicKey
  if (type === 'ec') return { isRsa: false, signature: HASH_OF_CURVE[details?.namedCurve ?? ''] ?? 'ECDSA' }
  if (type === 'ed25519' || type === 'ed448') return { isRsa: false, signature: `Ed${type.slice(2)}` }
  return { isRsa: true, signature: 'RSA' }
}
