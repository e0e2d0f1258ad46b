/** Keys, what a certificate is asked for with, and the certificate of a challenge: by pkijs, which is loaded when it is first needed. */
import { createHash, KeyObject, webcrypto } from 'node:crypto'
import type * as Pkijs from 'pkijs'
import type { TlsAlpnChallenge } from '#pdk/acme-challenges.ts'

export type KeyKind = { readonly type: 'ecc' } | { readonly type: 'rsa'; readonly bits: number }

export interface CertificateRequest {
  /** PEM (PKCS #8) of the private key. */
  readonly key: string
  /** DER of the request (RFC 2986). */
  readonly csr: Buffer
}

const SUBJECT_ALT_NAME = '2.5.29.17'
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
/** id-pe-acmeIdentifier, RFC 8737 3. */
const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31'
const DNS_NAME = 2
const DAY_MS = 86_400_000

/** A new key with a request for one name; there is no common name: a certificate's names are its alternative ones (RFC 9525). */
export async function makeCertificateRequest(name: string, kind: KeyKind): Promise<CertificateRequest> {
  const { Attribute, CertificationRequest, Extensions } = await import('pkijs')
  const keys = await generateKeys(kind)
  const request = new CertificationRequest()
  await request.subjectPublicKeyInfo.importKey(keys.publicKey)
  const extensions = new Extensions({ extensions: [await alternativeName(name)] })
  request.attributes = [new Attribute({ type: EXTENSION_REQUEST, values: [extensions.toSchema()] })]
  await request.sign(keys.privateKey, 'SHA-256')
  return { key: pemOf(keys.privateKey), csr: Buffer.from(request.toSchema(true).toBER(false)) }
}

/** The certificate that answers a `tls-alpn-01` challenge for the name (RFC 8737 3): self-signed, with the digest of what was agreed on. */
export async function makeChallengeCertificate(
  name: string,
  keyAuthorization: string,
  nowMs: number,
): Promise<TlsAlpnChallenge> {
  const { Certificate, Extension } = await import('pkijs')
  const keys = await generateKeys({ type: 'ecc' })
  const certificate = new Certificate()
  certificate.version = 2
  // Of no importance, but there must be one: X.509 wants a positive number.
  certificate.serialNumber.valueBlock.valueDec = 1
  certificate.notBefore.value = new Date(nowMs - DAY_MS)
  certificate.notAfter.value = new Date(nowMs + DAY_MS)
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey)
  const digest = createHash('sha256').update(keyAuthorization).digest()
  // DER of an OCTET STRING of 32 bytes.
  const extnValue = arrayBuffer(Buffer.concat([Buffer.from([0x04, 0x20]), digest]))
  certificate.extensions = [
    await alternativeName(name),
    new Extension({ extnID: ACME_IDENTIFIER, critical: true, extnValue }),
  ]
  await certificate.sign(keys.privateKey, 'SHA-256')
  const der = Buffer.from(certificate.toSchema(true).toBER(false))
  const lines = der.toString('base64').match(/.{1,64}/g)!
  const cert = ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
  return { cert, key: pemOf(keys.privateKey) }
}

/** Off the event loop: a large RSA key takes a second. */
async function generateKeys(kind: KeyKind): Promise<webcrypto.CryptoKeyPair> {
  const algorithm =
    kind.type === 'ecc'
      ? { name: 'ECDSA', namedCurve: 'P-256' }
      : {
          name: 'RSASSA-PKCS1-v1_5',
          modulusLength: kind.bits,
          publicExponent: new Uint8Array([1, 0, 1]),
          hash: 'SHA-256',
        }
  return await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

function pemOf(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' })
}

async function alternativeName(name: string): Promise<Pkijs.Extension> {
  const { Extension, GeneralName, GeneralNames } = await import('pkijs')
  const names = new GeneralNames({ names: [new GeneralName({ type: DNS_NAME, value: name })] })
  return new Extension({ extnID: SUBJECT_ALT_NAME, critical: false, extnValue: names.toSchema().toBER(false) })
}

function arrayBuffer(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
