import { isUtf8 } from 'node:buffer'

/** RFC 3986 section 2.2: characters whose encoded and plain forms differ in meaning; they stay encoded. */
const RESERVED = new Set(Buffer.from(":/?#[]@!$&'()*+,;=%"))

/**
 * The path in the normal form against which routes are matched: percent-encoding undone except for reserved and control characters
 * (whose digits become upper-case) and for bytes that are no UTF-8, dot segments removed, slashes merged. Expects well-formed
 * percent-encoding.
 */
export function normalizePath(path: string): string {
  const decoded = path.includes('%') ? decodeUnreserved(path) : path
  if (!decoded.includes('.') && !decoded.includes('//')) return decoded
  return removeDotSegments(decoded.replaceAll(/\/{2,}/g, '/'))
}

function decodeUnreserved(path: string): string {
  const decoded = decodeBytes(path, 0xff)
  return (isUtf8(decoded) ? decoded : decodeBytes(path, 0x7f)).toString()
}

/** The path as bytes, with the escapes decoded that stand for an unreserved byte up to `highest`. */
function decodeBytes(path: string, highest: number): Buffer {
  const parts = path.split(/(%[0-9A-Fa-f]{2})/)
  return Buffer.concat(
    parts.map((part, index) => {
      if (index % 2 === 0) return Buffer.from(part)
      const code = Number.parseInt(part.slice(1), 16)
      const staysEncoded = code < 0x20 || code === 0x7f || code > highest || RESERVED.has(code)
      return staysEncoded ? Buffer.from(part.toUpperCase()) : Buffer.of(code)
    }),
  )
}

/** RFC 3986 section 5.2.4. */
function removeDotSegments(path: string): string {
  const kept: string[] = []
  const segments = path.split('/').slice(1)
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1
    if (segment === '..') kept.pop()
    if (segment === '.' || segment === '..') {
      if (isLast) kept.push('')
    } else kept.push(segment)
  })
  return `/${kept.join('/')}`
}
