/** The hosts file (hosts(5)): names that are answered without asking anybody. */
import { isIPv4, isIPv6 } from 'node:net'
import { comparableName } from './dns-name.ts'

export interface HostAddresses {
  readonly v4: string | null
  readonly v6: string | null
}

export type Hosts = ReadonlyMap<string, HostAddresses>

const LOOPBACK: HostAddresses = { v4: '127.0.0.1', v6: '::1' }

/** Reads the file's text. Of several lines with one name the first counts, for each address family (as in Kong). */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, HostAddresses>()
  for (const line of text.split('\n')) {
    const [ip = '', ...names] = line
      .replace(/#.*$/, '')
      .split(/\s+/)
      .filter((word) => word !== '')
    const isV4 = isIPv4(ip)
    if (!isV4 && !isIPv6(ip)) continue
    for (const name of names) {
      const key = comparableName(name)
      const known = hosts.get(key) ?? { v4: null, v6: null }
      if (isV4) hosts.set(key, { v4: known.v4 ?? ip, v6: known.v6 })
      else hosts.set(key, { v4: known.v4, v6: known.v6 ?? ip })
    }
  }
  return hosts
}

/** Addresses of a name (in comparable form) that the file has, or that is the loopback interface whatever the file says (RFC 6761 6.3). */
export function findHost(hosts: Hosts, name: string): HostAddresses | null {
  const listed = hosts.get(name)
  if (listed !== undefined) return listed
  return name === 'localhost' || name.endsWith('.localhost') ? LOOPBACK : null
}
