/** Limits how many requests somebody may make in a second, minute, ... or year, as Kong's rate-limiting does. */
import { definePlugin, type Exchange, type Exit, type LocalCounters } from '#pdk'
import { identifierOf, type Identifier } from './identifier.ts'
import { schema } from './schema.ts'
import { PERIODS, windowEnd, windowStart, WINDOW_SECONDS, type Period } from './window.ts'

interface Limit {
  readonly period: Period
  readonly limit: number
  /** The most that is admitted: one more as long as the count is below the limit, also where that is not whole. */
  readonly most: number
  readonly windowSeconds: number
  readonly limitHeader: string
  readonly limitText: string
  readonly remainingHeader: string
  /** The window of the last request seen, so that only the first one in a window works it out. */
  startMs: number
  endMs: number
  keySuffix: string
}

interface State {
  readonly counters: LocalCounters
  readonly identify: Identifier
  /** The same for every instance with this scope, so that they count together, as in Kong. */
  readonly keyPrefix: string
  /** In the order of their periods. */
  readonly limits: readonly Limit[]
  /** What is left in each window of the request at hand; written and read within one call, kept only to save making it. */
  readonly remaining: number[]
  readonly showsHeaders: boolean
  readonly status: number
  readonly message: string
}

const NO_ID = '00000000-0000-0000-0000-000000000000'
/** Names and values in turn, for the response phase. */
const HEADERS = 'rate-limiting.headers'
/** A request that waited before it was counted still belongs to the window in which it came. */
const LATE_MS = 2000

export const rateLimiting = definePlugin({
  schema,

  refuse(config) {
    if (config.policy !== 'local') {
      return {
        field: 'policy',
        message: `policy '${config.policy}' is not available in this version of Meridian; 'local' counts on each node for itself`,
      }
    }
    const status = config.error_code ?? 429
    if (Number.isInteger(status) && status >= 200 && status <= 599) return null
    return { field: 'error_code', message: `expected an HTTP status from 200 to 599, got ${status}` }
  },

  prepare(config, { counters, scope }): State {
    return {
      counters,
      identify: identifierOf(config.limit_by ?? 'consumer', config.header_name, config.path),
      keyPrefix: `ratelimit:${scope.route ?? NO_ID}:${scope.service ?? NO_ID}:`,
      limits: PERIODS.flatMap((period) => {
        const limit = config[period]
        return limit === null ? [] : [createLimit(period, limit)]
      }),
      remaining: [],
      showsHeaders: !config.hide_client_headers,
      status: config.error_code ?? 429,
      message: config.error_message ?? 'API rate limit exceeded',
    }
  },

  access(exchange, state): void | Exit {
    const { counters, limits, remaining } = state
    const key = state.keyPrefix + state.identify(exchange)
    for (let i = 0; i < limits.length; i++) {
      const limit = limits[i]!
      enterWindow(limit, exchange.now)
      const used = counters.addUpTo(key + limit.keySuffix, 1, limit.most, limit.endMs + LATE_MS)
      if (used > limit.most) return refuse(exchange, state, key, i)
      remaining[i] = Math.max(0, limit.limit - used)
    }
    if (state.showsHeaders) exchange.shared.set(HEADERS, describe(state, exchange.now, false))
  },

  responseHeaders({ shared, response }) {
    const headers = shared.get(HEADERS) as readonly string[] | undefined
    if (headers === undefined) return
    for (let i = 0; i < headers.length; i += 2) response.headers.set(headers[i]!, headers[i + 1]!)
  },
})

/**
 * A refused request counts nowhere, so what earlier windows counted is taken back. Meanwhile that may refuse others, but only such
 * as the full window refuses too: a window that is full stays so until it ends.
 */
function refuse(exchange: Exchange, state: State, key: string, refusedBy: number): Exit {
  const { counters, limits, remaining } = state
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i]!
    enterWindow(limit, exchange.now)
    const name = key + limit.keySuffix
    if (i === refusedBy) remaining[i] = 0
    else if (i < refusedBy) remaining[i] = Math.max(0, limit.limit - counters.add(name, -1, limit.endMs + LATE_MS))
    else remaining[i] = Math.max(0, limit.limit - counters.read(name))
  }
  if (state.showsHeaders) exchange.shared.set(HEADERS, describe(state, exchange.now, true))
  return exchange.fail(state.status, state.message)
}

/** Names and values of the headers. The general ones speak of the window with the fewest requests left, the longest of several. */
function describe({ limits, remaining }: State, nowMs: number, isRefused: boolean): string[] {
  const headers: string[] = []
  let tightest = 0
  for (let i = 0; i < limits.length; i++) {
    const { limitHeader, limitText, remainingHeader } = limits[i]!
    headers.push(limitHeader, limitText, remainingHeader, String(remaining[i]))
    if (remaining[i]! <= remaining[tightest]!) tightest = i
  }
  const { limitText, windowSeconds, startMs } = limits[tightest]!
  const reset = String(Math.max(1, windowSeconds - Math.floor((nowMs - startMs) / 1000)))
  headers.push(
    'RateLimit-Limit',
    limitText,
    'RateLimit-Remaining',
    String(remaining[tightest]),
    'RateLimit-Reset',
    reset,
  )
  if (isRefused) headers.push('Retry-After', reset)
  return headers
}

function createLimit(period: Period, limit: number): Limit {
  const name = period.charAt(0).toUpperCase() + period.slice(1)
  return {
    period,
    limit,
    most: Math.ceil(limit),
    windowSeconds: WINDOW_SECONDS[period],
    limitHeader: `X-RateLimit-Limit-${name}`,
    limitText: String(limit),
    remainingHeader: `X-RateLimit-Remaining-${name}`,
    startMs: 0,
    endMs: 0,
    keySuffix: '',
  }
}

function enterWindow(limit: Limit, nowMs: number): void {
  if (nowMs >= limit.startMs && nowMs < limit.endMs) return
  limit.startMs = windowStart(limit.period, nowMs)
  limit.endMs = windowEnd(limit.period, limit.startMs)
  limit.keySuffix = `:${limit.startMs}:${limit.period}`
}
