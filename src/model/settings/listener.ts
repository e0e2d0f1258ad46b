/** Listen lists as Kong and nginx write them: `0.0.0.0:8000 reuseport backlog=16384, [::1]:8443 ssl, unix:/run/m.sock`, or `off`. */
import { isIP, isIPv6 } from 'node:net'
import path from 'node:path'
import { accept, expect, expectAt, splitList, type Kind, type Parsed } from './kind.ts'

export interface Listener {
  /** As written, without flags: what messages and `/` name. */
  readonly address: string
  /** IP address without brackets, 127.0.0.1 for `localhost`; '' for a Unix socket. */
  readonly host: string
  /** 0 lets the operating system choose (tests); also 0 for a Unix socket. */
  readonly port: number
  /** Absolute; null for TCP. */
  readonly socketPath: string | null
  readonly ssl: boolean
  readonly http2: boolean
  readonly proxyProtocol: boolean
  /** Datagrams instead of connections; only in `stream_listen`. */
  readonly udp: boolean
  readonly reusePort: boolean
  /** Connections that may wait to be accepted. */
  readonly backlog: number
  /** Whether an IPv6 wildcard leaves IPv4 alone; nginx's default. */
  readonly ipv6Only: boolean
}

/** nginx's own default on Linux. */
const DEFAULT_BACKLOG = 511
/** The longest path that fits into sockaddr_un with its NUL. */
const SOCKET_PATH_LIMIT = 107

/** Flags of nginx that change nothing here: sockets are bound explicitly, and TCP keep-alive is always on. */
const FLAGS_WITHOUT_EFFECT = new Set(['bind', 'deferred', 'default_server'])

export const listeners: Kind<readonly Listener[]> = {
  form: 'listen list',
  shape: 'array',
  parse(text) {
    const parts = splitList(text)
    if (parts.length === 1 && parts[0] === 'off') return accept([])
    const found: Listener[] = []
    for (const part of parts) {
      if (part === 'off') return expect('off alone, or addresses without it')
      const parsed = parseListener(part)
      if (!parsed.ok) return parts.length === 1 ? parsed : expectAt(parsed.expected, part)
      found.push(parsed.value)
    }
    return accept(found)
  },
}

export function parseListener(text: string): Parsed<Listener> {
  const [address = '', ...flags] = text.split(/\s+/)
  const place = parseAddress(address)
  if (!place.ok) return place
  const listener = {
    address,
    ...place.value,
    ssl: false,
    http2: false,
    proxyProtocol: false,
    udp: false,
    reusePort: false,
    backlog: DEFAULT_BACKLOG,
    ipv6Only: true,
  }
  for (const flag of flags) {
    const [name, value] = splitFlag(flag)
    if (flag === 'ssl') listener.ssl = true
    else if (flag === 'http2') listener.http2 = true
    else if (flag === 'proxy_protocol') listener.proxyProtocol = true
    else if (flag === 'udp') listener.udp = true
    else if (flag === 'reuseport') listener.reusePort = true
    else if (name === 'backlog') {
      if (!/^\d{1,7}$/.test(value) || Number(value) === 0) return expect('backlog=1 to backlog=9999999')
      listener.backlog = Number(value)
    } else if (name === 'ipv6only') {
      if (value !== 'on' && value !== 'off') return expect('ipv6only=on or ipv6only=off')
      listener.ipv6Only = value === 'on'
    } else if (!FLAGS_WITHOUT_EFFECT.has(flag) && name !== 'so_keepalive') {
      return expect(
        `the flags ssl, http2, proxy_protocol, udp, reuseport, backlog=N, ipv6only=on|off after the address, not '${flag}'`,
      )
    }
  }
  return accept(listener)
}

function splitFlag(flag: string): [name: string, value: string] {
  const at = flag.indexOf('=')
  return at < 0 ? ['', ''] : [flag.slice(0, at), flag.slice(at + 1)]
}

function parseAddress(address: string): Parsed<Pick<Listener, 'host' | 'port' | 'socketPath'>> {
  if (address.startsWith('unix:')) {
    const socketPath = address.slice('unix:'.length)
    if (!path.isAbsolute(socketPath)) return expect('unix: with an absolute path')
    if (Buffer.byteLength(socketPath) > SOCKET_PATH_LIMIT)
      return expect(`a socket path of at most ${SOCKET_PATH_LIMIT} bytes`)
    return accept({ host: '', port: 0, socketPath })
  }
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address)
  if (parts === null) return expect('IP:PORT, [IPV6]:PORT, localhost:PORT or unix:/path, then flags')
  const [, bracketed, plain, digits] = parts
  const host = bracketed ?? plain!
  const port = Number(digits)
  if (port > 65_535) return expect('a port 0..65535')
  if (bracketed === undefined ? isIP(host) !== 4 && host !== 'localhost' : !isIPv6(host)) {
    return expect(
      bracketed === undefined
        ? 'an IPv4 address or localhost before the port (0.0.0.0 for all)'
        : 'an IPv6 address in the brackets',
    )
  }
  return accept({ host: host === 'localhost' ? '127.0.0.1' : host, port, socketPath: null })
}

/** Whether both can't be bound at once: the same socket path, or the same port on the same or a wildcard address of one family. */
export function listenersCollide(a: Listener, b: Listener): boolean {
  if (a.socketPath !== null || b.socketPath !== null) return a.socketPath === b.socketPath
  if (a.port !== b.port || a.port === 0 || a.udp !== b.udp) return false
  const [first, second] = [canonicalHost(a.host), canonicalHost(b.host)]
  if (first === second) return true
  const isDual = (listener: Listener): boolean => canonicalHost(listener.host) === '::' && !listener.ipv6Only
  if (isDual(a) || isDual(b)) return true
  if (isIP(first) !== isIP(second)) return false
  return first === '0.0.0.0' || second === '0.0.0.0' || first === '::' || second === '::'
}

/** Whether only this machine can reach it. */
export function isLoopback(listener: Listener): boolean {
  const host = canonicalHost(listener.host)
  return listener.socketPath !== null || host === '::1' || host.startsWith('127.')
}

function canonicalHost(host: string): string {
  // The URL parser writes every IPv6 address in its one shortest form.
  return isIPv6(host) && !host.includes('%') ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host
}
