/** Which clients are asked for a certificate in the TLS handshake, and what is known of the one that they show. */
import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

/** In nginx's words, as `ssl_verify_client` has them. */
export type ClientVerification = 'off' | 'optional_no_ca' | 'optional' | 'on'

export interface ClientCertificateRules {
  readonly verify: ClientVerification
  /** PEM of `ssl_client_certificate`: who may sign certificates, also named in the handshake. Null: nobody is known here. */
  readonly authorities: string | null
  /** Most intermediate certificates between the client's and the authority's. */
  readonly depth: number
}

/** What plugins want of the handshake; null: nothing. */
export interface CertificateWish {
  /** PEM of authorities to be named, so that clients choose among their certificates; empty for none. */
  readonly names: readonly string[]
}

export interface ShownCertificates {
  /** The client's first, then those that it sent with it, each by the one after it. */
  readonly certificates: readonly X509Certificate[]
  /** As nginx says it in `$ssl_client_verify`. */
  readonly verified: string
}

const NOTHING: ShownCertificates = { certificates: [], verified: 'NONE' }
/** A client may send what it likes; nobody has longer chains. */
const CHAIN_MAX = 10

export function shownCertificates(socket: TLSSocket, rules: ClientCertificateRules): ShownCertificates {
  const certificates: X509Certificate[] = []
  let next = socket.getPeerX509Certificate()
  while (next !== undefined && certificates.length < CHAIN_MAX) {
    certificates.push(next)
    next = next.issuerCertificate
  }
  if (certificates.length === 0) return NOTHING
  return { certificates, verified: verdict(socket, certificates, rules) }
}

function verdict(socket: TLSSocket, certificates: readonly X509Certificate[], rules: ClientCertificateRules): string {
  if (rules.authorities === null) return 'FAILED:unable to get local issuer certificate'
  if (!socket.authorized) return `FAILED:${String(socket.authorizationError)}`
  // Whether the chain ends with the authority's own certificate depends on what the client sent.
  const between = certificates.slice(1).filter(({ subject, issuer }) => subject !== issuer)
  return between.length > rules.depth ? 'FAILED:certificate chain too long' : 'SUCCESS'
}
