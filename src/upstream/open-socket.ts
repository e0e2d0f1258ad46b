/** A socket to a target, which begins to connect at once: plain, or with TLS and the checks that the service asks for. */
import { connect as connectTcp, type Socket } from 'node:net'
import {
  checkServerIdentity,
  connect as connectTls,
  type ConnectionOptions,
  type DetailedPeerCertificate,
} from 'node:tls'
import type { TlsTarget } from './pool.ts'

interface Place {
  readonly ip: string
  readonly port: number
  /** Offered by ALPN; null for none. */
  readonly protocols: readonly string[] | null
  /** Bytes that go out before all else, also before TLS begins. */
  readonly preface?: Buffer | null
}

export function openSocket({ tls, ...place }: Place & { readonly tls: TlsTarget | null }): Socket {
  return tls === null ? openTcp(place) : openTls(place, tls)
}

function openTcp({ ip, port, preface = null }: Place): Socket {
  const socket = connectTcp({ host: ip, port, noDelay: true, allowHalfOpen: true })
  if (preface !== null) socket.once('connect', () => socket.write(preface))
  return socket
}

function openTls(place: Place, tls: TlsTarget): Socket {
  const { ip, port, protocols, preface = null } = place
  const under = preface === null ? null : openTcp(place)
  const options: ConnectionOptions = {
    ...(under === null ? { host: ip, port } : { socket: under }),
    secureContext: tls.context,
    rejectUnauthorized: tls.isVerified,
    ...(protocols === null ? {} : { ALPNProtocols: [...protocols] }),
  }
  const { verifyDepth } = tls
  if (verifyDepth !== null) {
    options.checkServerIdentity = (hostname, certificate) => {
      const depth = intermediates(certificate as DetailedPeerCertificate)
      if (depth > verifyDepth)
        return Object.assign(
          new Error(`certificate chain has ${depth} intermediates, tls_verify_depth allows ${verifyDepth}`),
          { code: 'ERR_TLS_CERT_CHAIN_TOO_DEEP' },
        )
      return checkServerIdentity(hostname, certificate)
    }
  }
  // RFC 6066 3: a literal address is no server name.
  if (/[^0-9.]/.test(tls.servername) && !tls.servername.includes(':')) options.servername = tls.servername
  const socket = connectTls(options)
  under?.on('error', (error) => socket.destroy(error))
  socket.setNoDelay(true)
  return socket
}

/** Certificates between the server's own and the root, as OpenSSL's verify depth counts. */
function intermediates(certificate: DetailedPeerCertificate): number {
  let depth = 0
  for (
    let issuer = certificate.issuerCertificate;
    issuer &&
    issuer.issuerCertificate &&
    issuer !== issuer.issuerCertificate &&
    issuer.fingerprint256 !== issuer.issuerCertificate.fingerprint256;
    issuer = issuer.issuerCertificate
  )
    depth++
  return depth
}
