/**
 * From a client's certificate to an authority that is trusted (RFC 5280 6). The path is found by Node's OpenSSL, certificate by
 * certificate and without a way back, so that what a client sends can't make it long; what it has to keep is checked then.
 */
import type { X509Certificate } from 'node:crypto'
import { hasSigned, isInForce, parseCertificate, pkijs, type ParsedCertificate } from '#core/pki.ts'
import { hasUnknownCritical, pathLimit } from './pki.ts'

/** An authority in the configuration. */
export interface Anchor {
  readonly id: string
  readonly certificate: X509Certificate
}

export interface TrustedPath {
  readonly anchor: Anchor
  /** The client's first, the anchor last. */
  readonly certificates: readonly X509Certificate[]
  readonly parsed: readonly ParsedCertificate[]
}

/** Extended key usages; a certificate that names some and not this one is for something else. */
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2'
const ANY_USAGE = '2.5.29.37.0'
const LENGTH_MAX = 10

/**
 * Null where there is none.
 * @param shown the client's certificate and those that it sent with it
 * @param allowsPartial whether an authority that is itself signed by another may be the end
 */
export async function findTrustedPath(
  shown: readonly X509Certificate[],
  anchors: readonly Anchor[],
  allowsPartial: boolean,
  nowMs: number,
): Promise<TrustedPath | null> {
  const found = linkToAnchor(shown, anchors, allowsPartial)
  if (found === null) return null
  const { certificates, anchor } = found
  if (!certificates.every((one) => isInForce(one, nowMs))) return null
  const usages = certificates[0]!.keyUsage as readonly string[] | undefined
  if (usages !== undefined && !usages.some((usage) => usage === CLIENT_AUTHENTICATION || usage === ANY_USAGE))
    return null
  const parsed: ParsedCertificate[] = []
  for (const [at, certificate] of certificates.entries()) {
    const one = await parseCertificate(certificate)
    // `at - 1` intermediate certificates are below the authority at `at`.
    if (one === null || hasUnknownCritical(one) || (at > 0 && pathLimit(one) < at - 1)) return null
    parsed.push(one)
  }
  return (await keepsNameConstraints(parsed, nowMs)) ? { anchor, certificates, parsed } : null
}

interface Link {
  readonly certificates: readonly X509Certificate[]
  readonly anchor: Anchor
}

function linkToAnchor(
  shown: readonly X509Certificate[],
  anchors: readonly Anchor[],
  allowsPartial: boolean,
): Link | null {
  const path = [shown[0]!]
  while (path.length < LENGTH_MAX) {
    const last = path.at(-1)!
    const trusted = anchors.find(({ certificate }) => hasSigned(certificate, last))
    if (trusted !== undefined) {
      path.push(trusted.certificate)
      if (allowsPartial || isSelfSigned(trusted.certificate)) return { certificates: path, anchor: trusted }
      continue
    }
    const next = shown.find((one) => !path.includes(one) && hasSigned(one, last))
    if (next === undefined) return null
    path.push(next)
  }
  return null
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey)
}

async function keepsNameConstraints(path: readonly ParsedCertificate[], nowMs: number): Promise<boolean> {
  const { CertificateChainValidationEngine } = await pkijs()
  const engine = new CertificateChainValidationEngine({
    trustedCerts: [path.at(-1)!],
    // The one to be judged stands last.
    certs: path.slice(0, -1).toReversed(),
    checkDate: new Date(nowMs),
  })
  const { result } = await engine.verify()
  return result
}
