/** Answers with what the upstream answered before, as Kong's proxy-cache does; by RFC 9111 where `cache_control` is on. */
import { RecentKeys } from '#core/recent-facts.ts'
import { definePlugin, FieldName, type Exchange, type Exit } from '#pdk'
import { compileTypes } from './content-type.ts'
import type { Fill } from './fill.ts'
import { bypass, isAlone, lookUp } from './look-up.ts'
import { isRead, tell } from './replay.ts'
import { Refresh } from './refresh.ts'
import { changedAddresses, requestKey } from './request-key.ts'
import { answersAgain, answersInstead } from './revalidation.ts'
import { RouteCounts } from './route-counts.ts'
import { schema } from './schema.ts'
import { SHARED, type State } from './state.ts'
import { lifetimeOf } from './storable.ts'

const UPGRADE = new FieldName('Upgrade')
/**
 * Whose last response could not be stored: for so long nobody waits for the next one. It would not be stored either, and all who wait
 * would ask one after the other.
 */
const PASS_MS = 10_000
/** Between two refreshes of what could not be refreshed. */
const REST_MS = 1000
/** Addresses of which either is remembered. */
const MOST_RECENT = 10_000
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

export const proxyCache = definePlugin({
  schema,

  refuse({ strategy, redis }) {
    if (strategy !== 'redis' || (redis !== null && redis.host !== null)) return null
    return { field: 'redis.host', message: "strategy 'redis' needs the address of a Redis, or the name of a profile" }
  },

  prepare(config, { responses, sharedResponses, metrics, log }): State {
    const followsCacheControl = config.cache_control
    const queryNames = config.vary_query_params ?? []
    return {
      cache: responses,
      shared: config.strategy === 'redis' ? sharedResponses(config.redis!) : null,
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
        staleWhileRevalidateMs: (config.stale_while_revalidate ?? 0) * 1000,
        staleIfErrorMs: (config.stale_if_error ?? 0) * 1000,
      },
      followsCacheControl,
      showsAge: config.response_headers.age ?? true,
      showsStatus: config.response_headers['X-Cache-Status'] ?? true,
      showsKey: config.response_headers['X-Cache-Key'] ?? true,
      counts: new RouteCounts(metrics),
      passedOn: new RecentKeys(PASS_MS, MOST_RECENT),
      resting: new RecentKeys(REST_MS, MOST_RECENT),
      metrics,
      log,
      toldAtMs: 0,
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    const { request } = exchange
    if (!exchange.hasClient) {
      const refresh = exchange.recall(SHARED)
      if (refresh instanceof Refresh) return refresh.run(exchange)
    }
    if (!state.methods.has(request.method) || UPGRADE.has(request.headers)) return bypass(exchange, state)
    // Otherwise bodies don't count, as in Kong: whoever stores answers to POST says that they don't depend on them.
    if (state.followsCacheControl && (!isRead(request.method) || request.body.exists)) return bypass(exchange, state)
    const method = state.followsCacheControl && request.method === 'HEAD' ? 'GET' : request.method
    return lookUp(exchange, state, requestKey(exchange, method, state.key))
  },

  responseHeaders(exchange, state) {
    const { response, request } = exchange
    const fill = exchange.recall(SHARED) as Fill | Refresh | undefined
    if (fill instanceof Refresh) return
    if (fill !== undefined && answersInstead(exchange, state, fill)) return
    if (response.source !== 'service') return
    // RFC 9111 4.4.
    if (state.followsCacheControl && !SAFE.has(request.method) && response.status < 400) {
      for (const name of changedAddresses(exchange)) {
        state.cache.purge(name)
        state.shared?.purge(name)
      }
    }
    if (fill === undefined || answersAgain(exchange, state, fill)) return
    const isKnown = fill.text !== ''
    if (isKnown && !keeps(exchange, state, fill)) {
      fill.status = 'Bypass'
      if (fill.refresh === null || isNew(response.status, state)) {
        if (isAlone(exchange)) state.passedOn.add(fill.text, exchange.now)
        fill.release(PASS_MS)
        fill.refresh?.replaced()
      }
    }
    if (exchange.hasClient) tell(exchange, state, fill.status, isKnown ? state.cache.keyOf(fill.text) : null)
  },

  responseBody(exchange, state) {
    const { response, request } = exchange
    if (response.source !== 'service' || response.replacement !== null) return null
    const fill = exchange.recall(SHARED) as Fill | undefined
    if (fill === undefined || fill.isStored || fill.status === 'Bypass' || request.method === 'HEAD') return null
    const lifetime = lifetimeOf(exchange, state.policy)
    return lifetime === null ? null : fill.collect(exchange, lifetime)
  },

  log(exchange) {
    const fill = exchange.recall(SHARED) as Fill | Refresh | undefined
    if (fill === undefined) return
    if (fill instanceof Refresh) return fill.failed(exchange)
    fill.release()
    if (fill.refresh === null) return
    if (fill.isStored) fill.refresh.end('refreshed')
    else fill.refresh.failed(exchange)
  },

  close(state) {
    state.shared?.close()
  },
})

/** Whether a response to a refresh is what there is now, and not that it can't be said. */
function isNew(status: number, { policy }: State): boolean {
  return policy.statuses.has(status) || status === 404 || status === 410
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
