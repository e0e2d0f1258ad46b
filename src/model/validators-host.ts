/** Validators of hosts, addresses and what contains them. */
import { isIP, isIPv4 } from 'node:net'
import { parseHost } from '#core/host.ts'
import type { Validator } from './validators.ts'

export const hostValidators: Readonly<Record<string, Validator>> = {
  hostname(value) {
    const host = parseHost(value)
    if (host.type === 'invalid')
      return host.reason === 'invalid port number' ? 'must not have a port' : `invalid value: ${value}`
    return host.port === null ? null : 'must not have a port'
  },
  hostname_optional_port: (value) => hostnameOptionalPort(value),
  route_host: (value: string) => hostnameOptionalPort(value.replaceAll('*', 'wildcard')),
  sni_name: (value) => serverName(value),
  wildcard_hostname(value: string) {
    const at = value.indexOf('*')
    if (at < 0) return serverName(value)
    if (at !== 0 && at !== value.length - 1) return 'wildcard must be leftmost or rightmost character'
    if (value.split('*').length > 2) return 'only one wildcard must be specified'
    return serverName(value.replace('*', 'wildcard'))
  },
  ip: (value: string) => (isIP(value) === 0 || value.includes('%') ? `not an ip address: ${value}` : null),
  ip_or_cidr: (value) => (isAddressOrBlock(value) ? null : `invalid ip or cidr range: '${value}'`),
  cidr_v4: (value: string) =>
    isAddressOrBlock(value) && isIPv4(value.split('/')[0]!) ? null : `invalid ipv4 cidr range: '${value}'`,
  upstream_name(value) {
    const host = parseHost(value)
    if (host.type === 'invalid') return `Invalid name ('${value}'); must be a valid hostname`
    if (host.type !== 'name') return `Invalid name ('${value}'); no ip addresses allowed`
    return host.port === null ? null : `Invalid name ('${value}'); no port allowed`
  },
  target_address: (value) =>
    parseHost(value).type === 'invalid' ? `Invalid target ('${value}'); not a valid hostname or ip address` : null,
}

function hostnameOptionalPort(value: string): string | null {
  const host = parseHost(value)
  return host.type === 'invalid' ? host.reason : null
}

function serverName(value: string): string | null {
  const host = parseHost(value)
  if (host.type === 'invalid')
    return host.reason === 'invalid port number' ? 'must not have a port' : `invalid value: ${value}`
  if (host.type !== 'name') return 'must not be an IP'
  return host.port === null ? null : 'must not have a port'
}

function isAddressOrBlock(value: string): boolean {
  const [address, bits, more] = value.split('/')
  const family = isIP(address!)
  if (family === 0 || address!.includes('%') || more !== undefined) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}
