/**
 * The Prometheus text format (version 0.0.4), in pieces: with thousands of routes the text has megabytes, and the main thread
 * must not stop for it.
 */
import { families, familyNamed, type MetricFamily } from './families.ts'
import { SUM } from './figures.ts'
import { KONG_BUCKETS_MS, UPSTREAM_BUCKETS_MS } from './request-metrics.ts'
import type { RouteTotal, Totals } from './totals.ts'

export const EXPOSITION_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Routes per piece: some milliseconds of work. */
const ROUTES_PER_PIECE = 50

export function* exposition(totals: Totals): Generator<string> {
  let text = ''
  for (const name of Object.keys(families)) {
    const series = totals.series.get(name)
    if (series === undefined || series.size === 0) continue
    const family = familyNamed(name)!
    const names = family.perWorker === true ? [...family.labels, 'worker'] : family.labels
    text += head(name, family.type, family.help)
    if (family.type === 'histogram') text += buckets(name, names, [...series.values()])
    else for (const { labels, value } of series.values()) text += sample(name, names, labels, value)
  }
  yield text

  const routes = [...totals.routes.values()]
  for (const { name, type, help, write } of ROUTE_FAMILIES) {
    if (routes.length === 0) return
    text = head(name, type, help)
    for (const [at, route] of routes.entries()) {
      text += write(name, route)
      if (at % ROUTES_PER_PIECE !== ROUTES_PER_PIECE - 1) continue
      yield text
      text = ''
    }
    yield text
  }
}

interface RouteFamily {
  readonly name: string
  readonly type: MetricFamily['type']
  readonly help: string
  write(name: string, route: RouteTotal): string
}

const ROUTE_LABELS = ['service', 'route', 'workspace']

const ROUTE_FAMILIES: readonly RouteFamily[] = [
  {
    name: 'kong_http_requests_total',
    type: 'counter',
    help: 'Requests by service, route, status and who answered: the service or the gateway (kong).',
    write(name, { service, route, workspace, traffic }) {
      let text = ''
      for (const [consumer, { codes }] of traffic) {
        for (const { status, isOwn, count } of codes.values()) {
          const values = [service, route, String(status), isOwn ? 'kong' : 'service', workspace, consumer]
          text += sample(name, ['service', 'route', 'code', 'source', 'workspace', 'consumer'], values, count)
        }
      }
      return text
    },
  },
  {
    name: 'kong_bandwidth_bytes',
    type: 'counter',
    help: 'Bytes received from clients (ingress) and sent to them (egress).',
    write(name, { service, route, workspace, traffic }) {
      let text = ''
      const names = ['service', 'route', 'direction', 'workspace', 'consumer']
      for (const [consumer, { bytesIn, bytesOut }] of traffic) {
        text += sample(name, names, [service, route, 'ingress', workspace, consumer], bytesIn)
        text += sample(name, names, [service, route, 'egress', workspace, consumer], bytesOut)
      }
      return text
    },
  },
  {
    name: 'kong_kong_latency_ms',
    type: 'histogram',
    help: 'Time that requests spent in the gateway.',
    write: (name, route) => histogram(name, route, KONG_BUCKETS_MS, route.kong),
  },
  {
    name: 'kong_upstream_latency_ms',
    type: 'histogram',
    help: "Time until the head of the upstream's response.",
    write: (name, route) => histogram(name, route, UPSTREAM_BUCKETS_MS, route.upstream),
  },
  {
    name: 'kong_request_latency_ms',
    type: 'histogram',
    help: 'Time from the first byte of the request to the last of the response.',
    write: (name, route) => histogram(name, route, UPSTREAM_BUCKETS_MS, route.request),
  },
]

/** The buckets from the lowest up, then the sum: the order in which `Figures` makes them. */
function buckets(
  name: string,
  names: readonly string[],
  series: readonly { readonly labels: readonly string[]; readonly value: number }[],
): string {
  let text = ''
  let count = 0
  for (const { labels, value } of series) {
    if (labels.at(-1) === SUM) {
      text += sample(`${name}_sum`, names, labels, value) + sample(`${name}_count`, names, labels, count)
      count = 0
    } else {
      count += value
      text += sample(`${name}_bucket`, [...names, 'le'], labels, count)
    }
  }
  return text
}

/** The names of all metrics that can stand on the page, those of the process itself aside. */
export const metricNames: readonly string[] = [...Object.keys(families), ...ROUTE_FAMILIES.map(({ name }) => name)]

function histogram(name: string, route: RouteTotal, bounds: readonly number[], figures: readonly number[]): string {
  const values = [route.service, route.route, route.workspace]
  const common = labelText(ROUTE_LABELS, values)
  let text = ''
  let count = 0
  for (let at = 0; at <= bounds.length; at++) {
    count += figures[at] ?? 0
    text += `${name}_bucket{${common},le="${bounds[at] ?? '+Inf'}"} ${count}\n`
  }
  // Nothing was ever observed: a route without upstream has no upstream latency.
  if (count === 0) return ''
  return `${text}${name}_sum{${common}} ${figures[bounds.length + 1] ?? 0}\n${name}_count{${common}} ${count}\n`
}

function head(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`
}

function sample(name: string, labels: readonly string[], values: readonly string[], value: number): string {
  const text = labelText(labels, values)
  return `${name}${text === '' ? '' : `{${text}}`} ${numberText(value)}\n`
}

function labelText(labels: readonly string[], values: readonly string[]): string {
  let text = ''
  for (let at = 0; at < labels.length; at++)
    text += `${at === 0 ? '' : ','}${labels[at]}="${escapeLabel(values[at] ?? '')}"`
  return text
}

const NEEDS_ESCAPE = /[\\"\n]/

function escapeLabel(value: string): string {
  if (!NEEDS_ESCAPE.test(value)) return value
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
