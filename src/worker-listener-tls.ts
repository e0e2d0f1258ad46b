/** How the listeners of a worker speak TLS, as settings and configuration say. */
import type { CertificateTable } from '#listen/certificates.ts'
import { Staples } from '#listen/staples.ts'
import type { AcceptorTls } from '#listen/tls-server-options.ts'
import { tlsParameters } from '#model/settings/tls-parameters.ts'
import type { WorkerStart } from './worker-protocol.ts'

export function listenerTlsOf(start: WorkerStart, certificates: CertificateTable): AcceptorTls {
  const { settings, fallback, clientAuthorities } = start
  return {
    parameters: tlsParameters(settings),
    handshakeTimeoutMs: settings.ssl_handshake_timeout,
    fallback,
    contextFor: (servername, signatures) => certificates.find(servername, signatures),
    nameAuthorities: (authorities) => certificates.nameAuthorities(authorities),
    clients: { verify: settings.ssl_verify_client, authorities: clientAuthorities, depth: settings.ssl_verify_depth },
    wish: null,
    staples: staplesOf(start),
  }
}

function staplesOf({ settings, staples }: WorkerStart): Staples | null {
  if (!settings.ssl_stapling) return null
  const table = new Staples(Date.now)
  table.take(staples)
  return table
}

/** For streams: only plugins of HTTP look at certificates of clients. */
export function withoutClientCertificates(tls: AcceptorTls): AcceptorTls {
  return { ...tls, clients: { verify: 'off', authorities: null, depth: 0 } }
}
