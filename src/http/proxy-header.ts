/**
 * The header of the PROXY protocol, versions 1 and 2 (HAProxy's specification of 2020/03/05): read where a load balancer says who
 * its client is, and written where we are the load balancer. What version 2 has besides addresses (TLVs) is passed over.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'

/** The two ends of the client's connection. */
export interface ProxiedAddresses {
  readonly sourceIp: string
  readonly sourcePort: number
  readonly destinationIp: string
  readonly destinationPort: number
}

export type ReadProxyHeader =
  /** More bytes are needed. */
  | { readonly state: 'incomplete' }
  | { readonly state: 'invalid'; readonly reason: string }
  /** `addresses` is null where the header says nothing of a client: LOCAL, UNKNOWN, other families. */
  | { readonly state: 'read'; readonly size: number; readonly addresses: ProxiedAddresses | null }

/** The longest line of version 1 with its CRLF (section 2.1). */
const V1_BYTES_MAX = 107
/** Addresses of version 2 need 216 at most; the rest is for TLVs, such as the 256 bytes that clouds send. */
const V2_BYTES_MAX = 4096
const V1_START = Buffer.from('PROXY ')
const V2_START = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
const V2_HEAD_BYTES = 16
const TCP4 = 0x11
const TCP6 = 0x21

const INCOMPLETE: ReadProxyHeader = { state: 'incomplete' }
const invalid = (reason: string): ReadProxyHeader => ({ state: 'invalid', reason })

/** `bytes`: everything that came so far. */
export function readProxyHeader(bytes: Buffer): ReadProxyHeader {
  if (startsLike(bytes, V2_START)) return bytes.length < V2_HEAD_BYTES ? INCOMPLETE : readBinary(bytes)
  if (startsLike(bytes, V1_START)) return readLine(bytes)
  return invalid('no header of the PROXY protocol')
}

/** Whether the bytes are the beginning of `start`, or begin with it. */
function startsLike(bytes: Buffer, start: Buffer): boolean {
  const size = Math.min(bytes.length, start.length)
  return bytes.compare(start, 0, size, 0, size) === 0
}

function readLine(bytes: Buffer): ReadProxyHeader {
  const end = bytes.subarray(0, V1_BYTES_MAX).indexOf('\r\n')
  if (end < 0) return bytes.length < V1_BYTES_MAX ? INCOMPLETE : invalid('a line over 107 bytes')
  const size = end + 2
  const line = bytes.latin1Slice(V1_START.length, end)
  // What follows UNKNOWN is not looked at (section 2.1).
  if (line === 'UNKNOWN' || line.startsWith('UNKNOWN ')) return { state: 'read', size, addresses: null }
  const [family, sourceIp = '', destinationIp = '', sourcePort = '', destinationPort = '', ...rest] = line.split(' ')
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : null
  if (isAddress === null || rest.length > 0) return invalid('expected TCP4, TCP6 or UNKNOWN with its addresses')
  if (!isAddress(sourceIp) || !isAddress(destinationIp)) return invalid(`expected addresses of ${family}`)
  const ports = [portOf(sourcePort), portOf(destinationPort)] as const
  if (ports[0] < 0 || ports[1] < 0) return invalid('expected ports 0..65535')
  const addresses = {
    sourceIp: shortAddress(sourceIp),
    sourcePort: ports[0],
    destinationIp: shortAddress(destinationIp),
    destinationPort: ports[1],
  }
  return { state: 'read', size, addresses }
}

/** A zone is of the machine that wrote it. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%')
}

function portOf(text: string): number {
  const port = /^(?:0|[1-9]\d{0,4})$/.test(text) ? Number(text) : -1
  return port > 65_535 ? -1 : port
}

function readBinary(bytes: Buffer): ReadProxyHeader {
  const command = bytes[12]!
  const family = bytes[13]!
  const size = V2_HEAD_BYTES + bytes.readUInt16BE(14)
  if (command !== 0x20 && command !== 0x21) return invalid('expected version 2 with LOCAL or PROXY')
  if (size > V2_BYTES_MAX) return invalid(`a header over ${V2_BYTES_MAX} bytes`)
  const addressBytes = family === TCP4 ? 4 : family === TCP6 ? 16 : 0
  if (command === 0x21 && size < V2_HEAD_BYTES + 2 * addressBytes + (addressBytes === 0 ? 0 : 4))
    return invalid('a header too short for its addresses')
  if (bytes.length < size) return INCOMPLETE
  if (command === 0x20 || addressBytes === 0) return { state: 'read', size, addresses: null }
  const address = (at: number) => addressFrom(bytes.subarray(at, at + addressBytes))
  const ports = V2_HEAD_BYTES + 2 * addressBytes
  const addresses = {
    sourceIp: address(V2_HEAD_BYTES),
    sourcePort: bytes.readUInt16BE(ports),
    destinationIp: address(V2_HEAD_BYTES + addressBytes),
    destinationPort: bytes.readUInt16BE(ports + 2),
  }
  return { state: 'read', size, addresses }
}

function addressFrom(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(2 * group).toString(16))
  return shortAddress(groups.join(':'))
}

/** As the system writes addresses of sockets: IPv6 in its shortest form, and one that stands for an IPv4 address as that. */
function shortAddress(ip: string): string {
  if (isIP(ip) === 4) return ip
  const short = new URL(`http://[${ip}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? []
  if (high === undefined || low === undefined) return short
  const [left, right] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return [left >> 8, left & 255, right >> 8, right & 255].join('.')
}

/** Addresses of different families, or none at all (a Unix socket), are written as 'nothing is known'. */
export function writeProxyHeader(version: 1 | 2, addresses: ProxiedAddresses): Buffer {
  const { sourceIp, sourcePort, destinationIp, destinationPort } = addresses
  const family = isIP(sourceIp) === isIP(destinationIp) ? isIP(sourceIp) : 0
  if (version === 1) {
    if (family === 0) return Buffer.from('PROXY UNKNOWN\r\n')
    return Buffer.from(`PROXY TCP${family} ${sourceIp} ${destinationIp} ${sourcePort} ${destinationPort}\r\n`)
  }
  const parts = family === 0 ? [] : [bytesOf(sourceIp), bytesOf(destinationIp), portBytes(sourcePort, destinationPort)]
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(4)
  head[0] = family === 0 ? 0x20 : 0x21
  head[1] = family === 4 ? TCP4 : family === 6 ? TCP6 : 0
  head.writeUInt16BE(body.length, 2)
  return Buffer.concat([V2_START, head, body])
}

function bytesOf(ip: string): Buffer {
  if (isIP(ip) === 4) return Buffer.from(ip.split('.').map(Number))
  const hostname = new URL(`http://[${ip.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
  const [left = '', right] = hostname.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const [before, after] = [groups(left), groups(right ?? '')]
  const bytes = Buffer.alloc(16)
  before.forEach((group, at) => bytes.writeUInt16BE(group, 2 * at))
  after.forEach((group, at) => bytes.writeUInt16BE(group, 16 - 2 * (after.length - at)))
  return bytes
}

function portBytes(source: number, destination: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16BE(source, 0)
  bytes.writeUInt16BE(destination, 2)
  return bytes
}
