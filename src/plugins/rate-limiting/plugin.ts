/** Limits how many requests somebody may make in a second, minute, ... or year, as Kong's rate-limiting does. */
import { createHash } from 'node:crypto'
import { definePlugin, FieldName, type Exchange, type Exit, type HeaderList } from '#pdk'
import { identifierOf, type Identifier } from './identifier.ts'
import { schema } from './schema.ts'
import { PERIODS, windowEnd, windowStart, WINDOW_SECONDS, type Period } from './window.ts'

interface Limit {
  readonly period: Period
  readonly limit: number
  /** The most that is admitted: one more as long as the count is below the limit, also where that is not whole. */
  readonly most: number
  readonly windowSeconds: number
  readonly limitHeader: FieldName
  readonly limitText: string
  readonly remainingHeader: FieldName
  /** The window of the last request seen, so that only the first one in a window works it out. */
  startMs: number
  endMs: number
  keySuffix: string
}

/** Of this node alone, or of all nodes. */
interface Counters {
  add(key: string, amount: number, expiresAtMs: number): number
  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number, startsAtMs: number): number
  read(key: string): number
}

interface State {
  readonly counters: Counters
  /** Set where requests are refused rather than counted without the other nodes. */
  readonly strictly: { readonly isSynced: boolean } | null
  readonly identify: Identifier
  /** The same for every instance on this route and service, so that they count together, as in Kong. */
  readonly keyPrefix: string
  /** In the order of their periods. */
  readonly limits: readonly Limit[]
  readonly showsHeaders: boolean
  readonly status: number
  readonly message: string
}

/** What a request used, from the moment when it was counted to its response. */
interface Usage {
  readonly limits: readonly Limit[]
  /** What is left in each window, by index of its limit. */
  readonly remaining: readonly number[]
  /** Index of the limit with the fewest requests left, the longest window of several: the general headers speak of it. */
  readonly tightest: number
  /** Seconds until that window ends. */
  readonly resetSeconds: number
  readonly isRefused: boolean
}

const USAGE = 'rate-limiting.usage'
const RATELIMIT_LIMIT = new FieldName('RateLimit-Limit')
const RATELIMIT_REMAINING = new FieldName('RateLimit-Remaining')
const RATELIMIT_RESET = new FieldName('RateLimit-Reset')
const RETRY_AFTER = new FieldName('Retry-After')
/** A request that waited before it was counted still belongs to the window in which it came. */
const LATE_MS = 2000

export const rateLimiting = definePlugin({
  schema,

  refuse(config, { hasClusterCounters }) {
    if (config.policy === 'cluster' && !hasClusterCounters) {
      return {
        field: 'policy',
        message:
          "policy 'cluster' is not available without a store that nodes share (database = cassandra); 'local' counts on each node for itself",
      }
    }
    if (config.policy === 'redis') {
      return {
        field: 'policy',
        message:
          "policy 'redis' is not available in this version of Meridian; 'local' counts on each node for itself, 'cluster' over all nodes with database = cassandra",
      }
    }
    const status = config.error_code ?? 429
    if (Number.isInteger(status) && status >= 200 && status <= 599) return null
    return { field: 'error_code', message: `expected an HTTP status from 200 to 599, got ${status}` }
  },

  prepare(config, { counters, clusterCounters, scope }): State {
    const isShared = config.policy === 'cluster'
    // Only a node with another database than the one that wrote this comes here.
    if (isShared && clusterCounters === null) throw new Error("policy 'cluster' needs database = cassandra")
    return {
      counters: (isShared ? clusterCounters : null) ?? counters,
      strictly: isShared && !config.fault_tolerant ? clusterCounters : null,
      identify: identifierOf(config.limit_by ?? 'consumer', config.header_name, config.path),
      keyPrefix: keyPrefixOf(scope.route, scope.service),
      limits: PERIODS.flatMap((period) => {
        const limit = config[period]
        return limit === null ? [] : [createLimit(period, limit)]
      }),
      showsHeaders: !config.hide_client_headers,
      status: config.error_code ?? 429,
      message: config.error_message ?? 'API rate limit exceeded',
    }
  },

  access(exchange, state): void | Exit {
    const { counters, limits, strictly } = state
    if (strictly !== null && !strictly.isSynced) return exchange.fail(500, 'An unexpected error occurred')
    const key = state.keyPrefix + state.identify(exchange)
    const remaining: number[] = []
    for (let i = 0; i < limits.length; i++) {
      const limit = limits[i]!
      enterWindow(limit, exchange.now)
      const used = counters.addUpTo(key + limit.keySuffix, 1, limit.most, limit.endMs + LATE_MS, limit.startMs)
      if (used > limit.most) return refuse(exchange, state, key, i)
      remaining.push(Math.max(0, limit.limit - used))
    }
    if (state.showsHeaders) exchange.shared.set(USAGE, usageOf(limits, remaining, exchange.now, false))
  },

  responseHeaders({ shared, response }) {
    const usage = shared.get(USAGE) as Usage | undefined
    if (usage !== undefined) writeHeaders(response.headers, usage)
  },
})

/** Short, because it is hashed for every request; the same in every worker, and no two alike within a gateway's life (72 bits). */
function keyPrefixOf(route: string | null, service: string | null): string {
  return createHash('sha256')
    .update(`${route ?? ''}:${service ?? ''}`)
    .digest('base64url')
    .slice(0, 12)
}

/**
 * A refused request counts nowhere, so what earlier windows counted is taken back. Meanwhile that may refuse others, but only such
 * as the full window refuses too: a window that is full stays so until it ends.
 */
function refuse(exchange: Exchange, state: State, key: string, refusedBy: number): Exit {
  const { counters, limits } = state
  const remaining = limits.map((limit, i) => {
    enterWindow(limit, exchange.now)
    const name = key + limit.keySuffix
    if (i === refusedBy) return 0
    const used = i < refusedBy ? counters.add(name, -1, limit.endMs + LATE_MS) : counters.read(name)
    return Math.max(0, limit.limit - used)
  })
  if (state.showsHeaders) exchange.shared.set(USAGE, usageOf(limits, remaining, exchange.now, true))
  return exchange.fail(state.status, state.message)
}

function usageOf(limits: readonly Limit[], remaining: readonly number[], nowMs: number, isRefused: boolean): Usage {
  let tightest = 0
  for (let i = 1; i < limits.length; i++) if (remaining[i]! <= remaining[tightest]!) tightest = i
  const { windowSeconds, startMs } = limits[tightest]!
  const resetSeconds = Math.max(1, windowSeconds - Math.floor((nowMs - startMs) / 1000))
  return { limits, remaining, tightest, resetSeconds, isRefused }
}

function writeHeaders(headers: HeaderList, { limits, remaining, tightest, resetSeconds, isRefused }: Usage): void {
  for (let i = 0; i < limits.length; i++) {
    const { limitHeader, limitText, remainingHeader } = limits[i]!
    limitHeader.set(headers, limitText)
    remainingHeader.set(headers, String(remaining[i]))
  }
  RATELIMIT_LIMIT.set(headers, limits[tightest]!.limitText)
  RATELIMIT_REMAINING.set(headers, String(remaining[tightest]))
  RATELIMIT_RESET.set(headers, String(resetSeconds))
  if (isRefused) RETRY_AFTER.set(headers, String(resetSeconds))
}

function createLimit(period: Period, limit: number): Limit {
  const name = period.charAt(0).toUpperCase() + period.slice(1)
  return {
    period,
    limit,
    most: Math.ceil(limit),
    windowSeconds: WINDOW_SECONDS[period],
    limitHeader: new FieldName(`X-RateLimit-Limit-${name}`),
    limitText: String(limit),
    remainingHeader: new FieldName(`X-RateLimit-Remaining-${name}`),
    startMs: 0,
    endMs: 0,
    keySuffix: '',
  }
}

function enterWindow(limit: Limit, nowMs: number): void {
  if (nowMs >= limit.startMs && nowMs < limit.endMs) return
  limit.startMs = windowStart(limit.period, nowMs)
  limit.endMs = windowEnd(limit.period, limit.startMs)
  limit.keySuffix = `:${limit.period}${(limit.startMs / 1000).toString(36)}`
}
