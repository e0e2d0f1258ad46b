/**
 * Writes header blocks from heads as HTTP/1.1 has them: what the gateway says to a peer is decided in one place for all versions, and
 * this only changes its form. Fields are literals that enter no table (RFC 7541 6.2.2): nothing has to be remembered for a
 * connection, and no secret can be guessed from sizes.
 */
import { staticNames } from './hpack-fields.ts'

const { fromCharCode } = String

/** Of a name as it is written: the field up to its value; null where RFC 9113 8.2.2 forbids the field. */
const prefixes = new Map<string, string | null>()
/** Names come from upstreams and clients, too. */
const MAX_PREFIXES = 2000

const FORBIDDEN = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])
/** Never to be indexed, also not by those who pass them on (RFC 7541 7.1.3). */
const SECRET = new Set(['authorization', 'cookie', 'set-cookie', 'proxy-authorization'])

/** Before the first block: the peer's table for us stays empty, whatever size it offers (RFC 7541 4.2). */
export const NO_TABLE = ' '

/** The block of a response's head, which begins with `HTTP/1.1 nnn` and ends with an empty line. */
export function encodeResponseHead(head: string): string {
  return statusField(head.substring(9, 12)) + encodeLines(head, head.indexOf('\r\n') + 2, '')
}

/** The block of a request's head, which begins with `METHOD target HTTP/1.1` and has its Host in the next line. */
export function encodeRequestHead(head: string, scheme: 'http' | 'https'): string {
  const space = head.indexOf(' ')
  const lineEnd = head.indexOf('\r\n')
  const method = head.substring(0, space)
  const path = head.substring(space + 1, lineEnd - 9)
  const hostEnd = head.indexOf('\r\n', lineEnd + 2)
  const block = method === 'POST' ? '\x83' : method === 'GET' ? '\x82' : '\x02' + text(method)
  return (
    block +
    (scheme === 'https' ? '\x87' : '\x86') +
    (path === '/' ? '\x84' : '\x04' + text(path)) +
    '\x01' +
    text(head.substring(lineEnd + 8, hostEnd)) +
    encodeLines(head, hostEnd + 2, '')
  )
}

/** The block of trailers. */
export function encodeFields(fields: Iterable<readonly [name: string, value: string]>): string {
  let block = ''
  for (const [name, value] of fields) {
    const prefix = prefixOf(name)
    if (prefix !== null) block += prefix + text(value)
  }
  return block
}

function encodeLines(head: string, from: number, start: string): string {
  let block = start
  let pos = from
  for (;;) {
    const end = head.indexOf('\r\n', pos)
    if (end <= pos) return block
    const colon = head.indexOf(':', pos)
    const prefix = prefixOf(head.substring(pos, colon))
    if (prefix !== null) block += prefix + text(head.substring(colon + 2, end))
    pos = end + 2
  }
}

const STATUS_INDEX: Readonly<Record<string, number>> = { 200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14 }

function statusField(status: string): string {
  const index = STATUS_INDEX[status]
  return index === undefined ? '\x08' + text(status) : fromCharCode(128 | index)
}

function prefixOf(name: string): string | null {
  let prefix = prefixes.get(name)
  if (prefix === undefined) {
    if (prefixes.size >= MAX_PREFIXES) prefixes.clear()
    // Flat copies: a part of a head would keep the whole head alive.
    prefixes.set(Buffer.from(name, 'latin1').toString('latin1'), (prefix = makePrefix(name.toLowerCase())))
  }
  return prefix
}

function makePrefix(name: string): string | null {
  if (FORBIDDEN.has(name)) return null
  const first = SECRET.has(name) ? 0x10 : 0
  const index = staticNames.get(name)
  return Buffer.from(
    index === undefined ? fromCharCode(first) + text(name) : integer(first, 4, index),
    'latin1',
  ).toString('latin1')
}

function integer(first: number, prefixBits: number, value: number): string {
  const mask = (1 << prefixBits) - 1
  if (value < mask) return fromCharCode(first | value)
  let out = fromCharCode(first | mask)
  let rest = value - mask
  for (; rest >= 128; rest = Math.floor(rest / 128)) out += fromCharCode(128 | (rest % 128))
  return out + fromCharCode(rest)
}

/** Without the Huffman code, whose saving of bytes costs more than it brings between a gateway and its clients. */
function text(value: string): string {
  const { length } = value
  return (length < 127 ? SHORT_LENGTHS[length]! : integer(0, 7, length)) + value
}

const SHORT_LENGTHS = Array.from({ length: 127 }, (_, length) => fromCharCode(length))
