/** The head of a request (RFC 9112 3): strict where leniency is an attack. */
import { FieldFacts, CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, parseFields } from './fields.ts'
import { clientFailure, type WireFailure } from './failure.ts'
import { HeaderList } from './header-list.ts'
import { headerId } from './known-headers.ts'

export interface HeadLimits {
  /** Bytes of the request line; longer ones get 414. */
  readonly requestLineBytes: number
  /** Bytes of the whole head; longer ones get 400 (as nginx) or 431. */
  readonly headBytes: number
  readonly fields: number
}

export class RequestHead {
  method = ''
  /** Path as received, without query, '/' when an absolute target has none. */
  rawPath = ''
  /** Query without '?', null when the target has none. */
  query: string | null = null
  /** HTTP/1.minor. */
  minor = 1
  headers: HeaderList
  /** Host header as received; in HTTP/1.0 without one the authority of an absolute target, else ''. */
  host = ''
  contentLength = -1
  isChunked = false
  keepAlive = true
  /** CONNECTION_* bits. */
  connection = 0
  hasUpgrade = false
  expectsContinue = false
  /** The path is in normal form; it has only bytes that go to the upstream as they are. */
  isPathNormal = false
  isPathPlain = false
  /** Of a stream of HTTP/2; `minor` is then 1, because all that HTTP/1.1 can do is there, too. */
  isHttp2 = false

  constructor(headers: HeaderList) {
    this.headers = headers
  }
}

/** Letters, digits(not nginx, but registered methods have none), '-' and '_' in upper case: what nginx takes as a method. */
const METHOD = new Uint8Array(256)
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ-_') METHOD[c.charCodeAt(0)] = 1

/** Bytes of a target: no controls, no space; bytes over 0x7f pass as nginx passes them (Kong matches on them). '#' never belongs there. */
const TARGET = new Uint8Array(256)
for (let c = 0x21; c < 0x100; c++) if (c !== 0x7f) TARGET[c] = 1

/** Bytes of a Host: what reg-name, IPv6 literals and ports need (RFC 3986 3.2.2). */
const HOST = new Uint8Array(256)
for (const c of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=%:[]")
  HOST[c.charCodeAt(0)] = 1

/** What the bytes of a target tell about the path in one pass, so that later steps need not look again. */
const NORMAL = 1
const PLAIN = 2
/** Classes of TARGET: allowed in a request line at all; of these, the ones that never need escaping towards the upstream. */
for (const c of "!#$&'()*+,/:;=?@[]-_.~%ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
  TARGET[c.charCodeAt(0)] = 2

/** Parses a whole head in `bytes`, from the request line at `start` to behind the empty line at `end`. */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
): RequestHead | WireFailure {
  let pos = start
  let code = bytes[pos]!
  while (METHOD[code] === 1) code = bytes[++pos]!
  if (pos === start || code !== 32)
    return clientFailure(
      'BAD_METHOD',
      400,
      'the request line does not begin with a method in capital letters and a space',
    )
  const methodLength = pos - start
  const targetStart = ++pos
  let questionMark = -1
  let flags = NORMAL | PLAIN
  let previous = 0
  code = bytes[pos]!
  for (let kind = TARGET[code]!; kind !== 0; kind = TARGET[code]!) {
    if (questionMark < 0) {
      if (code === 63) questionMark = pos
      else if (kind === 1) flags &= ~PLAIN
      else if (code === 37 || (previous === 47 && (code === 47 || code === 46))) flags &= ~NORMAL
    }
    previous = code
    code = bytes[++pos]!
  }
  const targetEnd = pos
  if (code !== 32 || targetEnd === targetStart || targetEnd > end)
    return clientFailure('BAD_TARGET', 400, 'bad byte in the target')
  const minor = readVersion(bytes, pos + 1)
  if (typeof minor !== 'number') return minor
  if (targetEnd + 11 - start > limits.requestLineBytes)
    return clientFailure('URI_TOO_LONG', 414, 'request line over its limit')

  const text = bytes.toString('latin1', start, end)
  const spans: number[] = []
  const facts = new FieldFacts()
  if (!parseFields(bytes, text, start, pos + 11, end, spans, facts, limits.fields))
    return clientFailure('BAD_HEADER', 400, facts.problem)
  const head = new RequestHead(new HeaderList(text, spans, facts.low, facts.high))
  head.method = methodName(text, methodLength)
  head.minor = minor
  head.isPathNormal = (flags & NORMAL) !== 0
  head.isPathPlain = (flags & PLAIN) !== 0
  return (
    readTarget(head, text, targetStart - start, targetEnd - start, questionMark < 0 ? -1 : questionMark - start) ??
    readFraming(head, facts) ??
    head
  )
}

/** What can be said about a head that is not complete: so that garbage is answered at once and not after the time-out. */
export function problemOfPart(bytes: Buffer, pos: number, size: number, limits: HeadLimits): WireFailure | null {
  const line = bytes.indexOf(10, pos)
  const lineSize = line < 0 ? size : line - pos + 1
  if (lineSize > limits.requestLineBytes) return clientFailure('URI_TOO_LONG', 414, 'request line over its limit')
  if (size > limits.headBytes) return clientFailure('HEADER_TOO_LARGE', 400, 'head over its limit')
  const first = bytes[pos]!
  if ((first < 65 || first > 90) && first !== 13 && first !== 45 && first !== 95)
    return clientFailure('BAD_METHOD', 400, 'the first byte is none of a method')
  for (let at = line; at >= 0; at = bytes.indexOf(10, at + 1)) {
    if (at === pos || bytes[at - 1] !== 13) return clientFailure('BAD_HEADER', 400, 'a line ends with a bare LF')
  }
  return null
}

/** The minor version of `HTTP/1.x` with CRLF at `pos`, or the failure. */
function readVersion(bytes: Buffer, pos: number): number | WireFailure {
  // 'HTTP'
  if (
    bytes[pos] !== 72 ||
    bytes[pos + 1] !== 84 ||
    bytes[pos + 2] !== 84 ||
    bytes[pos + 3] !== 80 ||
    bytes[pos + 4] !== 47 ||
    bytes[pos + 6] !== 46
  ) {
    return clientFailure('BAD_VERSION', 400, 'the request line does not end with HTTP/1.x')
  }
  if (bytes[pos + 5] !== 49) return clientFailure('BAD_VERSION', 505, 'HTTP version is not 1.x')
  const minor = bytes[pos + 7]! - 48
  if ((minor !== 0 && minor !== 1) || bytes[pos + 8] !== 13 || bytes[pos + 9] !== 10) {
    return clientFailure('BAD_VERSION', 400, 'the request line does not end with HTTP/1.0 or HTTP/1.1')
  }
  return minor
}

const COMMON_METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'PATCH', 'DELETE', 'OPTIONS'] as const

/** The method; common ones as one constant, which makes looking them up cheap. */
function methodName(text: string, length: number): string {
  for (let i = 0; i < COMMON_METHODS.length; i++) {
    const method = COMMON_METHODS[i]!
    if (method.length === length && text.startsWith(method)) return method
  }
  return text.substring(0, length)
}

function readTarget(
  head: RequestHead,
  text: string,
  start: number,
  end: number,
  questionMark: number,
): WireFailure | null {
  const first = text.charCodeAt(start)
  if (head.method === 'CONNECT') return clientFailure('METHOD_NOT_ALLOWED', 405, 'CONNECT is not served')
  if (head.method === 'TRACE') return clientFailure('METHOD_NOT_ALLOWED', 405, 'TRACE is not served')
  let pathStart = start
  if (first !== 47) {
    if (first === 42 && end === start + 1 && head.method === 'OPTIONS') {
      head.rawPath = '*'
      return null
    }
    const scheme = /^https?:\/\//i.exec(text.substring(start, start + 8))
    if (scheme === null)
      return clientFailure('BAD_TARGET', 400, 'the target is neither a path nor an absolute http(s) URI')
    pathStart = start + scheme[0].length
    while (pathStart < end && text.charCodeAt(pathStart) !== 47 && text.charCodeAt(pathStart) !== 63) pathStart++
    const authority = text.substring(start + scheme[0].length, pathStart)
    if (!isHost(authority)) return clientFailure('BAD_TARGET', 400, 'bad authority in an absolute target')
    // RFC 9112 3.2.2: the authority wins over Host; that both differ is how requests are smuggled past rules on the host.
    const host = head.headers.getKnown(headerId['host'])
    if (host !== null && host.toLowerCase() !== authority.toLowerCase())
      return clientFailure('BAD_HOST', 400, 'Host differs from the authority of the target')
    head.host = authority
  }
  const pathEnd = questionMark < 0 ? end : questionMark
  // As nginx: an escape that is none, or of NUL, can't be matched against anything.
  if (!head.isPathNormal && /%(?![0-9A-Fa-f]{2})|%00/.test(text.substring(pathStart, pathEnd)))
    return clientFailure('BAD_TARGET', 400, 'bad escape in the path')
  head.rawPath = pathEnd > pathStart ? text.substring(pathStart, pathEnd) : '/'
  if (questionMark >= 0) head.query = text.substring(questionMark + 1, end)
  return null
}

function readFraming(head: RequestHead, facts: FieldFacts): WireFailure | null {
  head.connection = facts.connection
  head.hasUpgrade = facts.hasUpgrade
  if (facts.hostCount !== 1) {
    if (facts.hostCount > 1) return clientFailure('BAD_HOST', 400, 'several Host fields')
    if (head.minor === 1) return clientFailure('BAD_HOST', 400, 'no Host field (RFC 9112 3.2)')
  } else if (!isHost(facts.host)) return clientFailure('BAD_HOST', 400, 'Host is empty or has a byte that no host has')
  else head.host = facts.host
  if (facts.hasTransferEncoding) {
    if (facts.contentLength >= 0)
      return clientFailure('BAD_FRAMING', 400, 'both Content-Length and Transfer-Encoding (RFC 9112 6.1)')
    if (head.minor === 0) return clientFailure('BAD_FRAMING', 400, 'Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1)')
    if (facts.hasOtherCoding) return clientFailure('NOT_IMPLEMENTED', 501, 'a transfer coding other than chunked')
    head.isChunked = true
  }
  head.contentLength = facts.contentLength
  if (facts.hasExpect) {
    if (head.headers.getKnown(headerId['expect'])!.toLowerCase() !== '100-continue')
      return clientFailure('EXPECTATION_FAILED', 417, 'an expectation other than 100-continue')
    head.expectsContinue = head.minor === 1
  }
  head.keepAlive =
    (facts.connection & CONNECTION_CLOSE) === 0 &&
    (head.minor === 1 || (facts.connection & CONNECTION_KEEP_ALIVE) !== 0)
  return null
}

export function isHost(host: string): boolean {
  const { length } = host
  if (length === 0) return false
  for (let i = 0; i < length; i++) if (HOST[host.charCodeAt(i)] !== 1) return false
  return true
}

export function isMethod(method: string): boolean {
  const { length } = method
  for (let i = 0; i < length; i++) if (METHOD[method.charCodeAt(i)] !== 1) return false
  return length > 0
}

/** Takes a target that is a path, or `*` of OPTIONS, apart, as `parseRequestHead` does; answers what is wrong with it. */
export function readPathTarget(head: RequestHead, target: string): WireFailure | null {
  let questionMark = -1
  let flags = NORMAL | PLAIN
  let previous = 0
  const { length } = target
  for (let i = 0; i < length; i++) {
    const code = target.charCodeAt(i)
    const kind = TARGET[code]!
    if (kind === 0) return clientFailure('BAD_TARGET', 400, 'bad byte in the target')
    if (questionMark < 0) {
      if (code === 63) questionMark = i
      else if (kind === 1) flags &= ~PLAIN
      else if (code === 37 || (previous === 47 && (code === 47 || code === 46))) flags &= ~NORMAL
    }
    previous = code
  }
  head.isPathNormal = (flags & NORMAL) !== 0
  head.isPathPlain = (flags & PLAIN) !== 0
  if (target.charCodeAt(0) !== 47 && (target !== '*' || head.method !== 'OPTIONS'))
    return clientFailure('BAD_TARGET', 400, 'the target is no path')
  const path = questionMark < 0 ? target : target.substring(0, questionMark)
  if (!head.isPathNormal && /%(?![0-9A-Fa-f]{2})|%00/.test(path))
    return clientFailure('BAD_TARGET', 400, 'bad escape in the path')
  head.rawPath = path
  if (questionMark >= 0) head.query = target.substring(questionMark + 1)
  return null
}
