/** Asking the upstream whether a stale response still holds, and what becomes of it when it does, or when there is no answer. */
import { FieldName, StoredResponse, type Exchange, type Exit, type HeaderList } from '#pdk'
import type { Fill } from './fill.ts'
import { mayServeOnError } from './freshness.ts'
import { replay } from './replay.ts'
import type { State } from './state.ts'
import { lifetimeOf } from './storable.ts'

const ETAG = new FieldName('ETag')
const LAST_MODIFIED = new FieldName('Last-Modified')
const IF_NONE_MATCH = new FieldName('If-None-Match')
const IF_MODIFIED_SINCE = new FieldName('If-Modified-Since')
/** By which a client asks for less than the whole; the cache needs the whole, or to hear that it has it. */
const CONDITIONS = [IF_NONE_MATCH, IF_MODIFIED_SINCE, new FieldName('If-Range'), new FieldName('Range')]
const OTHER_CONDITIONS = [new FieldName('If-Match'), new FieldName('If-Unmodified-Since')]
/** RFC 9111 3.2: what a 304 says of a body that it does not have, and by which it was asked. */
const KEPT = new Set([
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'etag',
  'transfer-encoding',
])
/** RFC 5861 4. */
const FAILURES = new Set([500, 502, 503, 504])

/** Asks the upstream for what the cache needs in place of what the client asked for, where `stale` has something to ask by. */
export function askAgain(exchange: Exchange, fill: Fill, stale: StoredResponse): void {
  const { headers } = exchange.request
  const etag = ETAG.get(stale.headers)
  const modified = LAST_MODIFIED.get(stale.headers)
  if (exchange.hasClient) {
    // Who writes on a condition, or has a body, wants the upstream's own word.
    if ((etag === null && modified === null) || exchange.request.method !== 'GET' || headers.has('if-match')) return
  } else for (const field of OTHER_CONDITIONS) field.remove(headers)
  fill.asked = headers.clone()
  for (const field of CONDITIONS) field.remove(headers)
  if (etag !== null) IF_NONE_MATCH.set(headers, etag)
  if (modified !== null) IF_MODIFIED_SINCE.set(headers, modified)
}

/** Whether the upstream says that what is stored still holds: then it answers the client, and is fresh again. */
export function answersAgain(exchange: Exchange, state: State, fill: Fill): boolean {
  const { response } = exchange
  const { stale, asked } = fill
  if (stale === null || asked === null || response.status !== 304) return false
  response.status = stale.facts.status
  response.headers = merged(stale.headers, response.headers)
  const lifetime = lifetimeOf(exchange, state.policy)
  if (lifetime === null) state.cache.drop(fill.text)
  else fill.store(exchange, lifetime, [stale.body])
  fill.release()
  if (!exchange.hasClient) return true
  const facts = lifetime === null ? { ...stale.facts, storedAtMs: Date.now() } : fill.factsOf(exchange, lifetime)
  response.headers.remove('age')
  const fresh = new StoredResponse(facts, stale.key, response.headers, stale.body)
  take(exchange, replay(exchange, state, fresh, 'Refresh', asked))
  return true
}

/** Whether there was no answer, or a failure, and what is stored may stand for it. */
export function answersInstead(exchange: Exchange, state: State, fill: Fill): boolean {
  const { response, request, upstream } = exchange
  const { stale } = fill
  if (stale === null || !fill.takesStale || !mayServeOnError(stale) || !FAILURES.has(response.status)) return false
  // An exit is a plugin's decision, unless there was nobody to ask.
  if (response.source === 'exit' && !upstream.isUnreachable) return false
  fill.release()
  take(exchange, replay(exchange, state, stale, 'Stale', fill.asked ?? request.headers))
  return true
}

function take({ response }: Exchange, exit: Exit): void {
  // As every answer out of the cache.
  response.source = 'exit'
  response.status = exit.status
  response.headers = exit.stored!
  response.replacement = (exit.body as Buffer | null) ?? NO_BYTES
}

function merged(stored: HeaderList, news: HeaderList): HeaderList {
  const headers = stored.clone()
  const seen = new Set<string>()
  for (const [name, value] of news) {
    const lower = name.toLowerCase()
    if (KEPT.has(lower)) continue
    if (seen.has(lower)) headers.append(name, value)
    else headers.set(name, value)
    seen.add(lower)
  }
  return headers
}

const NO_BYTES = Buffer.alloc(0)
