/** The head of an upstream's response (RFC 9112 4): the same strictness, because a lenient reading desynchronises the connection. */
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, FieldFacts, parseFields } from './fields.ts'
import { upstreamFailure, type WireFailure } from './failure.ts'
import { HeaderList } from './header-list.ts'

/** How a body is delimited. */
export type Framing = 'none' | 'length' | 'chunked' | 'close'

export class ResponseHead {
  status = 0
  reason = ''
  /** HTTP/1.minor; 2 stands for HTTP/2. */
  minor = 1
  headers: HeaderList
  framing: Framing = 'none'
  /** Bytes of the body when framing is 'length'. For a HEAD request: what Content-Length said, or -1. */
  contentLength = -1
  /** The upstream lets its connection be used again. */
  keepAlive = true
  connection = 0

  constructor(headers: HeaderList) {
    this.headers = headers
  }
}

const VERSION = Buffer.from('HTTP/1.')

/** Parses a whole head in `bytes`, from `start` to behind the empty line at `end`. `method` is the request's, because HEAD has no body. */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  method: string,
  maxFields: number,
): ResponseHead | WireFailure {
  for (let i = 0; i < VERSION.length; i++)
    if (bytes[start + i] !== VERSION[i]) return bad('BAD_STATUS_LINE', 'the status line does not begin with HTTP/1.x')
  const minor = bytes[start + 7]! - 48
  if ((minor !== 0 && minor !== 1) || bytes[start + 8] !== 32)
    return bad('BAD_STATUS_LINE', 'the status line does not begin with HTTP/1.0 or HTTP/1.1')
  const a = bytes[start + 9]! - 48
  const b = bytes[start + 10]! - 48
  const c = bytes[start + 11]! - 48
  if (a < 1 || a > 9 || b < 0 || b > 9 || c < 0 || c > 9)
    return bad('BAD_STATUS_LINE', 'the status is not three digits')
  let pos = start + 12
  let code = bytes[pos]!
  if (code !== 32 && code !== 13) return bad('BAD_STATUS_LINE', 'the status is not followed by a space')
  const reasonStart = code === 32 ? pos + 1 : pos
  while (code === 9 || (code >= 32 && code !== 127)) code = bytes[++pos]!
  if (code !== 13 || bytes[pos + 1] !== 10 || pos >= end) return bad('BAD_STATUS_LINE', 'control byte in the reason')
  const reasonEnd = pos

  const text = bytes.toString('latin1', start, end)
  const spans: number[] = []
  const facts = new FieldFacts()
  if (!parseFields(bytes, text, start, pos + 2, end, spans, facts, maxFields)) return bad('BAD_HEADER', facts.problem)
  const head = new ResponseHead(new HeaderList(text, spans, facts.low, facts.high))
  head.status = a * 100 + b * 10 + c
  head.reason = text.substring(reasonStart - start, reasonEnd - start)
  head.minor = minor
  head.connection = facts.connection
  head.keepAlive =
    (facts.connection & CONNECTION_CLOSE) === 0 && (minor === 1 || (facts.connection & CONNECTION_KEEP_ALIVE) !== 0)
  head.contentLength = facts.contentLength

  // RFC 9112 6.3, in its order.
  if (facts.hasTransferEncoding && facts.contentLength >= 0)
    return bad('BAD_FRAMING', 'both Content-Length and Transfer-Encoding')
  if (facts.hasOtherCoding || (facts.isChunked && minor === 0))
    return bad('BAD_FRAMING', 'a transfer coding other than chunked, or one in HTTP/1.0')
  if (method === 'HEAD' || head.status < 200 || head.status === 204 || head.status === 304) head.framing = 'none'
  else if (facts.isChunked) head.framing = 'chunked'
  else if (facts.contentLength >= 0) head.framing = 'length'
  else {
    head.framing = 'close'
    head.keepAlive = false
  }
  return head
}

function bad(code: 'BAD_STATUS_LINE' | 'BAD_HEADER' | 'BAD_FRAMING', detail: string): WireFailure {
  return upstreamFailure(code, 502, false, detail)
}
