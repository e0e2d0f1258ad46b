/** What of certificates, CRLs and OCSP Node does not read by itself, by pkijs. It is loaded when it is first needed. */
import type { X509Certificate } from 'node:crypto'
import type * as Pkijs from 'pkijs'

export type ParsedCertificate = Pkijs.Certificate
type Library = typeof Pkijs

let library: Promise<Library> | null = null
export const pkijs = (): Promise<Library> => (library ??= import('pkijs'))

const BASIC_CONSTRAINTS = '2.5.29.19'
const SUBJECT_ALT_NAME = '2.5.29.17'
const CRL_DISTRIBUTION_POINTS = '2.5.29.31'
const COMMON_NAME = '2.5.4.3'
/** Extensions whose meaning is heeded here; a critical one that is not among them makes a certificate useless (RFC 5280 4.2). */
const HEEDED = new Set([
  BASIC_CONSTRAINTS,
  SUBJECT_ALT_NAME,
  '2.5.29.15', // key usage
  '2.5.29.37', // extended key usage
  '2.5.29.30', // name constraints
])

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

export function hasUnknownCritical({ extensions = [] }: ParsedCertificate): boolean {
  return extensions.some(({ critical, extnID }) => critical && !HEEDED.has(extnID))
}

/** How many intermediate certificates may follow below this authority; Infinity where it does not say. */
export function pathLimit({ extensions = [] }: ParsedCertificate): number {
  const value = extensions.find(({ extnID }) => extnID === BASIC_CONSTRAINTS)?.parsedValue as
    | Pkijs.BasicConstraints
    | undefined
  const limit = value?.pathLenConstraint
  return typeof limit === 'number' ? limit : (limit?.valueBlock.valueDec ?? Infinity)
}

/** Names that a credential or a consumer may have: alternative names, else the common name. */
export function namesOf(certificate: ParsedCertificate): readonly string[] {
  const alternative = alternativeNames(certificate)
  const common = commonName(certificate)
  return alternative.length > 0 ? alternative : common === null ? [] : [common]
}

function alternativeNames({ extensions = [] }: ParsedCertificate): string[] {
  const value = extensions.find(({ extnID }) => extnID === SUBJECT_ALT_NAME)?.parsedValue as Pkijs.AltName | undefined
  // RFC 5280 4.2.1.6: 1 is an address of mail, 2 a name of DNS, 6 a URI; all of them are text.
  return (value?.altNames ?? []).flatMap(({ type, value: name }) =>
    (type === 1 || type === 2 || type === 6) && typeof name === 'string' ? [name] : [],
  )
}

export function commonName({ subject }: ParsedCertificate): string | null {
  const last = subject.typesAndValues.findLast(({ type }) => type === COMMON_NAME)
  return last === undefined ? null : last.value.valueBlock.value
}

/** Where lists of what is revoked are, as the certificate says. */
export function listUrls({ extensions = [] }: ParsedCertificate): readonly string[] {
  const value = extensions.find(({ extnID }) => extnID === CRL_DISTRIBUTION_POINTS)?.parsedValue as
    | Pkijs.CRLDistributionPoints
    | undefined
  return (value?.distributionPoints ?? []).flatMap(({ distributionPoint }) =>
    Array.isArray(distributionPoint)
      ? distributionPoint.flatMap(({ type, value: url }) => (type === 6 && isHttp(url) ? [url] : []))
      : [],
  )
}

/** Where its state can be asked for. */
export function responderUrls({ infoAccess }: X509Certificate): readonly string[] {
  return (infoAccess ?? '')
    .split('\n')
    .flatMap((line) => (line.startsWith('OCSP - URI:') ? [line.slice('OCSP - URI:'.length)] : []))
    .filter(isHttp)
}

function isHttp(url: unknown): url is string {
  return typeof url === 'string' && /^https?:\/\//i.test(url)
}
