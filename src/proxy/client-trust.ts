/**
 * Whose X-Forwarded-* count, and which address the client has (Kong: trusted_ips, real_ip_header, real_ip_recursive). With
 * `real_ip_header = proxy_protocol` it is the one in the PROXY protocol's header.
 */
import { isIP } from 'node:net'
import { addressSet } from '#core/address-set.ts'
import type { HeaderList } from '#http/header-list.ts'
import type { ProxiedAddresses } from '#http/proxy-header.ts'

export interface ClientTrustSettings {
  readonly trustedIps: readonly string[]
  readonly realIpHeader: string
  readonly realIpRecursive: boolean
}

export interface ClientTrust {
  /** Whether the connecting peer is inside trusted_ips. */
  isTrusted(peerIp: string): boolean
  /** The client's address for a request from a trusted peer. */
  realIp(peer: Peer, headers: HeaderList): string
  /** Its port, where the peer says it. */
  realPort(peer: Peer): number
}

interface Peer {
  readonly peerIp: string
  readonly peerPort: number
  readonly proxied: ProxiedAddresses | null
}

const peerPort = (peer: Peer): number => peer.peerPort

export function createClientTrust(settings: ClientTrustSettings): ClientTrust {
  const { trustedIps, realIpHeader, realIpRecursive } = settings
  if (trustedIps.length === 0) return { isTrusted: () => false, realIp: ({ peerIp }) => peerIp, realPort: peerPort }
  const trustsUnix = trustedIps.includes('unix:')
  const list = addressSet(trustedIps.filter((entry) => entry !== 'unix:'))
  const isTrusted = (ip: string) => {
    const version = isIP(ip)
    return version === 0 ? trustsUnix && ip === '' : list.check(ip, version === 6 ? 'ipv6' : 'ipv4')
  }
  if (realIpHeader.toLowerCase() === 'proxy_protocol')
    return {
      isTrusted,
      realIp: ({ peerIp, proxied }) => proxied?.sourceIp ?? peerIp,
      realPort: (peer) => peer.proxied?.sourcePort ?? peer.peerPort,
    }
  return {
    isTrusted,
    realPort: peerPort,
    realIp({ peerIp }, headers) {
      const values = headers.getAll(realIpHeader)
      if (values.length === 0) return peerIp
      const addresses = values
        .join(',')
        .split(',')
        .map((part) => plainIp(part.trim()))
      // nginx takes the last address; with real_ip_recursive the last one that is not trusted itself.
      for (let i = addresses.length - 1; i >= 0; i--) {
        const address = addresses[i]!
        if (isIP(address) === 0) return i === addresses.length - 1 ? peerIp : addresses[i + 1]!
        if (!realIpRecursive || !isTrusted(address) || i === 0) return address
      }
      return peerIp
    },
  }
}

/** Without port and brackets. */
function plainIp(text: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)
  if (bracketed) return bracketed[1]!
  const withPort = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)
  return withPort ? withPort[1]! : text
}
