/**
 * Limits what requests cost: several windows at once, sliding windows and buckets, tiers by consumer group, over nodes and data
 * centers.
 */
import {
  definePlugin,
  FieldName,
  storeFailure,
  type EntityReader,
  type Exchange,
  type Exit,
  type LimitDecision,
  type Limiter,
  type LimitWindow,
  type MetricsSink,
  type NodeAbilities,
} from '#pdk'
import { counterPrefix, identifierOf, type Identifier } from '#pdk/limit-policy.ts'
import { groupsOf } from '#pdk/consumer-groups.ts'
import { shownLimits, standingOf, writeHeaders, type ShownLimits, type Standing } from './headers.ts'
import { schema, type Config } from './schema.ts'
import { LimitWindows, problemOf } from './windows.ts'

/** Limits that hold for somebody. */
interface Tier {
  readonly group: string
  readonly windows: LimitWindows
  readonly shown: ShownLimits
}

interface State {
  readonly limiter: Limiter
  readonly entities: EntityReader
  readonly metrics: MetricsSink
  readonly keyPrefix: string
  readonly identify: Identifier
  /** Of whoever is in none of the tiers' groups. */
  readonly usual: Tier
  readonly tiers: readonly Tier[]
  readonly needsGroups: boolean
  readonly byGroup: boolean
  readonly cost: number
  readonly costHeader: FieldName | null
  readonly costResponseHeader: FieldName | null
  readonly isShadow: boolean
  readonly showsHeaders: boolean
  readonly status: number
  readonly message: string
}

/** What a request was counted as. */
interface Counted {
  readonly key: string
  readonly cost: number
  readonly tier: Tier
  readonly windows: readonly LimitWindow[]
  readonly standing: Standing
}

const COUNTED = 'traffic-limit.counted'
const COST = /^\d{1,9}(\.\d{1,6})?$/

export const trafficLimit = definePlugin({
  schema,

  refuse(config, node) {
    const wrong = problemOfLimits('limits', config.limits)
    if (wrong !== null) return wrong
    for (const [index, { limits }] of (config.tiers ?? []).entries()) {
      const inTier = problemOfLimits(`tiers.${index}.limits`, limits)
      if (inTier !== null) return inTier
    }
    if (config.limit_by === 'header' && config.header_name === null)
      return { field: 'header_name', message: "expected one with limit_by 'header'" }
    if (config.limit_by === 'path' && config.path === null)
      return { field: 'path', message: "expected one with limit_by 'path'" }
    return problemOfPlace(config, node)
  },

  prepare(config, { redis, entities, metrics, scope }): State {
    const { tiers, consistency, sync_rate: syncRate } = config
    return {
      limiter: redis.limiter({
        policy: config.policy,
        redis: config.redis,
        syncRate,
        consistency,
        isFaultTolerant: config.fault_tolerant,
      }),
      entities,
      metrics,
      keyPrefix: counterPrefix('traffic:', scope),
      identify: identifierOf(
        config.limit_by === 'consumer-group' ? 'consumer' : config.limit_by,
        config.header_name,
        config.path,
      ),
      usual: tierOf('', config.limits),
      tiers: (tiers ?? []).map((tier) => tierOf(tier.consumer_group, tier.limits)),
      needsGroups: (tiers?.length ?? 0) > 0 || config.limit_by === 'consumer-group',
      byGroup: config.limit_by === 'consumer-group',
      cost: config.cost,
      costHeader: config.cost_header === null ? null : new FieldName(config.cost_header),
      costResponseHeader: config.cost_response_header === null ? null : new FieldName(config.cost_response_header),
      isShadow: config.shadow,
      showsHeaders: !config.hide_client_headers && !config.shadow,
      status: config.error_code,
      message: config.error_message,
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    if (!state.needsGroups || exchange.consumer === null)
      return decide(exchange, state, state.usual, state.identify(exchange))
    const groups = groupsOf(exchange, state.entities)
    if (!(groups instanceof Promise)) return decideByGroups(exchange, state, groups)
    return groups.then(
      (found) => decideByGroups(exchange, state, found),
      (error: unknown) => storeFailure(exchange, error),
    )
  },

  responseHeaders(exchange, state) {
    const counted = exchange.recall(COUNTED) as Counted | undefined
    if (counted === undefined) return
    const { headers } = exchange.response
    if (state.costResponseHeader !== null) countResponse(exchange, state, state.costResponseHeader, counted)
    if (state.showsHeaders) writeHeaders(headers, counted.tier.shown, counted.standing)
  },

  close({ limiter }) {
    limiter.close()
  },
})

function problemOfLimits(field: string, limits: Config['limits']) {
  const names = new Set<string>()
  for (const [index, limit] of limits.entries()) {
    const problem = problemOf(limit)
    if (problem !== null) return { field: `${field}.${index}.${problem[0]}`, message: problem[1] }
    const { name } = new LimitWindows([limit]).limits[0]!
    if (names.has(name.toLowerCase()))
      return { field: `${field}.${index}.name`, message: `expected another name, '${name}' is there already` }
    names.add(name.toLowerCase())
  }
  return null
}

/** Where limits are kept, and whether they can be there. */
function problemOfPlace(config: Config, { hasDataCenters, canLease }: NodeAbilities) {
  const { policy, redis, consistency, sync_rate: syncRate } = config
  if (policy === 'local') {
    if (consistency !== null) return { field: 'consistency', message: "expected none with policy 'local'" }
    return syncRate === -1 ? null : { field: 'sync_rate', message: "expected -1 with policy 'local'" }
  }
  if (syncRate !== -1 && syncRate < 0.02)
    return { field: 'sync_rate', message: `expected -1 or seconds from 0.02 on, got ${syncRate}` }
  if (redis.host === null && !hasDataCenters)
    return { field: 'redis.host', message: 'expected the address of a Redis, or the name of a profile' }
  if (consistency === null || consistency === 'local') return null
  if (!hasDataCenters)
    return { field: 'consistency', message: `'${consistency}' needs data centers in redis_data_centers` }
  if (consistency === 'counted') return null
  if (!canLease)
    return { field: 'consistency', message: "'leased' can't be had where the Redis of a data center is a Cluster" }
  if (syncRate !== -1) return { field: 'sync_rate', message: "expected -1 with consistency 'leased'" }
  const lists = [config.limits, ...(config.tiers ?? []).map(({ limits }) => limits)].flat()
  const unfit = lists.find(({ algorithm, limit }) => algorithm !== 'fixed' || !Number.isInteger(limit))
  return unfit === undefined
    ? null
    : { field: 'consistency', message: "'leased' is for whole limits with algorithm 'fixed'" }
}

function tierOf(group: string, limits: Config['limits']): Tier {
  const windows = new LimitWindows(limits)
  return { group, windows, shown: shownLimits(windows.limits) }
}

/** The first tier that names one of the groups, by name or id. */
function decideByGroups(
  exchange: Exchange,
  state: State,
  groups: readonly { readonly id: string; readonly name: string }[],
): void | Exit | Promise<void | Exit> {
  const tier = state.tiers.find(({ group }) => groups.some(({ id, name }) => name === group || id === group))
  const whom = state.byGroup && groups.length > 0 ? groups[0]!.id : state.identify(exchange)
  return decide(exchange, state, tier ?? state.usual, whom)
}

function decide(exchange: Exchange, state: State, tier: Tier, whom: string): void | Exit | Promise<void | Exit> {
  const key = state.keyPrefix + whom
  const windows = tier.windows.at(exchange.now)
  const cost = costOf(state.costHeader?.get(exchange.request.headers) ?? null, state.cost)
  const decision = state.limiter.take(key, cost, windows, exchange.now)
  if (!(decision instanceof Promise)) return conclude(exchange, state, tier, key, cost, windows, decision)
  return decision.then((answer) => conclude(exchange, state, tier, key, cost, windows, answer))
}

function conclude(
  exchange: Exchange,
  state: State,
  tier: Tier,
  key: string,
  cost: number,
  windows: readonly LimitWindow[],
  decision: LimitDecision | null,
): void | Exit {
  if (decision === null) {
    if (state.isShadow) return
    return exchange.fail(500, 'An unexpected error occurred')
  }
  const standing = standingOf(windows, decision, cost, exchange.now)
  exchange.shared.set(COUNTED, { key, cost, tier, windows, standing } satisfies Counted)
  if (decision.refusedBy === 0) return
  const limit = tier.shown.names[decision.refusedBy - 1]!
  state.metrics.limitRefused(limit, state.isShadow ? 'shadow' : 'enforced')
  exchange.logFields ??= {}
  exchange.logFields['traffic_limit'] = { refused_by: limit, tier: tier.group, shadow: state.isShadow }
  if (!state.isShadow) return exchange.fail(state.status, state.message)
}

/** What an answer cost more than its request was counted as; what it cost less stays counted, as counters only grow. */
function countResponse(exchange: Exchange, state: State, header: FieldName, counted: Counted): void {
  const { headers } = exchange.response
  const extra = costOf(header.get(headers), counted.cost) - counted.cost
  header.remove(headers)
  if (extra > 0 && exchange.response.source === 'service')
    state.limiter.add(counted.key, extra, counted.windows, Math.max(exchange.now, counted.windows[0]!.startMs))
}

function costOf(text: string | null, otherwise: number): number {
  return text !== null && COST.test(text) ? Number(text) : otherwise
}
