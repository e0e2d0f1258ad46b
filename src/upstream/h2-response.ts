/** The head of a response from its fields (RFC 9113 8.3.2), as strict as that of HTTP/1.1. */
import { STATUS_CODES } from 'node:http'
import { parseLength } from '#http/fields.ts'
import { DROPPED, PSEUDO, type Field } from '#http/h2/hpack-fields.ts'
import { HeaderList } from '#http/header-list.ts'
import { headerId } from '#http/known-headers.ts'
import { ResponseHead } from '#http/response-head.ts'

/** The head, or what is wrong with it. */
export function readResponse(fields: readonly Field[], method: string, isEnd: boolean): ResponseHead | string {
  const headers = new HeaderList()
  const head = new ResponseHead(headers)
  const first = fields[0]
  if (first === undefined || first.kind !== PSEUDO || first.name !== ':status' || !/^[1-9]\d\d$/.test(first.value))
    return 'the response does not begin with a status'
  head.status = Number(first.value)
  head.reason = STATUS_CODES[head.status] ?? ''
  head.minor = 2
  for (let at = 1; at < fields.length; at++) {
    const { id, name, value, kind } = fields[at]!
    if (kind !== 0) {
      if (kind === DROPPED) continue
      return kind === PSEUDO ? 'an unknown pseudo-field' : 'a bad name or value, or a head over its limit'
    }
    if (FOR_HTTP1.has(id)) return `the field ${name}, which is for HTTP/1.1`
    if (id === CONTENT_LENGTH) {
      if (head.contentLength >= 0) return 'several content-length'
      head.contentLength = parseLength(value, 0, value.length)
      if (head.contentLength < 0) return 'content-length is not a number'
    }
    headers.appendKnown(id, name, value)
  }
  const hasNoBody = isEnd || method === 'HEAD' || head.status < 200 || head.status === 204 || head.status === 304
  if (isEnd && head.contentLength > 0 && method !== 'HEAD' && head.status !== 304)
    return 'content-length of a response without a body'
  // Trailers may follow whatever the length is.
  head.framing = hasNoBody ? 'none' : 'chunked'
  return head
}

const CONTENT_LENGTH = headerId['content-length']
const FOR_HTTP1: ReadonlySet<number> = new Set([
  headerId['connection'],
  headerId['keep-alive'],
  headerId['proxy-connection'],
  headerId['transfer-encoding'],
  headerId['upgrade'],
])
