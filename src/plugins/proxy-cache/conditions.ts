/** What a client asks of a stored response besides the whole of it: only if it changed (RFC 9110 13), only a part (RFC 9110 14). */
import { FieldName, type HeaderList } from '#pdk'

const IF_NONE_MATCH = new FieldName('If-None-Match')
const IF_MODIFIED_SINCE = new FieldName('If-Modified-Since')
const IF_RANGE = new FieldName('If-Range')
const RANGE = new FieldName('Range')
const ETAG = new FieldName('ETag')
const DATE = new FieldName('Date')
const LAST_MODIFIED = new FieldName('Last-Modified')

/** Whether the client has what is stored: it is told 304 (RFC 9110 13.2.2). */
export function isUnchanged(request: HeaderList, stored: HeaderList): boolean {
  const tags = IF_NONE_MATCH.getAll(request)
  if (tags.length > 0) return matchesTag(tags.join(','), ETAG.get(stored))
  const since = IF_MODIFIED_SINCE.get(request)
  if (since === null) return false
  // Without one, when it was made (RFC 9111 4.3.2).
  const modified = LAST_MODIFIED.get(stored) ?? DATE.get(stored)
  if (modified === null) return false
  const sinceMs = Date.parse(since)
  return !Number.isNaN(sinceMs) && Date.parse(modified) <= sinceMs
}

/** The weak comparison (RFC 9110 8.8.3.2). */
function matchesTag(list: string, tag: string | null): boolean {
  if (list.trim() === '*') return true
  if (tag === null) return false
  const opaque = tag.replace(/^W\//, '')
  for (const [one] of list.matchAll(/"[^"]*"/g)) if (one === opaque) return true
  return false
}

/** A part of `length` bytes that was asked for; 'whole' when it is better to answer with everything, null when there is no such part. */
export function rangeOf(
  request: HeaderList,
  stored: HeaderList,
  length: number,
): { readonly from: number; readonly to: number } | 'whole' | null {
  const range = RANGE.get(request)
  if (range === null) return 'whole'
  const condition = IF_RANGE.get(request)
  // The strong comparison for tags, and dates only when they are the same (RFC 9110 13.1.5).
  if (
    condition !== null &&
    !(condition.startsWith('"') ? condition === ETAG.get(stored) : condition === LAST_MODIFIED.get(stored))
  )
    return 'whole'
  // Several parts in one answer may be refused this way (RFC 9110 14.2).
  const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/.exec(range)
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole'
  const [, first = '', last = ''] = match
  if (first === '') {
    const suffix = Number(last)
    return suffix === 0 || length === 0 ? null : { from: Math.max(0, length - suffix), to: length - 1 }
  }
  const from = Number(first)
  const to = last === '' ? length - 1 : Math.min(Number(last), length - 1)
  if (last !== '' && Number(last) < from) return 'whole'
  return from >= length ? null : { from, to }
}

/** What of the fields is about a body that a 304 does not have. */
export function withoutBodyFields(headers: HeaderList): HeaderList {
  for (const name of ['content-type', 'content-encoding', 'content-language', 'content-range', 'accept-ranges'])
    headers.remove(name)
  return headers
}
