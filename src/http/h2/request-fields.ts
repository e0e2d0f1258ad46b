/**
 * The head of a request from its fields (RFC 9113 8.3.1). What could say something else to a peer that speaks HTTP/1.1 than it says
 * here is refused: the request may go on in that form.
 */
import { parseLength } from '../fields.ts'
import { clientFailure, type WireFailure } from '../failure.ts'
import { HeaderList } from '../header-list.ts'
import { headerId } from '../known-headers.ts'
import { isHost, isMethod, readPathTarget, RequestHead } from '../request-head.ts'
import { DROPPED, PSEUDO, TOO_MANY, type Field } from './hpack-fields.ts'

/** A failure that is answered by a reset and not by a status: the message is malformed (RFC 9113 8.1.1). */
export interface Malformed {
  readonly malformed: string
}

export function readRequest(
  fields: readonly Field[],
  isEnd: boolean,
  requestLineBytes: number,
): RequestHead | WireFailure | Malformed {
  const headers = new HeaderList()
  const head = new RequestHead(headers)
  head.isHttp2 = true
  let method: string | null = null
  let path: string | null = null
  let scheme: string | null = null
  let authority: string | null = null
  let cookie: string | null = null
  let hosts = 0
  let isTooMany = false
  let at = 0
  for (; at < fields.length; at++) {
    const { name, value, kind } = fields[at]!
    if (kind !== PSEUDO) break
    if (name === ':method' && method === null) method = value
    else if (name === ':path' && path === null) path = value
    else if (name === ':scheme' && scheme === null) scheme = value
    else if (name === ':authority' && authority === null) authority = value
    else return { malformed: `the field ${name} is unknown or comes twice` }
  }
  for (; at < fields.length; at++) {
    const field = fields[at]!
    const { id, name, value, kind } = field
    if (kind !== 0) {
      if (kind === DROPPED) continue
      if (field === TOO_MANY) {
        isTooMany = true
        continue
      }
      return { malformed: kind === PSEUDO ? 'a pseudo-field behind other fields' : 'a bad name or value' }
    }
    if (id > 0 && id <= LAST_HOP_ID) {
      switch (id) {
        case CONNECTION:
        case KEEP_ALIVE:
        case PROXY_CONNECTION:
        case TRANSFER_ENCODING:
        case UPGRADE:
          return { malformed: `the field ${name}, which is for HTTP/1.1` }
        case TE:
          if (value !== 'trailers') return { malformed: 'TE is not trailers' }
          break
        case HOST:
          hosts++
          head.host = value
          break
        case CONTENT_LENGTH:
          if (head.contentLength >= 0) return { malformed: 'several content-length' }
          head.contentLength = parseLength(value, 0, value.length)
          if (head.contentLength < 0) return { malformed: 'content-length is not a number' }
          break
        case EXPECT:
          if (value.toLowerCase() !== '100-continue')
            return clientFailure('EXPECTATION_FAILED', 417, 'an expectation other than 100-continue')
          head.expectsContinue = true
      }
    }
    if (id === COOKIE) {
      // RFC 9113 8.2.3: its pieces are one field for everybody else.
      cookie = cookie === null ? value : cookie + '; ' + value
      continue
    }
    headers.appendKnown(id, name, value)
  }
  if (cookie !== null) headers.appendKnown(COOKIE, 'cookie', cookie)
  if (method === null) return { malformed: 'no :method' }
  head.method = method
  if (method === 'CONNECT') return clientFailure('METHOD_NOT_ALLOWED', 405, 'CONNECT is not served')
  if (path === null || path === '' || scheme === null) return { malformed: 'no :path or no :scheme' }
  if (isEnd && head.contentLength > 0) return { malformed: 'content-length of a request without a body' }
  if (isTooMany) return clientFailure('HEADER_TOO_LARGE', 400, 'head over its limit')
  if (!isMethod(method)) return clientFailure('BAD_METHOD', 400, 'the method is not in capital letters')
  if (method === 'TRACE') return clientFailure('METHOD_NOT_ALLOWED', 405, 'TRACE is not served')
  if (scheme !== 'http' && scheme !== 'https') return clientFailure('BAD_TARGET', 400, 'a scheme other than http(s)')
  if (hosts > 1) return clientFailure('BAD_HOST', 400, 'several Host fields')
  if (authority !== null) {
    // RFC 9113 8.3.1; that both differ is how requests are smuggled past rules on the host.
    if (hosts === 1 && head.host.toLowerCase() !== authority.toLowerCase())
      return clientFailure('BAD_HOST', 400, 'host differs from :authority')
    if (hosts === 0) headers.appendKnown(HOST, 'host', authority)
    head.host = authority
  }
  if (!isHost(head.host)) return clientFailure('BAD_HOST', 400, 'no host, or a byte that no host has')
  if (method.length + path.length + REQUEST_LINE_REST > requestLineBytes)
    return clientFailure('URI_TOO_LONG', 414, 'request line over its limit')
  head.isChunked = !isEnd && head.contentLength < 0
  return readPathTarget(head, path) ?? head
}

/** Trailers as a list; null when they are malformed: those for framing, routing or the connection have no business there (RFC 9110 6.5.1). */
export function readTrailers(fields: readonly Field[]): HeaderList | null {
  const list = new HeaderList()
  for (const { id, name, value, kind } of fields) {
    if (kind === DROPPED) continue
    if (kind !== 0 || (id > 0 && id <= LAST_HOP_ID)) return null
    list.appendKnown(id, name, value)
  }
  return list
}

/** What HTTP/1.1 needs besides method and path. */
const REQUEST_LINE_REST = 12

const { host: HOST, connection: CONNECTION, expect: EXPECT, upgrade: UPGRADE, te: TE, cookie: COOKIE } = headerId
const CONTENT_LENGTH = headerId['content-length']
const TRANSFER_ENCODING = headerId['transfer-encoding']
const KEEP_ALIVE = headerId['keep-alive']
const PROXY_CONNECTION = headerId['proxy-connection']
/** Ids up to this one (see the order in `known-headers.ts`) say something about framing or the connection. */
const LAST_HOP_ID = headerId['proxy-connection']
