/**
 * Limits what responses use: the upstream says in a header how much of which limit an answer was worth, as Kong's
 * response-ratelimiting does.
 */
import {
  definePlugin,
  type BodyTransform,
  type ClusterCounters,
  type Exchange,
  type Exit,
  type LocalCounters,
  FieldName,
  type StrictCounters,
} from '#pdk'
import { PERIODS, type Period } from '#pdk/calendar-window.ts'
import {
  counterPrefix,
  identifierOf,
  refuseClusterPolicy,
  requireClusterCounters,
  type Identifier,
} from '#pdk/limit-policy.ts'
import { schema } from './schema.ts'
import { namedLimit, parseIncrements, tellClient, tellUpstream, usageOf } from './usage.ts'
import type { NamedLimit, Usage, Windows } from './usage.ts'

interface State {
  readonly local: LocalCounters
  /** Set where all nodes count together by memory. */
  readonly shared: ClusterCounters | null
  /** Set where the counters are in Redis. */
  readonly strict: StrictCounters | null
  readonly isFaultTolerant: boolean
  /** What ends with this configuration. */
  readonly opened: { close(): void } | null
  readonly identify: Identifier
  readonly keyPrefix: string
  readonly limits: readonly NamedLimit[]
  readonly usageHeader: FieldName
  readonly blocks: boolean
  readonly showsHeaders: boolean
}

const USAGE = 'response-ratelimiting.usage'
/** An answer that comes late still belongs to the window in which its request came. */
const LATE_MS = 600_000
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const CONTENT_ENCODING = new FieldName('Content-Encoding')
/** A refused answer has no body, whatever the upstream sent. */
const NO_BODY: BodyTransform = { chunk: () => null, end: () => null }

export const responseRatelimiting = definePlugin({
  schema,

  refuse(config, node) {
    const refused = refuseClusterPolicy(config.policy, node)
    if (refused !== null) return refused
    for (const name of Object.keys(config.limits)) {
      if (!TOKEN.test(name))
        return { field: 'limits', message: `expected names that can stand in a header's name, got '${name}'` }
    }
    const header = config.header_name ?? ''
    return TOKEN.test(header)
      ? null
      : { field: 'header_name', message: `expected the name of a header, got '${header}'` }
  },

  prepare(config, { counters, clusterCounters, redis, scope }): State {
    requireClusterCounters(config.policy, clusterCounters)
    const strict = config.policy === 'redis' ? redis.strict(config.redis) : null
    return {
      local: counters,
      shared: config.policy === 'cluster' ? clusterCounters : null,
      strict,
      isFaultTolerant: config.fault_tolerant,
      opened: strict,
      identify: identifierOf(config.limit_by ?? 'consumer'),
      keyPrefix: counterPrefix('response:', scope),
      limits: Object.entries(config.limits).map(([name, periods]) => namedLimit(name, periodsOf(periods))),
      usageHeader: new FieldName(config.header_name ?? 'x-kong-limit'),
      blocks: config.block_on_first_violation,
      showsHeaders: !config.hide_client_headers,
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    const { limits, strict, shared } = state
    const key = state.keyPrefix + state.identify(exchange)
    const windows = limits.map(({ calendar }) => calendar.at(exchange.now))
    if (strict !== null) return askRedis(exchange, state, strict, key, windows)
    if (shared !== null && !shared.isSynced && !state.isFaultTolerant) return failClosed(exchange)
    const counters = shared ?? state.local
    const totals = windows.flatMap((ofLimit) => ofLimit.map(({ keySuffix }) => counters.read(key + keySuffix)))
    return admit(exchange, state, usageOf(key, windows, totals))
  },

  responseHeaders({ shared, response, hasClient }, state) {
    // What nobody asked for is nobody's to pay; who is served it later has paid for nothing of it either.
    if (!hasClient) return state.usageHeader.remove(response.headers)
    const usage = shared.get(USAGE) as Usage | undefined
    if (usage === undefined) return
    usage.increments = parseIncrements(state.usageHeader.getAll(response.headers), state.limits)
    state.usageHeader.remove(response.headers)
    usage.isRefused = usage.increments.some(
      (increment, index) => increment > 0 && usage.remaining[index]!.some((left) => left <= 0),
    )
    if (state.showsHeaders) tellClient(response.headers, usage)
    if (!usage.isRefused) return
    response.status = 429
    CONTENT_ENCODING.remove(response.headers)
  },

  responseBody({ shared }): BodyTransform | null {
    const usage = shared.get(USAGE) as Usage | undefined
    return usage?.isRefused === true ? NO_BODY : null
  },

  log({ shared }, state) {
    const usage = shared.get(USAGE) as Usage | undefined
    if (usage === undefined) return
    for (const [index, increment] of usage.increments.entries())
      if (increment > 0) count(state, usage.key, increment, usage.windows[index]!)
  },

  close({ opened }) {
    opened?.close()
  },
})

function askRedis(
  exchange: Exchange,
  state: State,
  strict: StrictCounters,
  key: string,
  windows: readonly Windows[],
): void | Exit | Promise<void | Exit> {
  const all = windows.flat()
  const alone = () =>
    state.isFaultTolerant
      ? admit(exchange, state, usageOf(key, windows, strict.readAlone(key, all).slice(1)))
      : failClosed(exchange)
  const asked = strict.read(key, all)
  if (asked === null) return alone()
  return asked.then((answer) =>
    answer === null ? alone() : admit(exchange, state, usageOf(key, windows, answer.slice(1))),
  )
}

function admit(exchange: Exchange, state: State, usage: Usage): void | Exit {
  if (state.blocks) {
    const at = usage.remaining.findIndex((ofLimit) => ofLimit.some((left) => left <= 0))
    if (at >= 0) return exchange.fail(429, `API rate limit exceeded for '${state.limits[at]!.name}'`)
  }
  tellUpstream(exchange, state.limits, usage)
  exchange.shared.set(USAGE, usage)
}

/** What the upstream has spent counts, also when its answer was refused. */
function count(state: State, key: string, amount: number, windows: Windows): void {
  const { local, shared, strict } = state
  if (strict !== null) {
    const asked = strict.add(key, amount, windows)
    if (asked === null) strict.addAlone(key, amount, windows)
    else void asked.then((answer) => answer ?? strict.addAlone(key, amount, windows))
    return
  }
  for (const { keySuffix, endMs, startMs } of windows) {
    if (shared === null) local.add(key + keySuffix, amount, endMs + LATE_MS)
    else shared.count(key + keySuffix, amount, endMs + LATE_MS, startMs)
  }
}

function periodsOf(periods: Partial<Record<Period, number | null>>): Record<Period, number | null> {
  return Object.fromEntries(PERIODS.map((period) => [period, periods[period] ?? null])) as Record<Period, number | null>
}

function failClosed(exchange: Exchange): Exit {
  return exchange.fail(500, 'An unexpected error occurred')
}
