/** RFC 3986 section 2.2: characters whose encoded and plain forms differ in meaning; they stay encoded. */
const RESERVED = new Set(Buffer.from(":/?#[]@!$&'()*+,;=%"))

/**
 * The path in the normal form against which routes are matched: percent-encoding undone except for reserved characters (whose
 * digits become upper-case), dot segments removed, slashes merged. Expects well-formed percent-encoding.
 */
export function normalizePath(path: string): string {
  const decoded = path.includes('%') ? decodeUnreserved(path) : path
  if (!decoded.includes('.') && !decoded.includes('//')) return decoded
  return removeDotSegments(decoded.replaceAll(/\/{2,}/g, '/'))
}

function decodeUnreserved(path: string): string {
  const bytes: number[] = []
  for (let i = 0; i < path.length;) {
    const code = path[i] === '%' ? Number.parseInt(path.slice(i + 1, i + 3), 16) : -1
    if (code < 0) {
      const character = String.fromCodePoint(path.codePointAt(i)!)
      bytes.push(...Buffer.from(character))
      i += character.length
    } else {
      bytes.push(...(RESERVED.has(code) ? Buffer.from(path.slice(i, i + 3).toUpperCase()) : [code]))
      i += 3
    }
  }
  return Buffer.from(bytes).toString()
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
