/** How every listener for clients speaks TLS. */
import { constants } from 'node:crypto'
import type { SecureContext, TLSSocket, TlsOptions } from 'node:tls'
import type { CertificateWish, ClientCertificateRules } from './client-certificates.ts'
import type { Staples } from './staples.ts'
import type { TlsParameters } from '#model/settings/tls-parameters.ts'

export interface AcceptorTls {
  readonly parameters: TlsParameters
  readonly handshakeTimeoutMs: number
  /** The certificates for a client that sends no server name, or none that is known. */
  readonly fallback: { readonly cert: readonly string[]; readonly key: readonly string[] }
  /** The certificate for a server name, by the signatures that the client can verify; undefined means the fallback. Called at each handshake, so that changes hold at once. */
  readonly contextFor: (servername: string, signatures: () => readonly string[]) => SecureContext | undefined
  /** Tells whoever makes the certificates for names which authorities are named with them. */
  readonly nameAuthorities: (authorities: string[] | undefined) => void
  readonly clients: ClientCertificateRules
  readonly wish: CertificateWish | null
  /** Answers of OCSP for clients that ask; null staples nothing. */
  readonly staples: Staples | null
}

/** All but the protocols to agree on by ALPN. */
export function tlsServerOptions(tls: AcceptorTls, ticketKeys: Buffer): TlsOptions & { readonly noDelay: boolean } {
  return {
    ...secureOptions(tls),
    // Called as a method of the connection: what it has of the client's hello is there by now.
    SNICallback(this: TLSSocket, servername, done) {
      try {
        done(
          null,
          tls.contextFor(servername.toLowerCase().replace(/\.$/, ''), () => this.getSharedSigalgs()),
        )
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)))
      }
    },
    handshakeTimeout: tls.handshakeTimeoutMs,
    requestCert: asksForCertificates(tls),
    rejectUnauthorized: tls.clients.verify === 'on',
    sessionTimeout: tls.parameters.sessionTimeoutSeconds,
    ticketKeys,
    allowHalfOpen: true,
    noDelay: true,
  }
}

/** What can be renewed while a server runs. */
export function secureOptions(tls: AcceptorTls): TlsOptions {
  const { fallback, parameters } = tls
  const { minVersion, maxVersion, ciphers, honorCipherOrder, hasTickets } = parameters
  return {
    cert: [...fallback.cert],
    key: [...fallback.key],
    minVersion,
    maxVersion,
    ciphers,
    honorCipherOrder,
    // A well-known group as strong as the certificate's key; without one the ciphers with DHE are never agreed on.
    dhparam: 'auto',
    ca: authoritiesNamed(tls),
    // Tickets are the only form of resumption that several workers share. They hold a client's own certificate without those by
    // which it is verified: where certificates are asked for, each connection shows them anew.
    ...(hasTickets && !asksForCertificates(tls) ? {} : { secureOptions: constants.SSL_OP_NO_TICKET }),
  }
}

export function asksForCertificates({ clients, wish }: AcceptorTls): boolean {
  return clients.verify !== 'off' || wish !== null
}

/** Who is named to clients that are asked, and whose certificates are verified here. */
export function authoritiesNamed({ clients, wish }: AcceptorTls): string[] | undefined {
  if (clients.authorities !== null) return [clients.authorities]
  return wish === null || wish.names.length === 0 ? undefined : [...wish.names]
}
