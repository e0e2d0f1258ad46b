/** What certificates of clients say, and lists of what is revoked. */
import type * as Pkijs from 'pkijs'
import { isHttp, type ParsedCertificate } from '#core/pki.ts'

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
