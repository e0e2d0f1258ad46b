/** Hosts as Kong reads them: names and addresses with an optional port. */

export type HostParts =
  | {
      readonly type: 'name' | 'ipv4' | 'ipv6'
      /** Addresses in their long form: `0000:0000:...` for IPv6, without leading zeros for IPv4. */
      readonly host: string
      readonly port: number | null
    }
  | { readonly type: 'invalid'; readonly reason: string }

/** Splits `name[:port]`, `1.2.3.4[:port]`, `[::1]:port` or `::1`. */
export function parseHost(text: string): HostParts {
  const colons = text.split(':').length - 1
  if (colons > 1) return parseIpv6(text)
  if (/^[\d.]+$/.test(text.replace(':', ''))) return parseIpv4(text)
  return parseName(text)
}

/** `host:port`, with brackets around an IPv6 address; `defaultPort` when there is none. */
export function formatHost(parts: Exclude<HostParts, { type: 'invalid' }>, defaultPort: number): string {
  const host = parts.type === 'ipv6' ? `[${parts.host}]` : parts.host
  return `${host}:${parts.port ?? defaultPort}`
}

const INVALID_PORT: HostParts = { type: 'invalid', reason: 'invalid port number' }

function parseIpv4(text: string): HostParts {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?::(\d+))?$/.exec(text)
  const bytes = match?.slice(1, 5).map(Number)
  if (match === null || bytes === undefined || bytes.some((byte) => byte > 255))
    return { type: 'invalid', reason: `invalid ipv4 address: ${text}` }
  const port = match[5] === undefined ? null : Number(match[5])
  if (port !== null && port > 65535) return INVALID_PORT
  return { type: 'ipv4', host: bytes.join('.'), port }
}

function parseIpv6(text: string): HostParts {
  let address = text
  let port: number | null = null
  const bracketed = /^\[([^\]]*)\](.*)$/s.exec(text)
  if (bracketed !== null) {
    address = bracketed[1]!
    if (bracketed[2] !== '') {
      const digits = /^:(\d+)$/.exec(bracketed[2]!)
      if (digits === null) return { type: 'invalid', reason: 'invalid ipv6 address' }
      port = Number(digits[1])
      if (port > 65535) return INVALID_PORT
    }
  }
  const host = longIpv6(address)
  return host === null ? { type: 'invalid', reason: `invalid ipv6 address: ${text}` } : { type: 'ipv6', host, port }
}

function longIpv6(address: string): string | null {
  const halves = address.split('::')
  if (halves.length > 2) return null
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')))
  const count = groups.reduce((sum, list) => sum + list.length, 0)
  if (halves.length === 2 ? count > 7 : count !== 8) return null
  const all = halves.length === 2 ? [...groups[0]!, ...Array<string>(8 - count).fill('0'), ...groups[1]!] : groups[0]!
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null
  return all.map((group) => group.toLowerCase().padStart(4, '0')).join(':')
}

function parseName(text: string): HostParts {
  const digits = /:(\d+)$/.exec(text)?.[1]
  const name = digits === undefined ? text : text.slice(0, -digits.length - 1)
  const port = digits === undefined ? null : Number(digits)
  if (port !== null && port > 65535) return INVALID_PORT
  const segments = name.split('.')
  const isWrong = (segment: string, index: number): boolean =>
    segment.endsWith('-') || (segment === '' && index !== segments.length - 1)
  if (!/^[\dA-Za-z\-._]+$/.test(name) || segments.some(isWrong))
    return { type: 'invalid', reason: `invalid hostname: ${text}` }
  return { type: 'name', host: name, port }
}
