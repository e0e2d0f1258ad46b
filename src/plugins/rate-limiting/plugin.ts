/** Limits how many requests somebody may make in a second, minute, ... or year, as Kong's rate-limiting does. */
import { definePlugin, type Exchange, type Exit, type StrictCounters } from '#pdk'
import { CalendarLimits, PERIODS, type LimitWindow } from '#pdk/calendar-window.ts'
import {
  counterPrefix,
  identifierOf,
  refuseClusterPolicy,
  requireClusterCounters,
  type Identifier,
} from '#pdk/limit-policy.ts'
import { schema } from './schema.ts'
import { shownLimit, usageOf, writeHeaders, type ShownLimit, type Usage } from './usage.ts'

/** Counters that decide by memory: of this node alone, or with what is known of all nodes. */
interface Counters {
  add(key: string, amount: number, expiresAtMs: number): number
  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number, startsAtMs: number): number
  read(key: string): number
}

interface State {
  readonly counters: Counters
  /** Set where each decision is Redis's. */
  readonly strict: StrictCounters | null
  /** Set where requests are refused rather than counted without the other nodes. */
  readonly strictly: { readonly isSynced: boolean } | null
  readonly isFaultTolerant: boolean
  /** What ends with this configuration. */
  readonly opened: { close(): void } | null
  readonly identify: Identifier
  /** The same for every instance on this route and service, so that they count together, as in Kong. */
  readonly keyPrefix: string
  readonly limits: CalendarLimits<ShownLimit>
  readonly showsHeaders: boolean
  readonly status: number
  readonly message: string
}

type Windows = readonly LimitWindow<ShownLimit>[]

const USAGE = 'rate-limiting.usage'
/** A request that waited before it was counted still belongs to the window in which it came. */
const LATE_MS = 2000

export const rateLimiting = definePlugin({
  schema,

  refuse(config, node) {
    const refused = refuseClusterPolicy(config.policy, node)
    if (refused !== null) return refused
    const status = config.error_code ?? 429
    if (Number.isInteger(status) && status >= 200 && status <= 599) return null
    return { field: 'error_code', message: `expected an HTTP status from 200 to 599, got ${status}` }
  },

  prepare(config, { counters, clusterCounters, redis, scope }): State {
    requireClusterCounters(config.policy, clusterCounters)
    const isInRedis = config.policy === 'redis'
    const synced = isInRedis && config.sync_rate > 0 ? redis.synced(config.redis, config.sync_rate) : null
    const strict = isInRedis && synced === null ? redis.strict(config.redis) : null
    const shared = synced ?? (config.policy === 'cluster' ? clusterCounters : null)
    const limits = PERIODS.flatMap((period) => {
      const limit = config[period]
      return limit === null ? [] : [shownLimit(period, limit)]
    })
    return {
      counters: shared ?? counters,
      strict,
      strictly: config.fault_tolerant ? null : shared,
      isFaultTolerant: config.fault_tolerant,
      opened: synced ?? strict,
      identify: identifierOf(config.limit_by ?? 'consumer', config.header_name, config.path),
      keyPrefix: counterPrefix('', scope),
      limits: new CalendarLimits(limits),
      showsHeaders: !config.hide_client_headers,
      status: config.error_code ?? 429,
      message: config.error_message ?? 'API rate limit exceeded',
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    if (state.strict !== null) return decideInRedis(exchange, state, state.strict)
    const { counters, strictly } = state
    if (strictly !== null && !strictly.isSynced) return failClosed(exchange)
    const key = state.keyPrefix + state.identify(exchange)
    const windows = state.limits.at(exchange.now)
    const remaining: number[] = []
    for (let i = 0; i < windows.length; i++) {
      const { limit, most, keySuffix, startMs, endMs } = windows[i]!
      const used = counters.addUpTo(key + keySuffix, 1, most, endMs + LATE_MS, startMs)
      if (used > most) return refuse(exchange, state, key, windows, i)
      remaining.push(Math.max(0, limit.limit - used))
    }
    show(exchange, state, windows, remaining, false)
  },

  responseHeaders({ shared, response }) {
    const usage = shared.get(USAGE) as Usage | undefined
    if (usage !== undefined) writeHeaders(response.headers, usage)
  },

  close({ opened }) {
    opened?.close()
  },
})

/** While Redis is known not to answer, this decides at once. */
function decideInRedis(exchange: Exchange, state: State, strict: StrictCounters): void | Exit | Promise<void | Exit> {
  const key = state.keyPrefix + state.identify(exchange)
  const windows = state.limits.at(exchange.now)
  const asked = strict.take(key, 1, windows)
  if (asked === null) return decideAlone(exchange, state, strict, key, windows)
  return asked.then((answer) =>
    answer === null ? decideAlone(exchange, state, strict, key, windows) : conclude(exchange, state, windows, answer),
  )
}

function decideAlone(
  exchange: Exchange,
  state: State,
  strict: StrictCounters,
  key: string,
  windows: Windows,
): void | Exit {
  if (!state.isFaultTolerant) return failClosed(exchange)
  return conclude(exchange, state, windows, strict.takeAlone(key, 1, windows))
}

/** `answer`: 0 or the number of the window that refused, then the totals. */
function conclude(exchange: Exchange, state: State, windows: Windows, answer: readonly number[]): void | Exit {
  const isRefused = answer[0] !== 0
  const remaining = windows.map(({ limit }, i) => Math.max(0, limit.limit - answer[i + 1]!))
  show(exchange, state, windows, remaining, isRefused)
  if (isRefused) return exchange.fail(state.status, state.message)
}

/**
 * A refused request counts nowhere, so what earlier windows counted is taken back. Meanwhile that may refuse others, but only such
 * as the full window refuses too: a window that is full stays so until it ends.
 */
function refuse(exchange: Exchange, state: State, key: string, windows: Windows, refusedBy: number): Exit {
  const { counters } = state
  const remaining = windows.map(({ limit, keySuffix, endMs }, i) => {
    if (i === refusedBy) return 0
    const used = i < refusedBy ? counters.add(key + keySuffix, -1, endMs + LATE_MS) : counters.read(key + keySuffix)
    return Math.max(0, limit.limit - used)
  })
  show(exchange, state, windows, remaining, true)
  return exchange.fail(state.status, state.message)
}

function show(
  exchange: Exchange,
  state: State,
  windows: Windows,
  remaining: readonly number[],
  isRefused: boolean,
): void {
  if (state.showsHeaders) exchange.shared.set(USAGE, usageOf(windows, remaining, exchange.now, isRefused))
}

function failClosed(exchange: Exchange): Exit {
  return exchange.fail(500, 'An unexpected error occurred')
}
