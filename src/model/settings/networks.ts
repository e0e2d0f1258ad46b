/** Kinds of settings that name addresses: trusted networks, name servers, port maps. */
import { isIP, isIPv4 } from 'node:net'
import { accept, expect, expectAt, splitList, type Kind } from './kind.ts'

/** `10.0.0.0/8`, `::1`, or `unix:` for peers on Unix sockets. */
export const network: Kind<string> = {
  form: 'IP | IP/bits | unix:',
  shape: 'text',
  parse(value) {
    if (value === 'unix:') return accept(value)
    const [address = '', bits, ...rest] = value.split('/')
    const family = isIP(address)
    const mostBits = family === 4 ? 32 : 128
    const isValid =
      family !== 0 && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= mostBits))
    return isValid ? accept(value) : expect('an IP address, a network such as 10.0.0.0/8, or unix:')
  },
}

export interface ServerAddress {
  readonly ip: string
  readonly port: number
}

const DNS_PORT = 53

/** `10.0.0.2`, `10.0.0.2:5353`, `[fd00::2]:53`, `fd00::2`. */
export const nameServer: Kind<ServerAddress> = {
  form: 'IP | IP:PORT',
  shape: 'text',
  parse(value) {
    if (isIP(value) !== 0) return accept({ ip: value, port: DNS_PORT })
    const parts = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(value)
    const ip = parts?.[1] ?? parts?.[2] ?? ''
    const port = parts?.[3] === undefined ? DNS_PORT : Number(parts[3])
    const isValid = (parts?.[1] === undefined ? isIPv4(ip) : isIP(ip) === 6) && port > 0 && port <= 65_535
    return isValid ? accept({ ip, port }) : expect('the IP address of a name server, with :PORT when it is not 53')
  },
}

export interface PortMap {
  /** The port that clients use. */
  readonly external: number
  /** The port that the gateway listens on. */
  readonly internal: number
}

/** `80:8000, 443:8443`: what stands outside before what stands inside. */
export const portMaps: Kind<readonly PortMap[]> = {
  form: 'list of OUTER:INNER',
  shape: 'array',
  parse(value) {
    const maps: PortMap[] = []
    for (const part of splitList(value)) {
      const parts = /^(\d{1,5}):(\d{1,5})$/.exec(part)
      const external = Number(parts?.[1] ?? 0)
      const internal = Number(parts?.[2] ?? 0)
      if (![external, internal].every((port) => port >= 1 && port <= 65_535)) {
        return expectAt('pairs of ports such as 80:8000, 443:8443', part)
      }
      if (maps.some((map) => map.internal === internal)) return expectAt('each inner port once', part)
      maps.push({ external, internal })
    }
    return accept(maps)
  },
}
