/** Selects which series of the gateway's own metrics an exchange is counted in, as Kong's prometheus plugin does. */
import { definePlugin, type MetricsSelection, type MetricsSink } from '#pdk'
import { schema } from './schema.ts'

interface State {
  readonly metrics: MetricsSink
  readonly selection: MetricsSelection
  readonly isEmpty: boolean
}

export const prometheus = definePlugin({
  schema,

  prepare(config, { metrics }): State {
    const selection = {
      perConsumer: config.per_consumer === true,
      statusCodes: config.status_code_metrics === true,
      latencies: config.latency_metrics === true,
      bandwidth: config.bandwidth_metrics === true,
    }
    return { metrics, selection, isEmpty: !selection.statusCodes && !selection.latencies && !selection.bandwidth }
  },

  log(exchange, { metrics, selection, isEmpty }) {
    // Requests that match no route are not counted: their labels would be empty.
    if (!isEmpty && exchange.route !== null) metrics.requestFinished(exchange, selection)
  },
})
