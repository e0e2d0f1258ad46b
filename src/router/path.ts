/**
 * Paths on their way through the gateway: the normal form that routes are matched against, the path sent upstream, and its escaping.
 * Paths are latin1 strings, one character a byte. Rules: Kong's `request_path` and `upstream_uri`.
 */

const PERCENT = 0x25
const DOT = 0x2e
const SLASH = 0x2f

/**
 * The normal form of a request path without query: escapes decoded except those of reserved and control characters, whose digits become
 * upper case, dot segments removed, slashes merged. Never fails: a broken escape stays as it is. A path that is normal already is
 * returned after one scan.
 */
export function normalizePath(rawPath: string): string {
  const { length } = rawPath
  let previous = SLASH
  // The first character is looked at as if it followed a slash, because a leading './' is a dot segment too.
  for (let i = 0; i < length; i++) {
    const code = rawPath.charCodeAt(i)
    const isSuspect = code === PERCENT || (previous === SLASH && (code === DOT || (code === SLASH && i > 0)))
    if (isSuspect) return removeDotSegments(decodeEscapes(rawPath))
    previous = code
  }
  return rawPath
}

export interface UpstreamPathInput {
  /** The service's path, null for '/'. */
  readonly servicePath: string | null
  /** What the route matched of the path, null for a route without paths. */
  readonly matchedPath: string | null
  readonly stripPath: boolean
  /** The normal form of the request's path. */
  readonly requestPath: string
  /** 'v1' has effect in the traditional flavor only: the caller passes 'v0' in the others. */
  readonly pathHandling: 'v0' | 'v1'
}

/** The path for the upstream, not yet escaped. */
export function upstreamPath(input: UpstreamPathInput): string {
  const { matchedPath, stripPath, requestPath } = input
  const base = input.servicePath ?? '/'
  const endsInSlash = base.charCodeAt(base.length - 1) === SLASH
  if (!stripPath) {
    if (endsInSlash || input.pathHandling === 'v1') return base + requestPath.slice(1)
    return requestPath === '/' ? base : base + requestPath
  }
  const postfix = sanitizePostfix(requestPath.slice(matchedPath === null ? 1 : matchedPath.length))
  const startsWithSlash = postfix.charCodeAt(0) === SLASH
  if (endsInSlash && startsWithSlash) return base.slice(0, -1) + postfix
  if (input.pathHandling === 'v1') return base + postfix
  if (postfix !== '') return endsInSlash || startsWithSlash ? base + postfix : `${base}/${postfix}`
  // Everything was matched: the request's trailing slash decides, except that the root has no other form.
  const wantsSlash = requestPath.length > 1 && requestPath.charCodeAt(requestPath.length - 1) === SLASH
  if (endsInSlash) return base === '/' || wantsSlash || requestPath === '/' ? base : base.slice(0, -1)
  return wantsSlash ? `${base}/` : base
}

const UNSAFE = /[^!#$&'()*+,/:;=?@[\]A-Za-z0-9\-_.~%]/u
const UNSAFE_ALL = new RegExp(UNSAFE.source, 'gu')

/** Percent-encodes what may not stand in a request line; text beyond latin1 is taken as UTF-8. */
export function escapeUpstreamPath(path: string): string {
  return UNSAFE.test(path) ? path.replace(UNSAFE_ALL, escapeCharacter) : path
}

/** What is left after stripping must not start with a dot segment: joined to the service's path it could climb out of it. */
function sanitizePostfix(postfix: string): string {
  if (postfix.charCodeAt(0) !== DOT) return postfix
  if (postfix === '.' || postfix === '..') return ''
  if (postfix.startsWith('./')) return postfix.slice(2)
  return postfix.startsWith('../') ? postfix.slice(3) : postfix
}

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0)
  if (code <= 0xff) return `%${code < 16 ? '0' : ''}${code.toString(16).toUpperCase()}`
  return encodeURIComponent(character.toWellFormed())
}

/** Decodes the escapes that the normal form of a path does not have. */
export function decodeEscapes(path: string): string {
  return path.replace(/%[0-9A-Fa-f]{2}/g, decodeEscape)
}

/**
 * Decoding RFC 3986's reserved characters would change what the path means. Control characters stay encoded, unlike in Kong, because the
 * matched part of a path is sent in a header, where a decoded line break would begin another one.
 */
const RESERVED = "!*'();:@&=+$,/?%#[]"

function decodeEscape(escape: string): string {
  const code = Number.parseInt(escape.slice(1), 16)
  const character = String.fromCharCode(code)
  return code < 0x20 || code === 0x7f || RESERVED.includes(character) ? escape.toUpperCase() : character
}

/** RFC 3986 section 5.2.4, merging slashes on the way: '/a//../b' is '/b', because the empty segment does not count. */
function removeDotSegments(path: string): string {
  const segments: string[] = []
  let at = 0
  while (at < path.length) {
    const end = path.indexOf('/', at + 1)
    const next = end < 0 ? path.length : end
    const from = path.charCodeAt(at) === SLASH ? at + 1 : at
    const segment = path.slice(from, next)
    const isLast = end < 0
    if (segment === '.' || segment === '..') {
      if (segment === '..') segments.pop()
      // A final dot segment leaves the slash before it, '/a/..' is '/'; a relative one leaves nothing.
      if (isLast && from > at) segments.push('/')
      // '../a' loses its dots and their slash.
      if (from === at) {
        at = next + 1
        continue
      }
    } else if (segment !== '' || isLast) segments.push(path.slice(at, next))
    at = next
  }
  return segments.join('')
}
