/** Whether certificates are revoked: by OCSP (RFC 6960), else by lists (RFC 5280 5), as the certificates say where to ask. */
import { LRUCache } from 'lru-cache'
import { OCSP_LEEWAY_MS, ocspQuestion, ocspVerdict } from '#core/ocsp.ts'
import { pkijs, responderUrls, type ParsedCertificate } from '#core/pki.ts'
import type { TrustedPath } from './path.ts'
import { listUrls } from './pki.ts'

export type RevocationState = 'good' | 'revoked' | 'unknown'

/** Answers a document of the web; rejects when it can't be had. `body` makes it a POST. */
export type Fetch = (url: string, body: Buffer | null) => Promise<Buffer>

/** Certificates whose state is remembered, in each configuration of the plugin. */
const STATES_MAX = 10_000

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
    const of = { subject: parsed[at]!, issuer: parsed[at + 1]!, issuerCertificate: certificates[at + 1]! }
    for (const url of responderUrls(certificates[at]!).slice(0, 2)) {
      const state = await this.#tried(async () => {
        const answer = await this.#fetch(url, await ocspQuestion(of))
        return (await ocspVerdict(answer, of, nowMs)).state
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
  if (list.thisUpdate.value.getTime() > nowMs + OCSP_LEEWAY_MS || nowMs > end + OCSP_LEEWAY_MS) return 'unknown'
  return list.isCertificateRevoked(subject) ? 'revoked' : 'good'
}

/** Lists come as DER (RFC 5280 4.2.1.13), and now and then as PEM. */
function derOf(bytes: Buffer): Buffer {
  const [, base64] = /-----BEGIN X509 CRL-----([\s\S]+?)-----END X509 CRL-----/.exec(bytes.toString('latin1')) ?? []
  return base64 === undefined ? bytes : Buffer.from(base64, 'base64')
}
