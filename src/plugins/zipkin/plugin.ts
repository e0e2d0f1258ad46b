/** Reports spans of requests and sessions to a Zipkin server, and passes the trace on to the upstream, as Kong's zipkin does. */
import { definePlugin, type DeliveryQueue, type Exchange, type PluginTools } from '#pdk'
import { openHttpQueue } from '#pdk/http-queue.ts'
import { queueParameters } from '#pdk/queue-parameters.ts'
import { compilePropagation, type Propagation } from '../tracing/propagation.ts'
import { spansOf, type ReportOptions } from './report.ts'
import { requestTags } from './request-tags.ts'
import { schema, type Config } from './schema.ts'
import { Trace } from './trace.ts'

/** The older `default_header_type` unless somebody sets it. */
const DEFAULT_FORMAT = 'b3'
/** Kong keeps connections for so long. */
const KEEPALIVE_MS = 60_000

interface State {
  readonly propagation: Propagation
  readonly traceIdBytes: 8 | 16
  readonly ratio: number
  readonly tagsHeader: string
  /** Null where nothing is reported: traces are only passed on. */
  readonly queue: DeliveryQueue<string> | null
  readonly report: ReportOptions
  readonly responseHeader: string | null
}

export const zipkin = definePlugin({
  schema,

  prepare(config, tools): State {
    return {
      propagation: compilePropagation(config, DEFAULT_FORMAT),
      traceIdBytes: config.traceid_byte_count === 8 ? 8 : 16,
      ratio: config.sample_ratio ?? 0.001,
      tagsHeader: config.tags_header,
      responseHeader: config.http_response_header_for_traceid ?? null,
      queue: openQueue(config, tools),
      report: {
        local: { serviceName: config.local_service_name },
        defaultService: config.default_service_name ?? null,
        staticTags: config.static_tags ?? [],
        hasPathInName: config.http_span_name === 'method_path',
        includesCredential: config.include_credential,
        areDurationsTags: config.phase_duration_flavor === 'tags',
        nodeId: tools.nodeId,
        masking: tools.delivery.masking,
      },
    }
  },

  access(exchange, state) {
    const { headers } = exchange.request
    const extracted = state.propagation.extract(headers)
    const trace = new Trace(extracted?.context ?? null, state.traceIdBytes, state.ratio)
    trace.accessAtMs = performance.now()
    keep(exchange, trace, state)
    state.propagation.pass(exchange, extracted, trace.outgoing)
  },

  responseHeaders(exchange, state) {
    const trace = traceOf(exchange, state)
    trace.headersAtMs = performance.now()
    if (state.responseHeader !== null) exchange.response.headers.append(state.responseHeader, trace.traceId)
  },

  responseBody(exchange, state) {
    traceOf(exchange, state).bodyAtMs = performance.now()
    return null
  },

  preread(exchange, state) {
    traceOf(exchange, state).prereadAtMs = performance.now()
  },

  log: report,
  sessionLog: report,

  close({ queue }) {
    queue?.close()
  },
})

function openQueue(config: Config, tools: PluginTools): DeliveryQueue<string> | null {
  const url = config.http_endpoint ?? null
  if (url === null) return null
  return openHttpQueue<string>(tools, {
    parameters: queueParameters(config),
    url,
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    connectTimeoutMs: config.connect_timeout ?? 2000,
    readTimeoutMs: config.read_timeout ?? 5000,
    keepaliveMs: KEEPALIVE_MS,
    isVerified: true,
    isSuccess: (status) => status >= 200 && status < 300,
    bodyOf: (batch) => `[${batch.join(',')}]`,
  })
}

const TRACE = 'zipkin'

function keep(exchange: Exchange, trace: Trace, { queue, tagsHeader }: State): void {
  exchange.shared.set(TRACE, trace)
  if (trace.isSampled && queue !== null && exchange.sessionProtocol === null)
    trace.tags = requestTags(exchange.request.headers, tagsHeader)
}

/** A request that matched no route comes here without an access phase: its trace is read now, and passed on to nobody. */
function traceOf(exchange: Exchange, state: State): Trace {
  const known = exchange.recall(TRACE)
  if (known !== undefined) return known as Trace
  const isSession = exchange.sessionProtocol !== null
  const extracted = isSession ? null : state.propagation.extract(exchange.request.headers)
  const trace = new Trace(extracted?.context ?? null, state.traceIdBytes, state.ratio)
  keep(exchange, trace, state)
  return trace
}

function report(exchange: Exchange, state: State): void {
  const { queue } = state
  if (queue === null) return
  const trace = traceOf(exchange, state)
  if (!trace.isSampled) return
  for (const span of spansOf(exchange, trace, state.report)) {
    const text = JSON.stringify(span)
    queue.push(text, text.length)
  }
}
