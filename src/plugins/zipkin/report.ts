/** The spans of a finished exchange: the request, our way to the upstream, and each try, with Kong's names, tags and annotations. */
import type { Exchange, PluginDelivery } from '#pdk'
import { momentOf, timesOf, timesOfTry, type ExchangeTimes } from '../tracing/exchange-times.ts'
import { randomId } from '../tracing/trace-id.ts'
import { endpointOf, micros, Tags, type Annotation, type Endpoint, type ZipkinSpan } from './span.ts'
import type { Trace } from './trace.ts'

export interface ReportOptions {
  readonly local: Endpoint
  /** What the other end is called where it is no service. */
  readonly defaultService: string | null
  readonly staticTags: readonly { readonly name: string; readonly value: string }[]
  readonly hasPathInName: boolean
  readonly includesCredential: boolean
  readonly areDurationsTags: boolean
  readonly nodeId: string
  readonly masking: PluginDelivery['masking']
}

/** In the order in which Kong reports them. */
export function spansOf(exchange: Exchange, trace: Trace, options: ReportOptions): ZipkinSpan[] {
  const times = timesOf(exchange)
  const name = nameOf(exchange, options)
  const spans = exchange.tries.map((_, at) => trySpan(exchange, trace, options, name, at, times))
  const request = new Tags()
  const proxy = new Tags()
  const marks: Marks = { request: [], proxy: [] }
  markPhases(exchange, trace, times, options, marks, request, proxy)
  tagRequest(exchange, trace, options, request)
  tagService(exchange, proxy)
  const last = exchange.tries.at(-1)
  if (last !== undefined) proxy.set('peer.hostname', exchange.upstream.host)
  const proxyAtMs = trace.accessAtMs >= 0 ? trace.accessAtMs : trace.prereadAtMs
  const proxyStartMs = proxyAtMs >= 0 ? momentOf(times, proxyAtMs) : times.startMs
  const { traceId } = trace
  const { startMs, endMs } = times
  const ends = { localEndpoint: options.local }
  spans.push({
    traceId,
    id: trace.proxySpanId,
    parentId: trace.spanId,
    name: `${name} (proxy)`,
    kind: 'CLIENT',
    timestamp: micros(proxyStartMs),
    duration: micros(endMs) - micros(proxyStartMs),
    ...ends,
    ...remote(endpointOf(last?.ip ?? null, last?.port ?? 0, serviceOf(exchange, options))),
    tags: proxy.all,
    annotations: marks.proxy,
  })
  const { clientIp, clientPort } = exchange.request
  spans.push({
    traceId,
    id: trace.spanId,
    ...(trace.parentId !== null && { parentId: trace.parentId }),
    name,
    kind: 'SERVER',
    timestamp: micros(startMs),
    duration: micros(endMs) - micros(startMs),
    ...ends,
    ...remote(endpointOf(clientIp, clientPort, options.defaultService)),
    tags: request.all,
    annotations: marks.request,
  })
  return spans
}

function nameOf({ sessionProtocol, request }: Exchange, { hasPathInName, masking }: ReportOptions): string {
  if (sessionProtocol !== null) return 'stream'
  return hasPathInName ? `${request.method} ${masking.text(request.path)}` : request.method
}

function serviceOf({ service }: Exchange, { defaultService }: ReportOptions): string | null {
  return service?.name ?? defaultService
}

function remote(endpoint: Endpoint | undefined): { readonly remoteEndpoint?: Endpoint } {
  return endpoint === undefined ? {} : { remoteEndpoint: endpoint }
}

function trySpan(
  exchange: Exchange,
  trace: Trace,
  options: ReportOptions,
  name: string,
  at: number,
  times: ExchangeTimes,
): ZipkinSpan {
  const { ip, port, state, code } = exchange.tries[at]!
  const { startMs, endMs } = timesOfTry(exchange, at, times)
  const tags = new Tags()
  tags.set('kong.balancer.try', at + 1)
  if (state !== '') {
    tags.set('error', true)
    tags.set('kong.balancer.state', state)
    if (code !== 0) tags.set('http.status_code', code)
  }
  tagService(exchange, tags)
  return {
    traceId: trace.traceId,
    id: randomId(8),
    parentId: trace.spanId,
    name: `${name} (balancer try ${at + 1})`,
    kind: 'CLIENT',
    timestamp: micros(startMs),
    duration: micros(endMs) - micros(startMs),
    localEndpoint: options.local,
    ...remote(endpointOf(ip, port, serviceOf(exchange, options))),
    tags: tags.all,
  }
}

function tagService({ service, route }: Exchange, tags: Tags): void {
  if (service === null) return
  tags.set('kong.service', service.id)
  tags.set('kong.service_name', service.name)
  if (route === null) return
  tags.set('kong.route', route.id)
  tags.set('kong.route_name', route.name)
}

function tagRequest(exchange: Exchange, trace: Trace, options: ReportOptions, tags: Tags): void {
  const { request, response, consumer, credential, sessionProtocol } = exchange
  const { masking } = options
  tags.set('lc', 'kong')
  if (sessionProtocol === null) {
    tags.set('http.method', request.method)
    tags.set('http.host', request.host)
    tags.set('http.path', masking.text(request.path))
    tags.set('http.protocol', `HTTP/${request.httpVersion}`)
  }
  for (const { name, value } of options.staticTags) tags.set(name, value)
  for (const [name, value] of trace.tags ?? []) tags.set(masking.text(name), masking.text(value))
  if (sessionProtocol === null) tags.set('http.status_code', response.status)
  if (consumer !== null) tags.set('kong.consumer', consumer.id)
  if (options.includesCredential && credential !== null) tags.set('kong.credential', credential.id)
  tags.set('kong.node.id', options.nodeId)
}

interface Marks {
  readonly request: Annotation[]
  readonly proxy: Annotation[]
}

/** Kong's letters for each phase: its start is marked `k?s` and its finish `k?f`. */
const PHASES = { rewrite: 'r', access: 'a', preread: 'p', header_filter: 'h', body_filter: 'b' } as const

/** When phases began and finished. One that is over where the next one begins is told so. */
function markPhases(
  exchange: Exchange,
  trace: Trace,
  times: ExchangeTimes,
  { areDurationsTags }: ReportOptions,
  marks: Marks,
  request: Tags,
  proxy: Tags,
): void {
  const mark = (phase: keyof typeof PHASES, fromMs: number, toMs: number, on: Annotation[], tags: Tags): void => {
    const endMs = Math.max(fromMs, toMs)
    if (areDurationsTags) tags.set(`kong.${phase}.duration_ms`, micros(endMs - fromMs) / 1000)
    else {
      on.push({ value: `k${PHASES[phase]}s`, timestamp: micros(fromMs) })
      on.push({ value: `k${PHASES[phase]}f`, timestamp: micros(endMs) })
    }
  }
  const { startMs, endMs } = times
  const firstTryMs = exchange.tries.length > 0 ? timesOfTry(exchange, 0, times).startMs : -1
  const headersMs = trace.headersAtMs < 0 ? -1 : momentOf(times, trace.headersAtMs)
  const onwardMs = firstTryMs >= 0 ? firstTryMs : headersMs >= 0 ? headersMs : endMs
  if (exchange.sessionProtocol !== null) {
    const prereadMs = trace.prereadAtMs < 0 ? startMs : momentOf(times, trace.prereadAtMs)
    return mark('preread', prereadMs, onwardMs, marks.proxy, proxy)
  }
  // No route: the access phase was not reached.
  const accessMs = trace.accessAtMs < 0 ? startMs : momentOf(times, trace.accessAtMs)
  mark('rewrite', startMs, accessMs, marks.request, request)
  mark('access', accessMs, onwardMs, marks.proxy, proxy)
  if (headersMs < 0) return
  const bodyMs = trace.bodyAtMs < 0 ? endMs : momentOf(times, trace.bodyAtMs)
  mark('header_filter', headersMs, bodyMs, marks.proxy, proxy)
  mark('body_filter', bodyMs, endMs, marks.proxy, proxy)
}
