/** How every listener for clients speaks TLS. */
import { constants } from 'node:crypto'
import type { SecureContext, TlsOptions } from 'node:tls'
import type { TlsParameters } from '#model/settings/tls-parameters.ts'

export interface AcceptorTls {
  readonly parameters: TlsParameters
  readonly handshakeTimeoutMs: number
  /** The certificates for a client that sends no server name, or none that is known. */
  readonly fallback: { readonly cert: readonly string[]; readonly key: readonly string[] }
  /** The certificate for a server name; undefined means the fallback. Called at each handshake, so that changes hold at once. */
  readonly contextFor: (servername: string) => SecureContext | undefined
}

/** All but the protocols to agree on by ALPN. */
export function tlsServerOptions(tls: AcceptorTls, ticketKeys: Buffer): TlsOptions & { readonly noDelay: boolean } {
  return {
    ...secureOptions(tls),
    SNICallback: (servername, done) => {
      try {
        done(null, tls.contextFor(servername.toLowerCase().replace(/\.$/, '')))
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)))
      }
    },
    handshakeTimeout: tls.handshakeTimeoutMs,
    sessionTimeout: tls.parameters.sessionTimeoutSeconds,
    ticketKeys,
    allowHalfOpen: true,
    noDelay: true,
  }
}

/** What can be renewed while a server runs. */
export function secureOptions({ fallback, parameters }: AcceptorTls): TlsOptions {
  const { minVersion, maxVersion, ciphers, honorCipherOrder, hasTickets } = parameters
  return {
    cert: [...fallback.cert],
    key: [...fallback.key],
    minVersion,
    maxVersion,
    ciphers,
    honorCipherOrder,
    // Tickets are the only form of resumption that several workers share.
    ...(hasTickets ? {} : { secureOptions: constants.SSL_OP_NO_TICKET }),
  }
}
