/** What each metric of a statsd configuration says of an exchange: compiled once, so that a request makes its lines and no decisions. */
import { latenciesOf, type Exchange } from '#pdk'
import { isSampled, statsdLine, statsdName, statsdText, type StatType, type Tags, type TagStyle } from '#pdk/statsd.ts'
import { consumerOf, serviceOf, workspaceOf } from './identifiers.ts'
import type { Config } from './schema.ts'

type MetricConfig = NonNullable<Config['metrics']>[number]
/** Adds the lines of one metric. */
export type Metric = (exchange: Exchange, lines: string[]) => void

/** Values that a metric of Kong's has for every request; -1 is none. */
const VALUES: Readonly<Record<string, { readonly stat: string; readonly read: (exchange: Exchange) => number }>> = {
  request_size: { stat: 'request.size', read: ({ request }) => request.bytesReceived },
  response_size: { stat: 'response.size', read: ({ response }) => response.bytesSent },
  latency: { stat: 'latency', read: (exchange) => latenciesOf(exchange).request },
  upstream_latency: { stat: 'upstream_latency', read: (exchange) => latenciesOf(exchange).proxy },
  kong_latency: { stat: 'kong_latency', read: (exchange) => latenciesOf(exchange).kong },
  request_count: { stat: 'request.count', read: () => 1 },
}

export interface MetricPlaces {
  /** What every name begins with. */
  readonly prefix: string
  /** With dots as underscores. */
  readonly node: string
}

/** Null for a metric that this configuration never sends: with tags, Kong's counts by user and status are tags of the others. */
export function compileMetric(metric: MetricConfig, config: Config, places: MetricPlaces): Metric | null {
  const value = VALUES[metric.name]
  const type = metric.stat_type
  const rate = metric.sample_rate
  if (config.tag_style !== null) {
    if (value === undefined) return null
    return taggedMetric(`${places.prefix}.${value.stat}`, value.read, metric, config, places, config.tag_style)
  }
  const scopeOf = scopes(metric, config)
  const named = (stat: string, amount: number | string, kind: StatType): string =>
    statsdLine(`${places.prefix}.${stat}`, amount, kind, kind === 'set' ? null : rate, null, null)
  if (value !== undefined) {
    return (exchange, lines) => {
      const amount = value.read(exchange)
      if (amount !== -1 && isSampled(rate)) lines.push(named(`${scopeOf(exchange)}.${value.stat}`, amount, type))
    }
  }
  const userOf = (exchange: Exchange): string | null => {
    const user = consumerOf(exchange, metric.consumer_identifier ?? config.consumer_identifier_default)
    return user === null ? null : statsdText(user)
  }
  switch (metric.name) {
    case 'unique_users':
      return (exchange, lines) => {
        const user = userOf(exchange)
        if (user !== null) lines.push(named(`${scopeOf(exchange)}.user.uniques`, user, 'set'))
      }
    case 'request_per_user':
      return (exchange, lines) => {
        const user = userOf(exchange)
        if (user !== null && isSampled(rate))
          lines.push(named(`${scopeOf(exchange)}.user.${user}.request.count`, 1, 'counter'))
      }
    case 'status_count':
      return (exchange, lines) => {
        if (isSampled(rate)) lines.push(named(`${scopeOf(exchange)}.status.${exchange.response.status}`, 1, 'counter'))
      }
    case 'status_count_per_user':
      return (exchange, lines) => {
        const user = userOf(exchange)
        if (user !== null && isSampled(rate))
          lines.push(named(`${scopeOf(exchange)}.user.${user}.status.${exchange.response.status}`, 1, 'counter'))
      }
    case 'status_count_per_workspace':
      return (exchange, lines) => {
        const workspace = workspaceOf(exchange, metric.workspace_identifier ?? config.workspace_identifier_default)
        if (workspace !== null && isSampled(rate)) {
          const stat = `${scopeOf(exchange)}.workspace.${statsdText(workspace)}.status.${exchange.response.status}`
          lines.push(named(stat, 1, 'counter'))
        }
      }
    case 'status_count_per_user_per_route':
      return (exchange, lines) => {
        const user = userOf(exchange)
        if (user !== null && exchange.route !== null && isSampled(rate))
          lines.push(named(`route.${exchange.route.id}.user.${user}.status.${exchange.response.status}`, 1, 'counter'))
      }
    default:
      // `shdict_usage` is of the node and no request's.
      return null
  }
}

/** The service's part of a name; made once for each service. */
function scopes(metric: MetricConfig, config: Config): (exchange: Exchange) => string {
  const by = metric.service_identifier ?? config.service_identifier_default
  const known = new WeakMap<object, string>()
  return (exchange) => {
    const { service } = exchange
    if (service === null) return 'global.unmatched'
    let scope = known.get(service)
    if (scope === undefined) {
      const name = serviceOf(exchange, by)
      scope = `service.${name === null ? 'unnamed' : statsdName(name)}`
      known.set(service, scope)
    }
    return scope
  }
}

function taggedMetric(
  name: string,
  read: (exchange: Exchange) => number,
  metric: MetricConfig,
  config: Config,
  { node }: MetricPlaces,
  style: TagStyle,
): Metric {
  const { stat_type: type, sample_rate: rate } = metric
  const serviceBy = metric.service_identifier ?? config.service_identifier_default
  const consumerBy = metric.consumer_identifier ?? config.consumer_identifier_default
  const workspaceBy = metric.workspace_identifier ?? config.workspace_identifier_default
  const tagsOf = (exchange: Exchange): Tags | null => {
    const service = serviceOf(exchange, serviceBy)
    // Requests without a service are counted without tags, as in Kong.
    if (service === null) return null
    const { route } = exchange
    const tags: (readonly [string, string])[] = [['service', statsdText(service)]]
    if (route !== null) tags.push(['route', statsdText(route.name ?? route.id)])
    const workspace = workspaceOf(exchange, workspaceBy)
    if (workspace !== null) tags.push(['workspace', statsdText(workspace)])
    const consumer = consumerOf(exchange, consumerBy)
    if (consumer !== null) tags.push(['consumer', statsdText(consumer)])
    tags.push(['node', node], ['status', String(exchange.response.status)])
    return tags
  }
  return (exchange, lines) => {
    const value = read(exchange)
    if (value !== -1 && isSampled(rate)) lines.push(statsdLine(name, value, type, rate, tagsOf(exchange), style))
  }
}

/** Lines on the memory that workers share, for the metric `shdict_usage`. */
export function sharedMemoryLines(
  memory: readonly { readonly name: string; readonly capacityBytes: number }[],
  config: Config,
  { prefix, node }: MetricPlaces,
  rate: number | null,
): string[] {
  return memory.flatMap(({ name, capacityBytes }) =>
    // It is taken whole at the start: nothing of it is ever free.
    [['free_space', 0] as const, ['capacity', capacityBytes] as const].map(([what, bytes]) => {
      if (config.tag_style !== null) {
        const tags: Tags = [
          ['node', node],
          ['shdict', name],
        ]
        return statsdLine(`${prefix}.shdict.${what}`, bytes, 'gauge', rate, tags, config.tag_style)
      }
      const place = config.hostname_in_prefix ? '' : `node.${node}.`
      return statsdLine(`${prefix}.${place}shdict.${name}.${what}`, bytes, 'gauge', rate, null, null)
    }),
  )
}
