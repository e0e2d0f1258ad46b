/** The entry of a finished exchange in the logs that go to a collector. */
import type { Exchange, PluginDelivery } from '#pdk'
import { timesOf } from '../tracing/exchange-times.ts'
import type { LogEntry } from './otlp.ts'
import { requestAttributes } from './spans.ts'
import type { Trace } from './trace.ts'

/** The log record is its body, so that what log plugins tell is told here, and nothing that they hide. */
export function logEntryOf(exchange: Exchange, trace: Trace, delivery: PluginDelivery): LogEntry {
  const { status } = exchange.response
  return {
    atMs: timesOf(exchange).endMs,
    severity: status >= 500 ? 'ERROR' : status >= 400 ? 'WARN' : 'INFO',
    body: delivery.record(exchange),
    attributes: requestAttributes(exchange, delivery.masking),
    trace: { traceId: trace.exportedId, spanId: trace.spanId, isSampled: trace.isSampled },
  }
}
