/** `size`, `offset` and `tags` of a list, and the `next` link: Kong's forms and messages. */
import type { Filter, Page, PageOfRows } from '#store/contract.ts'
import type { Answer } from './answer.ts'
import { invalidOffset, invalidOptions, invalidSize } from './fail.ts'
import type { Query } from './query.ts'

export const PAGE_SIZE = 100
export const PAGE_SIZE_MAX = 1000
const TAGS_MAX = 5

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly answer: Answer }

/** The page that is asked for. With a database Kong reads offsets as base64 of JSON, without one as its own text: the message differs. */
export function parsePage(query: Query, isDatabase: boolean): Parsed<Page> {
  const size = parseSize(query)
  if (!size.ok) return size
  const offset = query.one('offset')
  if (offset === undefined) return { ok: true, value: { size: size.value } }
  if (offset === null || !isOffset(offset)) return { ok: false, answer: badOffset(offset ?? '', isDatabase) }
  return { ok: true, value: { size: size.value, offset } }
}

export function parseSize(query: Query, min = 1): Parsed<number> {
  const text = query.one('size')
  if (text === undefined) return { ok: true, value: PAGE_SIZE }
  const size = text === null || !/^\s*[-+]?\d+(?:\.\d*)?\s*$/.test(text) ? NaN : Number(text)
  if (Number.isNaN(size)) return { ok: false, answer: invalidSize('size must be a number') }
  if (!Number.isInteger(size) || size < min || size > PAGE_SIZE_MAX) {
    return { ok: false, answer: invalidSize(`size must be an integer between 1 and ${PAGE_SIZE_MAX}`) }
  }
  return { ok: true, value: size }
}

/** `tags=a,b`: with both; `tags=a/b`: with any of them. */
export function parseTags(query: Query): Parsed<Filter['tags']> {
  const [text] = query.all('tags')
  if (text === undefined) return { ok: true, value: undefined }
  if (text === '') return badTags('cannot be null')
  const match = tagLists.exec(text)
  if (match === null) return badTags('invalid filter syntax')
  const separator = match[1] === undefined ? '/' : ','
  const values = text.split(separator).filter((tag) => tag !== '')
  if (values.length > TAGS_MAX) return badTags(`cannot query more than ${TAGS_MAX} tags`)
  return { ok: true, value: { match: separator === ',' ? 'all' : 'any', values } }
}

/** A page as Kong answers it. `path` is the list's own, with the segments as they were asked for. */
export function pageAnswer(
  page: { readonly rows: readonly unknown[]; readonly offset?: string },
  path: string,
  repeated: string,
): Record<string, unknown> {
  if (page.offset === undefined) return { data: page.rows, next: null }
  return { data: page.rows, offset: page.offset, next: `${path}?offset=${encodeURIComponent(page.offset)}${repeated}` }
}

/** The arguments that `next` repeats on lists that are not nested. */
export function repeatedArguments(query: Query): string {
  const [tags] = query.all('tags')
  const [size] = query.all('size')
  return `${tags === undefined ? '' : `&tags=${encodeURIComponent(tags)}`}${size === undefined ? '' : `&size=${encodeURIComponent(size)}`}`
}

/** Offsets go out without padding, as Kong writes them; the store reads both forms. */
export function shownOffset(page: PageOfRows): string | undefined {
  return page.offset?.replace(/=+$/, '')
}

// Printable ASCII but ',' and '/', and everything beyond ASCII: what a tag may have.
const TAG = String.raw`[\x20-\x2b\x2d\x2e\x30-\x7e\u0080-\u{10ffff}]+`
const tagLists = new RegExp(`^(?:((?:${TAG}(?:,|$))+)|(?:${TAG}(?:/|$))+)$`, 'u')

function badTags(message: string): Parsed<never> {
  return { ok: false, answer: invalidOptions({ tags: message }) }
}

function isOffset(text: string): boolean {
  try {
    const list: unknown = JSON.parse(Buffer.from(text, 'base64').toString())
    return Array.isArray(list) && list.length > 0
  } catch {
    return false // not JSON: no page gave this offset
  }
}

function badOffset(text: string, isDatabase: boolean): Answer {
  const isBase64 = /^[A-Za-z0-9+/_-]*={0,2}$/.test(text)
  return invalidOffset(text, isDatabase ? (isBase64 ? 'bad json encoding' : 'bad base64 encoding') : 'invalid offset')
}
