/** What of certificates, CRLs and OCSP Node does not read by itself, by pkijs. It is loaded when it is first needed. */
import type { X509Certificate } from 'node:crypto'
import type * as Pkijs from 'pkijs'

export type ParsedCertificate = Pkijs.Certificate
type Library = typeof Pkijs

let library: Promise<Library> | null = null
export const pkijs = (): Promise<Library> => (library ??= import('pkijs'))

/** Null for what can't be parsed. */
export async function parseCertificate(certificate: X509Certificate): Promise<ParsedCertificate | null> {
  const { Certificate } = await pkijs()
  try {
    return Certificate.fromBER(certificate.raw)
  } catch {
    // Node took it for a certificate; what this library can't read is not accepted.
    return null
  }
}

export function isInForce({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime()
}

/** As OpenSSL sees it: names, key identifiers, the right to sign; and then that it is an authority, and the signature itself. */
export function hasSigned(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

/** Where a certificate's state can be asked for. */
export function responderUrls({ infoAccess }: X509Certificate): readonly string[] {
  return (infoAccess ?? '')
    .split('\n')
    .flatMap((line) => (line.startsWith('OCSP - URI:') ? [line.slice('OCSP - URI:'.length)] : []))
    .filter(isHttp)
}

export function isHttp(url: unknown): url is string {
  return typeof url === 'string' && /^https?:\/\//i.test(url)
}
