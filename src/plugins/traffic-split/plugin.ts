/** Sends a part of the requests to other services: canaries by percent or rule, which end by themselves when they do worse. */
import { randomInt } from 'node:crypto'
import {
  definePlugin,
  FieldName,
  type ConsumerGroup,
  type EntityReader,
  type Exchange,
  type MetricsSink,
  type PluginLog,
} from '#pdk'
import { groupsOf } from '#pdk/consumer-groups.ts'
import { cookieValues, setCookie } from '#pdk/cookies.ts'
import { NO_RULE, Rules } from './rules.ts'
import { refusalOf } from './refusal.ts'
import { schema, type Config } from './schema.ts'
import { bucketOf, BUCKETS, progressOf, Shares, type Ramp } from './shares.ts'
import { rampOf, SplitState, STABLE } from './split-state.ts'
import { judge } from './verdict.ts'

/** How often workers look at what they share. */
const TICK_MS = 500
const SHARED = 'traffic-split'
const NO_GROUPS: readonly ConsumerGroup[] = []

interface Side {
  readonly name: string
  /** Null for the route's own service. */
  readonly kind: 'service' | 'upstream' | null
  readonly ref: string
  /** As all workers know, at the last tick. */
  isAborted: boolean
  /** Whether the log has said that there is no such service. */
  isMissing: boolean
}

interface State {
  readonly config: Config
  readonly id: string
  readonly targets: readonly Side[]
  readonly stable: Side
  readonly rules: Rules
  readonly shares: Shares
  readonly ramp: Ramp | null
  readonly stickyHeader: FieldName | null
  readonly variantHeader: FieldName | null
  readonly shared: SplitState
  readonly entities: EntityReader
  readonly metrics: MetricsSink
  readonly log: PluginLog
  readonly timer: NodeJS.Timeout
}

/** What became of one exchange. */
interface Decision {
  readonly side: Side
  /** The bucket that a new cookie is to keep; -1 for none. */
  readonly newBucket: number
}

export const trafficSplit = definePlugin({
  schema,
  refuse: refusalOf,

  prepare(config, { counters, pluginId, entities, metrics, log, workerIndex }): State {
    const state: State = {
      config,
      id: pluginId,
      targets: config.targets.map(({ name, service, upstream }) => ({
        name,
        kind: service === null ? 'upstream' : 'service',
        ref: service ?? upstream!,
        isAborted: false,
        isMissing: false,
      })),
      stable: { name: STABLE, kind: null, ref: '', isAborted: false, isMissing: false },
      rules: new Rules(config),
      shares: new Shares(config.targets.map(({ weight }) => weight)),
      ramp: rampOf(config),
      stickyHeader: config.sticky === 'header' ? new FieldName(config.sticky_header!) : null,
      variantHeader: config.variant_header === null ? null : new FieldName(config.variant_header),
      shared: new SplitState(counters, pluginId, config),
      entities,
      metrics,
      log,
      timer: setInterval(() => tick(state, Date.now(), workerIndex === 0), TICK_MS).unref(),
    }
    tick(state, Date.now(), workerIndex === 0)
    return state
  },

  access(exchange, state): void | Promise<void> {
    if (!state.rules.needsGroups || exchange.consumer === null) return split(exchange, state, NO_GROUPS)
    const groups = groupsOf(exchange, state.entities)
    return groups instanceof Promise ? splitLater(exchange, state, groups) : split(exchange, state, groups)
  },

  responseHeaders(exchange, state) {
    const decision = exchange.recall(SHARED) as Decision | undefined
    if (decision === undefined) return
    const { headers } = exchange.response
    if (state.variantHeader !== null) state.variantHeader.set(headers, decision.side.name)
    if (decision.newBucket < 0) return
    const attributes = {
      path: '/',
      domain: null,
      sameSite: 'Lax',
      isHttpOnly: true,
      isSecure: exchange.request.scheme === 'https',
    } as const
    setCookie(headers, state.config.cookie_name, String(decision.newBucket), attributes, state.config.cookie_max_age)
  },

  log(exchange, { shared, metrics, id }) {
    const decision = exchange.recall(SHARED) as Decision | undefined
    if (decision === undefined) return
    const { name } = decision.side
    const isError = failed(exchange)
    if (isError === null) return
    metrics.splitFinished(id, name, isError ? 'error' : 'ok')
    const latencyMs = exchange.upstreamLatencyMs < 0 ? exchange.totalLatencyMs : exchange.upstreamLatencyMs
    shared.window(name)?.record(isError ? null : latencyMs, exchange.startedAtMs + exchange.totalLatencyMs)
  },

  close({ timer, targets, metrics, id }) {
    clearInterval(timer)
    for (const { name } of targets) metrics.splitStated(id, name, 0, false)
  },
})

async function splitLater(exchange: Exchange, state: State, groups: Promise<readonly ConsumerGroup[]>): Promise<void> {
  let known = NO_GROUPS
  try {
    known = await groups
  } catch (error) {
    // Where the request goes is no question of who may do what: without its groups it goes as those without any do.
    state.log.warn({ err: error }, 'the groups of a consumer cannot be had, a traffic split goes on without them')
  }
  split(exchange, state, known)
}

function split(exchange: Exchange, state: State, groups: readonly ConsumerGroup[]): void {
  let newBucket = -1
  let number = state.rules.targetFor(exchange, groups)
  if (number === NO_RULE) {
    let bucket = stickyBucket(exchange, state)
    if (bucket < 0) {
      bucket = randomInt(BUCKETS)
      if (state.config.sticky === 'cookie') newBucket = bucket
    }
    number = state.shares.at(bucket, progressOf(state.ramp, exchange.now))
  }
  let side = number < 0 ? state.stable : state.targets[number]!
  if (side.kind !== null && (side.isAborted || !chosen(exchange, state, side))) side = state.stable
  exchange.shared.set(SHARED, { side, newBucket } satisfies Decision)
  ;(exchange.logFields ??= {})['traffic_split'] = side.name
}

/** The bucket that the client keeps; -1 where it has none. */
function stickyBucket(exchange: Exchange, { config, id, stickyHeader }: State): number {
  const { request, consumer } = exchange
  switch (config.sticky) {
    case 'none':
      return -1
    case 'cookie': {
      const [value = ''] = cookieValues(request.headers, config.cookie_name)
      return /^\d{1,4}$/.test(value) ? Number(value) : -1
    }
    case 'header': {
      const value = stickyHeader!.get(request.headers)
      return value === null ? -1 : bucketOf(id, value)
    }
    case 'consumer':
      if (consumer !== null) return bucketOf(id, consumer.id)
  }
  return bucketOf(id, request.clientIp)
}

function chosen(exchange: Exchange, state: State, side: Side): boolean {
  if (exchange.chooser?.choose(side.kind!, side.ref) === true) {
    side.isMissing = false
    return true
  }
  if (!side.isMissing)
    state.log.error({ target: side.name, [side.kind!]: side.ref }, 'a target of a traffic split is not there')
  side.isMissing = true
  state.metrics.counted(schema.name, 'missing_target')
  return false
}

/** Whether the side failed; null where the exchange says nothing about it: the client left, or a plugin answered. */
function failed({ response, error }: Exchange): boolean | null {
  if (response.source === 'service') return response.status >= 500
  // Where no target can be had the gateway answers itself, as plugins do.
  if (response.status >= 500) return true
  return response.source === 'error' && error !== null ? true : null
}

/** Looks at what all workers know; the one who `judges` also decides. */
export function tick(state: State, nowMs: number, judges: boolean): void {
  const { config, targets, shared, metrics, log, id } = state
  const progress = progressOf(state.ramp, nowMs)
  const stable = judges && config.abort !== null ? shared.window(STABLE)!.read(nowMs) : null
  for (const [i, side] of targets.entries()) {
    const wasAborted = side.isAborted
    side.isAborted = shared.aborted(side.name) !== null
    if (stable !== null && !side.isAborted) {
      const figures = shared.window(side.name)!.read(nowMs)
      const reason = judge(figures, stable, config.abort!)
      if (reason !== null && shared.abort(side.name, reason, nowMs)) {
        side.isAborted = true
        const { requests, errors } = figures
        log.error(
          { plugin_id: id, target: side.name, reason, requests, errors },
          'a target of a traffic split is aborted',
        )
      }
    }
    if (judges && wasAborted && !side.isAborted)
      log.info({ plugin_id: id, target: side.name }, 'a target of a traffic split has its share again')
    const share = side.isAborted ? 0 : (config.targets[i]!.weight / 100) * progress
    if (judges) metrics.splitStated(id, side.name, share, side.isAborted)
  }
}
