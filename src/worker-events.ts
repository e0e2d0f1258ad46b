/** What becomes of the events of exchanges in a worker: figures, lines in the logs. */
import type { WireFailure } from '#http/failure.ts'
import type { Exchange } from '#pdk/exchange.ts'
import type { MetricsSelection, MetricsSink } from '#pdk/pdk.ts'
import type { ProxyEvents } from '#proxy/worker-context.ts'
import type { CompiledRoute } from '#snapshot/snapshot.ts'
import type { AccessLog } from '#telemetry/access-log.ts'
import { countModelUse } from '#telemetry/model-use.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import type { RouteRecorder } from '#telemetry/request-metrics.ts'
import type { WorkerMetrics } from '#telemetry/worker-metrics.ts'

export interface WorkerEvents {
  readonly events: ProxyEvents
  /** For plugins that say what of an exchange is to be counted. */
  readonly sink: MetricsSink
}

export function createWorkerEvents(
  metrics: WorkerMetrics,
  log: GatewayLog['log'],
  accessLog: AccessLog | null,
): WorkerEvents {
  const { figures } = metrics
  let selected: { exchange: Exchange; selection: MetricsSelection } | null = null
  const sink: MetricsSink = {
    requestFinished: (exchange, selection) => {
      selected = { exchange, selection }
      if (selection.models) countModelUse(figures, exchange)
    },
    limitRefused: (limit, mode) => figures.counter('meridian_limit_refusals_total', { limit, mode }).value++,
    called: (plugin, call, outcome) =>
      figures.counter('meridian_plugin_calls_total', { plugin, call, outcome }).value++,
    cacheCounts: ({ route }) => {
      const name = route === null ? '' : (route.name ?? route.id)
      const of = (status: string) => figures.counter('meridian_cache_responses_total', { route: name, status })
      return { Hit: of('Hit'), Stale: of('Stale'), Miss: of('Miss'), Refresh: of('Refresh'), Bypass: of('Bypass') }
    },
    counted: (plugin, event, times = 1) =>
      (figures.counter('meridian_plugin_events_total', { plugin, event }).value += times),
    countedBytes: (plugin, kind, bytes) =>
      (figures.counter('meridian_plugin_bytes_total', { plugin, kind }).value += bytes),
    splitFinished: (split, target, outcome) =>
      figures.counter('meridian_split_requests_total', { split, target, outcome }).value++,
    splitStated: (split, target, share, isAborted) => {
      figures.counter('meridian_split_share', { split, target }).value = share
      figures.counter('meridian_split_aborted', { split, target }).value = isAborted ? 1 : 0
    },
    refused: (plugin, reason) => figures.counter('meridian_plugin_refusals_total', { plugin, reason }).value++,
    deprecatedUsed: (api, consumer, stage) =>
      figures.counter('meridian_deprecated_requests_total', { api, consumer, stage }).value++,
  }
  const events: ProxyEvents = {
    exchangeEnded: (exchange, compiled) => {
      metrics.requestCount++
      if (compiled !== null)
        record(exchange, compiled, selected !== null && selected.exchange === exchange ? selected.selection : null)
      selected = null
      if (accessLog !== null) accessLog.write(exchange)
    },
    requestRefused: (failure: WireFailure) =>
      figures.counter('meridian_rejected_requests_total', { reason: failure.code }).value++,
    pluginFailed: (exchange, instance, phase, error) => {
      figures.counter('meridian_plugin_errors_total', { plugin: instance.name, phase }).value++
      log.error(
        {
          plugin: instance.name,
          phase,
          route: exchange.route?.id,
          service: exchange.service?.id,
          request_id: exchange.id,
          err: error,
        },
        'a plugin failed',
      )
    },
    exchangeFailed: (failure) =>
      figures.counter('meridian_failed_exchanges_total', { code: failure.code, source: failure.source }).value++,
    pluginTime: (instance, phase, milliseconds, weight) => {
      figures.counter('meridian_plugin_seconds_total', { plugin: instance.name, phase }).value +=
        (milliseconds * weight) / 1000
      figures.counter('meridian_plugin_runs_total', { plugin: instance.name, phase }).value += weight
    },
  }
  return { events, sink }
}

function record(exchange: Exchange, compiled: CompiledRoute, selection: MetricsSelection | null): void {
  const { request, response } = exchange
  const consumer = selection?.perConsumer === true ? (exchange.consumer?.username ?? '') : ''
  const upstreamMs = exchange.upstreamLatencyMs
  const kongMs = upstreamMs < 0 ? exchange.totalLatencyMs : Math.max(0, exchange.proxyLatencyMs)
  ;(compiled.figures as RouteRecorder).record(
    response.status,
    response.source !== 'service',
    kongMs,
    upstreamMs,
    exchange.totalLatencyMs,
    request.bytesReceived,
    response.bytesSent,
    consumer,
  )
}
