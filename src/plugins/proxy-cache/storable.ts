/** Whether a response may be stored, for how long and under which names: by the configuration, and by RFC 9111 where that is asked for. */
import type { Exchange, HeaderList } from '#pdk'
import { parseCacheControl } from './cache-control.ts'

export interface StorePolicy {
  readonly statuses: ReadonlySet<number>
  readonly matchesType: (contentType: string) => boolean
  readonly followsCacheControl: boolean
  readonly ttlMs: number
  /** How long a response is kept; null for as long as it is fresh. */
  readonly storageMs: number | null
  /** Where the response does not say (RFC 5861). */
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
}

/** How long a response may be used. */
export interface Lifetime {
  readonly ageS: number
  readonly freshForMs: number
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  /** From now on, how long it is kept. */
  readonly keepForMs: number
  /** Request fields that it varies by, in lower case and order. */
  readonly varyBy: readonly string[]
}

/** An age of which nothing is fresh. */
const OLD_S = 2 ** 31
/** Parts of representations, and answers to conditions that others don't have. */
const NEVER = new Set([206, 304])
const NONE: readonly string[] = []
/** Statuses whose rules of caching are known here (RFC 9110 15). */
const UNDERSTOOD = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 451, 501])

/** Null: not to be stored. */
export function lifetimeOf(exchange: Exchange, policy: StorePolicy): Lifetime | null {
  const { status, headers } = exchange.response
  if (!policy.statuses.has(status) || NEVER.has(status) || headers.has('content-range')) return null
  const type = headers.get('content-type')
  if (type === null || !policy.matchesType(type)) return null
  if (policy.followsCacheControl) return byCacheControl(exchange, headers, policy)
  return {
    ageS: 0,
    freshForMs: policy.ttlMs,
    staleWhileRevalidateMs: policy.staleWhileRevalidateMs,
    staleIfErrorMs: policy.staleIfErrorMs,
    keepForMs: policy.storageMs ?? policy.ttlMs + Math.max(policy.staleWhileRevalidateMs, policy.staleIfErrorMs),
    varyBy: NONE,
  }
}

function byCacheControl(exchange: Exchange, headers: HeaderList, policy: StorePolicy): Lifetime | null {
  const control = parseCacheControl(headers.getAll('cache-control'))
  if (control.noStore || control.isPrivate) return null
  // RFC 9111 5.2.2.3.
  if (control.mustUnderstand && !UNDERSTOOD.has(exchange.response.status)) return null
  const isForAll = control.isPublic || control.mustRevalidate || control.sMaxAge >= 0
  // RFC 9111 3.5.
  if (exchange.request.headers.has('authorization') && !isForAll) return null
  // RFC 9111 7.3: a cookie is for one client; only who says so means it for all.
  if (headers.has('set-cookie') && !control.isPublic && control.sMaxAge < 0) return null
  const varyBy = varyNames(headers)
  if (varyBy === null) return null
  const ageS = ageOf(headers)
  const lifetimeS = freshnessS(headers, control.sMaxAge >= 0 ? control.sMaxAge : control.maxAge, exchange.now)
  const freshForMs = control.noCache ? 0 : Math.max(0, lifetimeS - ageS) * 1000
  // What has to be asked for each time is worth keeping where asking can spare the body (RFC 9111 5.2.2.4).
  if (freshForMs === 0 && !canAsk(headers)) return null
  // RFC 9111 5.2.2.2, 5.2.2.8 and 5.2.2.10: what must be revalidated is never served stale.
  const isStrict = freshForMs === 0 || control.mustRevalidate || control.proxyRevalidate || control.sMaxAge >= 0
  const staleMs = (saidS: number, elseMs: number) => (isStrict ? 0 : saidS < 0 ? elseMs : saidS * 1000)
  const staleWhileRevalidateMs = staleMs(control.staleWhileRevalidate, policy.staleWhileRevalidateMs)
  const staleIfErrorMs = staleMs(control.staleIfError, policy.staleIfErrorMs)
  const longest = freshForMs + Math.max(staleWhileRevalidateMs, staleIfErrorMs, canAsk(headers) ? policy.ttlMs : 0)
  return {
    ageS,
    freshForMs,
    staleWhileRevalidateMs,
    staleIfErrorMs,
    keepForMs: policy.storageMs ?? longest,
    varyBy,
  }
}

/** RFC 9111 4.2.1. Without a word of the upstream's nothing is stored: a guess would be the gateway's. */
function freshnessS(headers: HeaderList, maxAge: number, nowMs: number): number {
  if (maxAge >= 0) return maxAge
  const expires = headers.get('expires')
  if (expires === null) return 0
  const expiresMs = Date.parse(expires)
  if (Number.isNaN(expiresMs)) return 0
  const dateMs = Date.parse(headers.get('date') ?? '')
  return Math.max(0, Math.floor((expiresMs - (Number.isNaN(dateMs) ? nowMs : dateMs)) / 1000))
}

/** Whether the upstream can be asked if a stale response still holds. */
function canAsk(headers: HeaderList): boolean {
  return headers.has('etag') || headers.has('last-modified')
}

/** Null for `*`: no two requests are alike (RFC 9111 4.1). */
function varyNames(headers: HeaderList): readonly string[] | null {
  const fields = headers.getAll('vary')
  if (fields.length === 0) return NONE
  const names = new Set<string>()
  for (const part of fields.join(',').split(',')) {
    const name = part.trim().toLowerCase()
    if (name === '*') return null
    if (name !== '') names.add(name)
  }
  return [...names].toSorted()
}

/** Of a list the first (RFC 9111 5.1). One that is no number is that of something old: to take it for fresh would be a guess. */
function ageOf(headers: HeaderList): number {
  const value = headers.get('age')
  if (value === null) return 0
  const first = value.split(',', 1)[0]!.trim()
  return /^\d{1,10}$/.test(first) ? Number(first) : OLD_S
}
