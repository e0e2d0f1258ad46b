import { isIP, SocketAddress } from 'node:net'

/** Where questions are sent. */
export interface NameServer {
  /** In the form in which the system names the source of a datagram. */
  readonly ip: string
  readonly port: number
}

const DNS_PORT = 53

/** Reads `ip`, `ip:port`, `[ipv6]` or `[ipv6]:port`; null when it is none of these. */
export function parseNameServer(text: string): NameServer | null {
  if (isIP(text) !== 0) return { ip: canonicalIp(text), port: DNS_PORT }
  const parts = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text)
  if (parts === null) return null
  const ip = parts[1] ?? parts[2]!
  if (isIP(ip) !== (parts[1] === undefined ? 4 : 6)) return null
  const port = parts[3] === undefined ? DNS_PORT : Number(parts[3])
  return port >= 1 && port <= 65535 ? { ip: canonicalIp(ip), port } : null
}

function canonicalIp(ip: string): string {
  const [address = '', zone] = ip.split('%')
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  const canonical = new SocketAddress({ address, family }).address
  return zone === undefined ? canonical : `${canonical}%${zone}`
}
