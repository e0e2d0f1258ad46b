/** Questions about certificates to those that issued them, and what their answers are worth (RFC 6960). */
import { X509Certificate } from 'node:crypto'
import type { SingleResponse } from 'pkijs'
import { isInForce, parseCertificate, pkijs, type ParsedCertificate } from './pki.ts'

/** Clocks differ. */
export const OCSP_LEEWAY_MS = 60_000
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9'
/** Signers that come with an answer; more are not looked at. */
const SIGNERS_MAX = 4

export interface OcspPair {
  readonly subject: ParsedCertificate
  readonly issuer: ParsedCertificate
  readonly issuerCertificate: X509Certificate
}

export type OcspVerdict =
  | {
      readonly state: 'good' | 'revoked'
      readonly thisUpdateMs: number
      /** Null: there is newer information at any time. */
      readonly nextUpdateMs: number | null
    }
  | { readonly state: 'unknown'; readonly reason: string }

/** Null where one of the two can't be parsed. */
export async function ocspPair(certificate: X509Certificate, issuer: X509Certificate): Promise<OcspPair | null> {
  const [subject, parsed] = [await parseCertificate(certificate), await parseCertificate(issuer)]
  return subject === null || parsed === null ? null : { subject, issuer: parsed, issuerCertificate: issuer }
}

/** DER, to be sent by POST. */
export async function ocspQuestion({ subject, issuer }: OcspPair): Promise<Buffer> {
  const { OCSPRequest } = await pkijs()
  const request = new OCSPRequest()
  // SHA-1 names the issuer here and proves nothing; it is what every responder understands (RFC 5019 2.1.1).
  await request.createForCertificate(subject, { hashAlgorithm: 'SHA-1', issuerCertificate: issuer })
  return Buffer.from(request.toSchema(true).toBER(false))
}

/** Rejects for bytes that are no answer of OCSP. */
export async function ocspVerdict(answer: Uint8Array, pair: OcspPair, nowMs: number): Promise<OcspVerdict> {
  const { subject, issuer, issuerCertificate } = pair
  const { BasicOCSPResponse, OCSPResponse, getCrypto } = await pkijs()
  const { responseStatus, responseBytes } = OCSPResponse.fromBER(answer)
  const status = responseStatus.valueBlock.valueDec
  if (status !== 0 || responseBytes === undefined) return unknown(`response status ${status}`)
  const basic = BasicOCSPResponse.fromBER(responseBytes.response.valueBlock.valueHexView)
  const delegated = (basic.certs ?? []).slice(0, SIGNERS_MAX).filter((one) => maySign(one, issuerCertificate, nowMs))
  let isSigned = false
  for (const signer of [issuer, ...delegated]) {
    const { tbsResponseData, signature, signatureAlgorithm } = basic
    isSigned ||= await getCrypto(true).verifyWithPublicKey(
      tbsResponseData.tbsView,
      signature,
      signer.subjectPublicKeyInfo,
      signatureAlgorithm,
    )
  }
  if (!isSigned) return unknown('not signed by who may')
  // Only one certificate was asked for, so that dates and state are of the same answer.
  const [single, ...others] = basic.tbsResponseData.responses
  if (single === undefined || others.length > 0) return unknown('expected one response')
  if (!isCurrent(single, nowMs)) return unknown('not of this time')
  const found = await basic.getCertificateStatus(subject, issuer)
  if (!found.isForCertificate) return unknown('for another certificate')
  if (found.status === 2) return unknown('unknown to its issuer')
  return {
    state: found.status === 0 ? 'good' : 'revoked',
    thisUpdateMs: single.thisUpdate.getTime(),
    nextUpdateMs: single.nextUpdate?.getTime() ?? null,
  }
}

const unknown = (reason: string): OcspVerdict => ({ state: 'unknown', reason })

/** RFC 6960 4.2.2.2: whom the issuer itself has given the right to answer. */
function maySign(signer: ParsedCertificate, issuer: X509Certificate, nowMs: number): boolean {
  const certificate = new X509Certificate(Buffer.from(signer.toSchema(true).toBER(false)))
  const usages = certificate.keyUsage as readonly string[] | undefined
  return (
    usages?.includes(OCSP_SIGNING) === true &&
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey) &&
    isInForce(certificate, nowMs)
  )
}

function isCurrent({ thisUpdate, nextUpdate }: SingleResponse, nowMs: number): boolean {
  const end = nextUpdate === undefined ? Infinity : nextUpdate.getTime()
  return thisUpdate.getTime() <= nowMs + OCSP_LEEWAY_MS && nowMs <= end + OCSP_LEEWAY_MS
}
