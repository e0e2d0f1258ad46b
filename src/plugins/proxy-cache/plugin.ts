/** Answers with what the upstream answered before, as Kong's proxy-cache does; by RFC 9111 where `cache_control` is on. */
import { definePlugin, FieldName, type Exchange, type Exit, type ResponseCache, type StoredResponse } from '#pdk'
import { parseCacheControl, type CacheControl } from './cache-control.ts'
import { isUnchanged, rangeOf, withoutBodyFields } from './conditions.ts'
import { compileTypes } from './content-type.ts'
import { Fill } from './fill.ts'
import { PassedOn } from './passed-on.ts'
import { addressName, requestKey, variantKey, type KeyOptions } from './request-key.ts'
import { schema } from './schema.ts'
import { lifetimeOf, type StorePolicy } from './storable.ts'

/** How long others wait for somebody who fetches, and how long that one may take until another one may try. */
const WAIT_MS = 5_000
const FILL_MS = 10_000
const SHARED = 'proxy-cache'
const AGE = new FieldName('Age')
const CACHE_STATUS = new FieldName('X-Cache-Status')
const CACHE_KEY = new FieldName('X-Cache-Key')
const UPGRADE = new FieldName('Upgrade')
const KONG_DEBUG = new FieldName('Kong-Debug')
const CACHE_CONTROL = new FieldName('Cache-Control')
const NO_BYTES = Buffer.alloc(0)
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

interface State {
  readonly cache: ResponseCache
  readonly methods: ReadonlySet<string>
  readonly key: KeyOptions
  readonly policy: StorePolicy
  readonly followsCacheControl: boolean
  readonly showsAge: boolean
  readonly showsStatus: boolean
  readonly showsKey: boolean
  /** Whose last response could not be stored: nobody waits for the next one. */
  readonly passedOn: PassedOn
}

export const proxyCache = definePlugin({
  schema,

  prepare(config, { responses }): State {
    const followsCacheControl = config.cache_control
    const queryNames = config.vary_query_params ?? []
    return {
      cache: responses,
      methods: new Set(config.request_method),
      key: {
        ignoreCase: config.ignore_uri_case ?? false,
        queryNames: queryNames.length === 0 ? null : new Set(queryNames),
        headers: (config.vary_headers ?? []).map((name) => new FieldName(name)),
        sharesAuthorized: followsCacheControl,
      },
      policy: {
        statuses: new Set(config.response_code),
        matchesType: compileTypes(config.content_type),
        followsCacheControl,
        ttlMs: (config.cache_ttl ?? 300) * 1000,
        storageMs: config.storage_ttl === null ? null : config.storage_ttl * 1000,
      },
      followsCacheControl,
      showsAge: config.response_headers.age ?? true,
      showsStatus: config.response_headers['X-Cache-Status'] ?? true,
      showsKey: config.response_headers['X-Cache-Key'] ?? true,
      passedOn: new PassedOn(),
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    const { request } = exchange
    if (!state.methods.has(request.method) || UPGRADE.has(request.headers)) return bypass(exchange, state)
    // Otherwise bodies don't count, as in Kong: whoever stores answers to POST says that they don't depend on them.
    if (state.followsCacheControl && (!isRead(request.method) || request.body.exists)) return bypass(exchange, state)
    const method = state.followsCacheControl && request.method === 'HEAD' ? 'GET' : request.method
    const text = requestKey(exchange, method, state.key)
    return lookUp(exchange, state, text, exchange.startedAtMs + WAIT_MS)
  },

  responseHeaders(exchange, state) {
    const { response, request } = exchange
    if (response.source !== 'service') return
    if (state.followsCacheControl && !SAFE.has(request.method) && response.status < 400)
      state.cache.purge(addressName(exchange)) // RFC 9111 4.4
    const fill = exchange.recall(SHARED) as Fill | undefined
    if (fill === undefined) return
    const isKnown = fill.text !== ''
    if (isKnown && !keeps(exchange, state, fill)) {
      fill.status = 'Bypass'
      if (isAlone(exchange)) state.passedOn.add(fill.text, exchange.now)
      fill.release()
    }
    const shows = KONG_DEBUG.get(request.headers) === '1'
    if (state.showsStatus || shows) CACHE_STATUS.set(response.headers, fill.status)
    if (isKnown && (state.showsKey || shows)) CACHE_KEY.set(response.headers, state.cache.keyOf(fill.text))
  },

  responseBody(exchange, state) {
    if (exchange.response.source !== 'service') return null
    const fill = exchange.recall(SHARED) as Fill | undefined
    if (fill === undefined || fill.status === 'Bypass' || exchange.request.method === 'HEAD') return null
    const lifetime = lifetimeOf(exchange, state.policy)
    return lifetime === null ? null : fill.collect(exchange, lifetime)
  },

  log(exchange) {
    const fill = exchange.recall(SHARED) as Fill | undefined
    fill?.release()
  },
})

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

function bypass(exchange: Exchange, state: State): void {
  exchange.shared.set(SHARED, new Fill(state.cache, '', 'Bypass', exchange.now))
}

/** Answers from what is stored, else says who asks the upstream: this exchange, or another one for which it waits until `waitUntilMs`. */
function lookUp(
  exchange: Exchange,
  state: State,
  text: string,
  waitUntilMs: number,
): void | Exit | Promise<void | Exit> {
  const { cache, followsCacheControl } = state
  const { headers } = exchange.request
  let asked: CacheControl | null = null
  if (followsCacheControl) {
    const fields = CACHE_CONTROL.getAll(headers)
    asked = parseCacheControl(fields)
    if (asked.noStore) return bypass(exchange, state)
    // RFC 9111 5.4.
    if (fields.length === 0 && headers.get('pragma')?.toLowerCase().includes('no-cache') === true)
      asked = parseCacheControl(['no-cache'])
  }
  let foundText = text
  let stored = cache.find(text)
  if (stored !== null && stored.facts.varyBy !== null) {
    foundText = variantKey(text, exchange, stored.facts.varyBy)
    stored = cache.find(foundText)
  }
  if (stored !== null && isFresh(stored, asked)) return replay(exchange, state, stored)
  if (asked?.onlyIfCached === true) return exchange.exit(504)
  const fill = new Fill(cache, text, stored === null ? 'Miss' : 'Refresh', exchange.now)
  if (stored === null && isAlone(exchange) && !state.passedOn.has(text, exchange.now)) {
    const token = cache.startFill(foundText, FILL_MS)
    if (token === 0 && Date.now() < waitUntilMs) return waitAndLookUp(exchange, state, text, foundText, waitUntilMs)
    fill.holds(foundText, token)
  }
  exchange.shared.set(SHARED, fill)
}

async function waitAndLookUp(
  exchange: Exchange,
  state: State,
  text: string,
  foundText: string,
  waitUntilMs: number,
): Promise<void | Exit> {
  await state.cache.awaitFill(foundText, Math.max(1, waitUntilMs - Date.now()))
  // A client that has left in the meantime must not take a lock that nobody would give back.
  if (exchange.totalLatencyMs >= 0) return
  return lookUp(exchange, state, text, waitUntilMs)
}

/** Whether one request may stand for those that ask the same at the same time, as its response would be stored. */
function isAlone({ request }: Exchange): boolean {
  return request.method === 'GET'
}

function isFresh({ facts }: StoredResponse, asked: CacheControl | null): boolean {
  const heldMs = Date.now() - facts.storedAtMs
  const leftMs = facts.freshForMs - heldMs
  if (asked === null) return leftMs > 0
  if (asked.noCache) return false
  if (asked.maxAge >= 0 && facts.ageS * 1000 + heldMs > asked.maxAge * 1000) return false
  if (asked.minFresh >= 0 && leftMs < asked.minFresh * 1000) return false
  return leftMs > 0
}

/** Answers with a stored response, or with what of it was asked for. */
function replay(exchange: Exchange, state: State, stored: StoredResponse): Exit {
  const { request } = exchange
  const { facts } = stored
  const headers = stored.headers.clone()
  const shows = KONG_DEBUG.get(request.headers) === '1'
  if (state.showsAge || shows) {
    const heldS = Math.max(0, Math.floor((exchange.now - facts.storedAtMs) / 1000))
    AGE.append(headers, String(facts.ageS + heldS))
  }
  if (state.showsStatus || shows) CACHE_STATUS.append(headers, 'Hit')
  if (state.showsKey || shows) CACHE_KEY.append(headers, stored.key)
  const { body } = stored
  if (facts.status === 200 && isRead(request.method)) {
    if (isUnchanged(request.headers, stored.headers)) return exchange.replay(304, null, withoutBodyFields(headers))
    if (request.method === 'GET') {
      const range = rangeOf(request.headers, stored.headers, body.length)
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

/** Whether the response will be stored. One without a body is stored at once; one to HEAD is not that of GET, and never (as in Kong). */
function keeps(exchange: Exchange, state: State, fill: Fill): boolean {
  const { response } = exchange
  const lifetime = lifetimeOf(exchange, state.policy)
  if (lifetime === null || fill.status === 'Bypass') return false
  if (Number(response.headers.get('content-length') ?? -1) > state.cache.largestBytes) return false
  if (response.status === 204) fill.store(exchange, lifetime, [])
  return true
}
