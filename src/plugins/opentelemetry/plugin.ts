/** Exports traces and logs of requests over OTLP, and passes traces on to the upstream, as Kong's opentelemetry does. */
import { definePlugin, type DeliveryQueue, type Exchange, type PluginDelivery, type PluginTools } from '#pdk'
import { openHttpQueue } from '#pdk/http-queue.ts'
import { queueParameters } from '#pdk/queue-parameters.ts'
import { compilePropagation, type Propagation } from '../tracing/propagation.ts'
import type { TraceContext } from '../tracing/trace-context.ts'
import { logEntryOf } from './log-entry.ts'
import { encodeLogEntry, encodeSpan, Envelope } from './otlp.ts'
import { isSampled, type Strategy } from './sampling.ts'
import { schema, type Config } from './schema.ts'
import { spansOf, type Recorded } from './spans.ts'
import { Trace } from './trace.ts'

const DEFAULT_FORMAT = 'w3c'
const KEEPALIVE_MS = 60_000

interface State {
  readonly propagation: Propagation
  /** Null where no spans are recorded: traces are only passed on. */
  readonly recorded: Recorded | null
  readonly rate: number
  readonly strategy: Strategy
  readonly samplesErrors: boolean
  readonly responseHeader: string | null
  readonly traces: DeliveryQueue<Buffer> | null
  readonly logs: DeliveryQueue<Buffer> | null
  readonly delivery: PluginDelivery
}

export const opentelemetry = definePlugin({
  schema,

  prepare(config, tools): State {
    const envelope = new Envelope(
      Object.entries({
        'service.name': 'kong',
        'service.instance.id': tools.nodeId,
        'service.version': tools.version,
        ...config.resource_attributes,
      }),
    )
    const recorded = recordedBy(tools.tracing.instrumentations)
    const tracesTo = config.traces_endpoint ?? null
    const logsTo = config.logs_endpoint ?? null
    if (tracesTo !== null && recorded === null && tools.workerIndex === 0)
      tools.log.warn(
        { plugin: 'opentelemetry', plugin_id: tools.pluginId },
        'no spans are exported because the setting tracing_instrumentations is off',
      )
    return {
      propagation: compilePropagation(config, DEFAULT_FORMAT),
      recorded,
      rate: config.sampling_rate ?? tools.tracing.samplingRate,
      strategy: (config.sampling_strategy as Strategy | null | undefined) ?? 'parent_probability_fallback',
      samplesErrors: config.sample_errors === true,
      responseHeader: config.http_response_header_for_traceid ?? null,
      traces: tracesTo === null || recorded === null ? null : openQueue('traces', tracesTo, envelope, config, tools),
      logs: logsTo === null ? null : openQueue('logs', logsTo, envelope, config, tools),
      delivery: tools.delivery,
    }
  },

  timesPhases: ({ traces, recorded }) => traces !== null && recorded !== null,

  access(exchange, state) {
    const extracted = state.propagation.extract(exchange.request.headers)
    const trace = begin(exchange, extracted?.context ?? null, state)
    state.propagation.pass(exchange, extracted, {
      traceId: trace.traceId,
      spanId: trace.balancerSpanId,
      parentId: trace.balancerSpanId === trace.spanId ? trace.parentId : trace.spanId,
      isSampled: trace.isSampled,
      isDebug: extracted?.context.isDebug ?? false,
      baggage: extracted?.context.baggage ?? null,
    })
  },

  responseHeaders(exchange, state) {
    const { responseHeader } = state
    if (responseHeader !== null) exchange.response.headers.append(responseHeader, traceOf(exchange, state).exportedId)
  },

  log(exchange, state) {
    const { traces, logs, recorded, samplesErrors, delivery } = state
    const trace = traceOf(exchange, state)
    if (logs !== null) {
      const entry = encodeLogEntry(logEntryOf(exchange, trace, delivery))
      logs.push(entry, entry.length)
    }
    if (traces === null || recorded === null) return
    if (!trace.isSampled && !(samplesErrors && isFailure(exchange))) return
    for (const span of spansOf(exchange, trace, recorded, delivery.masking)) {
      const bytes = encodeSpan(span)
      traces.push(bytes, bytes.length)
    }
  },

  close({ traces, logs }) {
    traces?.close()
    logs?.close()
  },
})

/** Null for `off`. As in Kong the request's own span is there whatever is named: the others are below it. */
function recordedBy(words: readonly string[]): Recorded | null {
  if (words.length === 0) return null
  const has = (word: string) => words.includes('all') || words.includes(word)
  return {
    router: has('router'),
    balancer: has('balancer'),
    rewrite: has('plugin_rewrite'),
    access: has('plugin_access'),
    header_filter: has('plugin_header_filter'),
  }
}

function openQueue(
  name: 'traces' | 'logs',
  url: string,
  envelope: Envelope,
  config: Config,
  tools: PluginTools,
): DeliveryQueue<Buffer> {
  return openHttpQueue<Buffer>(tools, {
    name,
    parameters: queueParameters(config),
    url,
    method: 'POST',
    headers: { ...config.headers, 'Content-Type': 'application/x-protobuf' },
    connectTimeoutMs: config.connect_timeout ?? 1000,
    readTimeoutMs: config.read_timeout ?? 5000,
    keepaliveMs: KEEPALIVE_MS,
    isVerified: true,
    isSuccess: (status) => status === 200,
    bodyOf: (batch) => envelope.around(batch),
  })
}

const TRACE = 'opentelemetry'

function begin(exchange: Exchange, context: TraceContext | null, state: State): Trace {
  const { recorded, rate, strategy } = state
  const parent = context?.isSampled ?? null
  const trace = new Trace(
    context,
    recorded?.balancer === true,
    // As Kong: where nothing is recorded, nobody behind is told to record.
    (traceId) => recorded !== null && isSampled(parent, traceId, rate, strategy),
  )
  exchange.shared.set(TRACE, trace)
  return trace
}

/** A request that matched no route, or was answered by an earlier plugin, comes here without an access phase. */
function traceOf(exchange: Exchange, state: State): Trace {
  const known = exchange.recall(TRACE)
  if (known !== undefined) return known as Trace
  return begin(exchange, state.propagation.extract(exchange.request.headers)?.context ?? null, state)
}

function isFailure({ response, error }: Exchange): boolean {
  return response.status >= 500 || response.source === 'error' || error !== null
}
