/** Directives of Cache-Control (RFC 9111 5.2, RFC 5861). */

export interface CacheControl {
  readonly noStore: boolean
  readonly noCache: boolean
  readonly isPrivate: boolean
  readonly isPublic: boolean
  readonly mustRevalidate: boolean
  readonly mustUnderstand: boolean
  readonly proxyRevalidate: boolean
  readonly onlyIfCached: boolean
  /** Seconds; -1 where there is none. */
  readonly maxAge: number
  readonly sMaxAge: number
  readonly minFresh: number
  /** Infinity for `max-stale` without a value. */
  readonly maxStale: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
}

/** RFC 9111 1.2.2: what is too large counts as this. */
const LARGEST_S = 2 ** 31
const NOTHING: CacheControl = read(new Map())

/** All fields together; a directive that is there twice counts as the first, and a value that is no number as 0 (RFC 9111 4.2.1). */
export function parseCacheControl(fields: readonly string[]): CacheControl {
  if (fields.length === 0) return NOTHING
  const directives = new Map<string, string | null>()
  // Quoted arguments may have commas.
  for (const [, name, quoted, plain] of fields
    .join(',')
    .matchAll(/([^\s,="]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g)) {
    const lower = name!.toLowerCase()
    if (!directives.has(lower)) directives.set(lower, quoted ?? plain ?? null)
  }
  return read(directives)
}

function read(directives: ReadonlyMap<string, string | null>): CacheControl {
  const seconds = (name: string, withoutValue: number): number => {
    const value = directives.get(name)
    if (value === undefined) return -1
    if (value === null) return withoutValue
    return /^\d+$/.test(value) ? Math.min(Number(value), LARGEST_S) : 0
  }
  return {
    noStore: directives.has('no-store'),
    noCache: directives.has('no-cache'),
    isPrivate: directives.has('private'),
    isPublic: directives.has('public'),
    mustRevalidate: directives.has('must-revalidate'),
    mustUnderstand: directives.has('must-understand'),
    proxyRevalidate: directives.has('proxy-revalidate'),
    onlyIfCached: directives.has('only-if-cached'),
    maxAge: seconds('max-age', 0),
    sMaxAge: seconds('s-maxage', 0),
    minFresh: seconds('min-fresh', 0),
    maxStale: seconds('max-stale', Infinity),
    staleWhileRevalidate: seconds('stale-while-revalidate', 0),
    staleIfError: seconds('stale-if-error', 0),
  }
}
