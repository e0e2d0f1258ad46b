/** Where the next page of a list starts: opaque to clients, in the form that Kong's offsets have (base64 of a JSON list). */
import { GatewayError } from '#core/errors.ts'

/** An offset after the row with this id. Lists are ordered by id, so rows that come and go move nothing else. */
export function offsetAfter(id: string): string {
  return Buffer.from(JSON.stringify([id])).toString('base64')
}

/** The id that an offset stands after, or undefined when it was not made by `offsetAfter`. */
export function parseOffset(offset: string): string | undefined {
  let list: unknown
  try {
    list = JSON.parse(Buffer.from(offset, 'base64').toString())
  } catch {
    return undefined // not JSON: the caller answers that the offset is invalid
  }
  return Array.isArray(list) && list.length === 1 && typeof list[0] === 'string' ? list[0] : undefined
}

/** The id after which a page starts, '' for the first page. Throws `INVALID_OFFSET`. */
export function startOf(page: { readonly offset?: string }): string {
  if (page.offset === undefined) return ''
  const id = parseOffset(page.offset)
  if (id === undefined)
    throw new GatewayError(
      'INVALID_OFFSET',
      `offset: expected one that a page before gave, got ${JSON.stringify(page.offset)}`,
    )
  return id
}
