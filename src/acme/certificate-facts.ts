/** What is to be known of certificates that were got: whether they are due, and how Kong's Admin API shows them. */
import { createHash, X509Certificate } from 'node:crypto'
import type { CertificateView } from '#model/certificate-view.ts'

const DAY_MS = 86_400_000
/** However early renewal is wished for, a third of its time a certificate is in use: else each round would renew it. */
const LEAST_USE = 1 / 3

/** The certificates of a PEM text, in order. Throws for what is none. */
export function certificatesOf(pem: string): X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (text) => new X509Certificate(text),
  )
}

/** Of the last certificate of a chain; null for what has none. */
export function commonNameOfIssuer(pem: string): string | null {
  const last = certificatesOf(pem).at(-1)
  return last === undefined ? null : commonName(last.issuer)
}

export function isDue(certificate: X509Certificate, thresholdDays: number, nowMs: number): boolean {
  const fromMs = certificate.validFromDate.getTime()
  const endsMs = certificate.validToDate.getTime()
  const earliestMs = fromMs + (endsMs - fromMs) * LEAST_USE
  return nowMs >= Math.max(earliestMs, endsMs - thresholdDays * DAY_MS)
}

export function viewOf(host: string, certificate: X509Certificate, nowMs: number): CertificateView {
  const { validFromDate: from, validToDate: to } = certificate
  return {
    digest: createHash('sha1').update(certificate.raw).digest('hex'),
    host,
    issuer_cn: commonName(certificate.issuer),
    not_before: shown(from),
    not_after: shown(to),
    valid: nowMs >= from.getTime() && nowMs < to.getTime(),
    serial_number: certificate.serialNumber.toLowerCase(),
    pubkey_type: certificate.publicKey.asymmetricKeyType === 'rsa' ? 'rsaEncryption' : 'id-ecPublicKey',
  }
}

function commonName(issuer: string): string | null {
  return /^CN=(.*)$/m.exec(issuer)?.[1] ?? null
}

function shown(date: Date): string {
  return date.toISOString().slice(0, 19).replace('T', ' ')
}
