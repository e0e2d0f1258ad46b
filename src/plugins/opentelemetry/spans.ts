/** The spans of a finished exchange, with the names and attributes of Kong 3.9. */
import type { Exchange, PluginDelivery } from '#pdk'
import { momentOf, timesOf, timesOfTry, type ExchangeTimes } from '../tracing/exchange-times.ts'
import { randomId } from '../tracing/trace-id.ts'
import { CLIENT, INTERNAL, SERVER, Whole, type Attributes, type Span } from './otlp.ts'
import type { Trace } from './trace.ts'

/** Which spans there are: the setting `tracing_instrumentations`. */
export interface Recorded {
  readonly router: boolean
  readonly balancer: boolean
  readonly rewrite: boolean
  readonly access: boolean
  readonly header_filter: boolean
}

export function spansOf(
  exchange: Exchange,
  trace: Trace,
  recorded: Recorded,
  masking: PluginDelivery['masking'],
): Span[] {
  const times = timesOf(exchange)
  const spans = [requestSpan(exchange, trace, times, masking)]
  if (recorded.router) spans.push(routerSpan(exchange, trace, times))
  for (const { phase, plugin, startMs, endMs } of exchange.phaseTimes ?? []) {
    if (!recorded[phase]) continue
    const name = `kong.${phase}.plugin.${plugin}`
    spans.push(internal(trace, name, momentOf(times, startMs), momentOf(times, endMs)))
  }
  if (recorded.balancer)
    for (let at = 0; at < exchange.tries.length; at++) spans.push(trySpan(exchange, trace, at, times))
  return spans
}

function requestSpan(exchange: Exchange, trace: Trace, times: ExchangeTimes, masking: PluginDelivery['masking']): Span {
  const { response, error } = exchange
  return {
    traceId: trace.exportedId,
    spanId: trace.spanId,
    parentId: trace.parentId,
    name: 'kong',
    kind: SERVER,
    startMs: times.startMs,
    endMs: times.endMs,
    attributes: requestAttributes(exchange, masking),
    isError: response.status >= 500,
    exception: error === null ? null : masking.text(error.message),
  }
}

/** Of the request's span, and of its entry in the log. */
export function requestAttributes(exchange: Exchange, masking: PluginDelivery['masking']): Attributes {
  const { request, response, route } = exchange
  const query = masking.query(request.query)
  return [
    ['http.method', request.method],
    [
      'http.url',
      masking.text(`${request.scheme}://${request.host}${request.rawPath}${query === null ? '' : `?${query}`}`),
    ],
    ['http.host', request.host],
    ['http.scheme', request.scheme],
    ['http.flavor', request.httpVersion === '2' ? '2.0' : request.httpVersion],
    ['http.client_ip', request.clientIp],
    ['net.peer.ip', request.peerIp],
    ['kong.request.id', exchange.id],
    ['http.status_code', new Whole(response.status)],
    ['http.route', route?.paths?.[0] ?? ''],
  ]
}

/** From the head of the request, or the end of the rewrite phase, to the first plugin of the route. */
function routerSpan({ phaseTimes }: Exchange, trace: Trace, times: ExchangeTimes): Span {
  const rewritten = phaseTimes?.findLast(({ phase }) => phase === 'rewrite')
  const next = phaseTimes?.find(({ phase }) => phase !== 'rewrite')
  const startMs = rewritten === undefined ? times.startMs : momentOf(times, rewritten.endMs)
  const endMs = next === undefined ? times.endMs : momentOf(times, next.startMs)
  return internal(trace, 'kong.router', startMs, Math.max(startMs, endMs))
}

function internal(trace: Trace, name: string, startMs: number, endMs: number): Span {
  return {
    traceId: trace.exportedId,
    spanId: randomId(8),
    parentId: trace.spanId,
    name,
    kind: INTERNAL,
    startMs,
    endMs,
    attributes: [],
    isError: false,
    exception: null,
  }
}

function trySpan(exchange: Exchange, trace: Trace, at: number, times: ExchangeTimes): Span {
  const { ip, port, state, code } = exchange.tries[at]!
  const hasFailed = state !== ''
  const { startMs, endMs } = timesOfTry(exchange, at, times)
  return {
    traceId: trace.exportedId,
    spanId: at === exchange.tries.length - 1 ? trace.balancerSpanId : randomId(8),
    parentId: trace.spanId,
    name: 'kong.balancer',
    kind: CLIENT,
    startMs,
    endMs,
    attributes: [
      ['try_count', at + 1],
      ['net.peer.ip', ip],
      ['net.peer.port', port],
      ['net.peer.name', exchange.upstream.host],
      ...(hasFailed && code !== 0 ? [['http.status_code', new Whole(code)] as const] : []),
    ],
    isError: hasFailed,
    exception: null,
  }
}
