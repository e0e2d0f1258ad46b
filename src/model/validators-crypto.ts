/** Validators of certificates and keys, by OpenSSL as the gateway itself will load them. */
import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto'
import type { webcrypto } from 'node:crypto'
import { isVaultReference } from './vault-reference.ts'
import type { Validator } from './validators.ts'

export const cryptoValidators: Readonly<Record<string, Validator>> = {
  x509_pem: (value) => reasonOf('invalid certificate', () => loadCertificate(value)),
  private_key_pem: (value) => reasonOf('invalid key', () => loadPrivateKey(value)),
  jwt_public_key: (value) => (reasonOf('', () => loadPublicKey(value)) === null ? null : 'invalid key'),
  jwk: (value) => (isJwk(value) ? null : 'could not load JWK, likely not a valid key'),
  pem_pair(value: { private_key?: string | null; public_key?: string | null }) {
    const { private_key: privateText, public_key: publicText } = value
    let publicKey: KeyObject | null = null
    let privateKey: KeyObject | null = null
    if (typeof publicText === 'string' && !isVaultReference(publicText)) {
      publicKey = attempt(() => loadPublicKey(publicText))
      if (publicKey === null) return 'could not load public key'
    }
    if (typeof privateText === 'string' && !isVaultReference(privateText)) {
      privateKey = attempt(() => loadPrivateKey(privateText))
      if (privateKey === null) return 'could not load private key'
    }
    if (publicKey === null || privateKey === null || publicKey.equals(createPublicKey(privateKey))) return null
    return 'public key does not match private key'
  },
}

/** The first certificate of a PEM text; throws when there is none. */
export function loadCertificate(pem: string): X509Certificate {
  if (!pem.includes('-----BEGIN')) throw new Error('no PEM text')
  return new X509Certificate(pem)
}

export function loadPrivateKey(pem: string): KeyObject {
  if (!pem.includes('-----BEGIN')) throw new Error('no PEM text')
  return createPrivateKey(pem)
}

function loadPublicKey(pem: string): KeyObject {
  if (!pem.includes('-----BEGIN') || pem.includes('PRIVATE KEY-----')) throw new Error('no PEM text of a public key')
  return createPublicKey(pem)
}

/** Whether it is a public or private key. Symmetric keys (`oct`) are none to Kong either. */
export function isJwk(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const jwk = value as webcrypto.JsonWebKey
  return attempt(() => createPublicKey({ key: jwk, format: 'jwk' })) !== null
}

export function attempt<T>(load: () => T): T | null {
  try {
    return load()
  } catch {
    // The caller words its own message: OpenSSL's names neither the field nor what was expected.
    return null
  }
}

function reasonOf(prefix: string, load: () => unknown): string | null {
  try {
    load()
    return null
  } catch (error) {
    return `${prefix}: ${(error as Error).message}`
  }
}
