/** Whether certificates are revoked: by OCSP (RFC 6960), else by lists (RFC 5280 5), as the certificates say where to ask. */
import { X509Certificate } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { SingleResponse } from 'pkijs'
import type { TrustedPath } from './path.ts'
import { isInForce } from './path.ts'
import { listUrls, pkijs, responderUrls, type ParsedCertificate } from './pki.ts'

export type RevocationState = 'good' | 'revoked' | 'unknown'

/** Answers a document of the web; rejects when it can't be had. `body` makes it a POST. */
export type Fetch = (url: string, body: Buffer | null) => Promise<Buffer>

/** Certificates whose state is remembered, in each configuration of the plugin. */
const STATES_MAX = 10_000
/** Clocks differ. */
const LEEWAY_MS = 60_000
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9'
/** Signers that come with an answer of OCSP; more are not looked at. */
const SIGNERS_MAX = 4

export class Revocations {
  readonly #fetch: Fetch
  readonly #states: LRUCache<string, Promise<RevocationState>> | null

  /** @param ttlMs how long an answer is remembered; 0 asks each time */
  constructor(fetch: Fetch, ttlMs: number) {
    this.#fetch = fetch
    this.#states = ttlMs === 0 ? null : new LRUCache({ max: STATES_MAX, ttl: ttlMs })
  }

  /** The worst state of the certificates below the anchor: 'unknown' where it could not be found out for one of them. */
  async stateOf(path: TrustedPath, nowMs: number): Promise<RevocationState> {
    let worst: RevocationState = 'good'
    for (let at = 0; at < path.certificates.length - 1; at++) {
      const state = await this.#remembered(path, at, nowMs)
      if (state === 'revoked') return 'revoked'
      if (state === 'unknown') worst = 'unknown'
    }
    return worst
  }

  #remembered(path: TrustedPath, at: number, nowMs: number): Promise<RevocationState> {
    const key = path.certificates[at]!.fingerprint256
    const known = this.#states?.get(key)
    if (known !== undefined) return known
    const state = this.#find(path, at, nowMs)
    this.#states?.set(key, state)
    // What could not be found out may be known the next time.
    void state.then((one) => one === 'unknown' && this.#states?.delete(key))
    return state
  }

  async #find({ certificates, parsed }: TrustedPath, at: number, nowMs: number): Promise<RevocationState> {
    const pair = { certificate: certificates[at]!, issuer: certificates[at + 1]! }
    const of = { subject: parsed[at]!, issuer: parsed[at + 1]! }
    for (const url of responderUrls(pair.certificate).slice(0, 2)) {
      const state = await this.#tried(async () => {
        const question = await ocspQuestion(of.subject, of.issuer)
        return await ocspState(await this.#fetch(url, question), of.subject, of.issuer, pair.issuer, nowMs)
      })
      if (state !== 'unknown') return state
    }
    for (const url of listUrls(of.subject).slice(0, 2)) {
      const state = await this.#tried(async () => listState(await this.#fetch(url, null), of.subject, of.issuer, nowMs))
      if (state !== 'unknown') return state
    }
    return 'unknown'
  }

  async #tried(ask: () => Promise<RevocationState>): Promise<RevocationState> {
    try {
      return await ask()
    } catch {
      // Not reached, or no answer that can be read: what that means is for the mode to say.
      return 'unknown'
    }
  }
}

async function ocspQuestion(subject: ParsedCertificate, issuer: ParsedCertificate): Promise<Buffer> {
  const { OCSPRequest } = await pkijs()
  const request = new OCSPRequest()
  // SHA-1 names the issuer here and proves nothing; it is what every responder understands (RFC 5019 2.1.1).
  await request.createForCertificate(subject, { hashAlgorithm: 'SHA-1', issuerCertificate: issuer })
  return Buffer.from(request.toSchema(true).toBER(false))
}

async function ocspState(
  answer: Buffer,
  subject: ParsedCertificate,
  issuer: ParsedCertificate,
  issuerCertificate: X509Certificate,
  nowMs: number,
): Promise<RevocationState> {
  const { BasicOCSPResponse, OCSPResponse, getCrypto } = await pkijs()
  const { responseStatus, responseBytes } = OCSPResponse.fromBER(answer)
  if (responseStatus.valueBlock.valueDec !== 0 || responseBytes === undefined) return 'unknown'
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
  if (!isSigned) return 'unknown'
  // Only one certificate was asked for, so that dates and state are of the same answer.
  const [single, ...others] = basic.tbsResponseData.responses
  if (single === undefined || others.length > 0 || !isCurrent(single, nowMs)) return 'unknown'
  const { isForCertificate, status } = await basic.getCertificateStatus(subject, issuer)
  if (!isForCertificate || status === 2) return 'unknown'
  return status === 0 ? 'good' : 'revoked'
}

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
  return thisUpdate.getTime() <= nowMs + LEEWAY_MS && nowMs <= end + LEEWAY_MS
}

async function listState(
  answer: Buffer,
  subject: ParsedCertificate,
  issuer: ParsedCertificate,
  nowMs: number,
): Promise<RevocationState> {
  const { CertificateRevocationList } = await pkijs()
  const list = CertificateRevocationList.fromBER(derOf(answer))
  if (!list.issuer.isEqual(issuer.subject) || !(await list.verify({ issuerCertificate: issuer }))) return 'unknown'
  const end = list.nextUpdate?.value.getTime() ?? Infinity
  if (list.thisUpdate.value.getTime() > nowMs + LEEWAY_MS || nowMs > end + LEEWAY_MS) return 'unknown'
  return list.isCertificateRevoked(subject) ? 'revoked' : 'good'
}

/** Lists come as DER (RFC 5280 4.2.1.13), and now and then as PEM. */
function derOf(bytes: Buffer): Buffer {
  const [, base64] = /-----BEGIN X509 CRL-----([\s\S]+?)-----END X509 CRL-----/.exec(bytes.toString('latin1')) ?? []
  return base64 === undefined ? bytes : Buffer.from(base64, 'base64')
}
