/** Entity tags of what is compressed here (RFC 9110 8.8.3). */
import { FieldName, type Exchange, type HeaderList } from '#pdk'

const ETAG = new FieldName('ETag')
const IF_NONE_MATCH = new FieldName('If-None-Match')
const STRONG = /^"[^"]*"$/

/** The bytes are others now, though they mean the same: a strong tag becomes a weak one. */
export function weakenTag(headers: HeaderList): void {
  const tag = ETAG.get(headers)
  if (tag !== null && STRONG.test(tag)) ETAG.set(headers, `W/${tag}`)
}

/** Gives a 304 the tag that the client has of us, which it compares with what it stored (RFC 9111 4.3.4). */
export function weakenTagAsAsked({ request, response: { headers } }: Exchange): void {
  const tag = ETAG.get(headers)
  if (tag === null || !STRONG.test(tag)) return
  const asked = IF_NONE_MATCH.getAll(request.headers).join(', ')
  if (asked.includes(`W/${tag}`)) ETAG.set(headers, `W/${tag}`)
}
