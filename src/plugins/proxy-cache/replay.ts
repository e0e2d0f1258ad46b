/** Answers with a stored response, or with what of it was asked for. */
import { FieldName, type Exchange, type Exit, type HeaderList, type StoredResponse } from '#pdk'
import { isUnchanged, rangeOf, withoutBodyFields } from './conditions.ts'
import type { State } from './state.ts'

const AGE = new FieldName('Age')
const CACHE_STATUS = new FieldName('X-Cache-Status')
const CACHE_KEY = new FieldName('X-Cache-Key')
const KONG_DEBUG = new FieldName('Kong-Debug')
const NO_BYTES = Buffer.alloc(0)

/** `conditions` has the fields by which the client asks for less than the whole. */
export function replay(
  exchange: Exchange,
  state: State,
  stored: StoredResponse,
  status: 'Hit' | 'Stale' | 'Refresh',
  conditions: HeaderList,
): Exit {
  const { request } = exchange
  const { facts, body } = stored
  state.counts.add(exchange, status)
  const headers = stored.headers.clone()
  const shows = KONG_DEBUG.get(request.headers) === '1'
  if (state.showsAge || shows) {
    const atMs = status === 'Hit' ? exchange.now : Date.now()
    AGE.append(headers, String(facts.ageS + Math.max(0, Math.floor((atMs - facts.storedAtMs) / 1000))))
  }
  if (state.showsStatus || shows) CACHE_STATUS.append(headers, status)
  if (state.showsKey || shows) CACHE_KEY.append(headers, stored.key)
  if (facts.status === 200 && isRead(request.method)) {
    if (isUnchanged(conditions, stored.headers)) return exchange.replay(304, null, withoutBodyFields(headers))
    if (request.method === 'GET') {
      const range = rangeOf(conditions, stored.headers, body.length)
      if (range === null) {
        headers.set('Content-Range', `bytes */${body.length}`)
        return exchange.replay(416, NO_BYTES, headers)
      }
      if (range !== 'whole') {
        headers.set('Content-Range', `bytes ${range.from}-${range.to}/${body.length}`)
        return exchange.replay(206, body.subarray(range.from, range.to + 1), headers)
      }
    }
  }
  return exchange.replay(facts.status, body, headers)
}

export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** What the client learns besides when the upstream answers. `key` is null for a request that is none for the cache. */
export function tell(
  exchange: Exchange,
  state: State,
  status: 'Miss' | 'Refresh' | 'Bypass',
  key: string | null,
): void {
  state.counts.add(exchange, status)
  const { headers } = exchange.response
  const shows = KONG_DEBUG.get(exchange.request.headers) === '1'
  if (state.showsStatus || shows) CACHE_STATUS.set(headers, status)
  if (key !== null && (state.showsKey || shows)) CACHE_KEY.set(headers, key)
}
