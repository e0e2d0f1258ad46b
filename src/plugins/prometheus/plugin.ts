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
    const { status_code_metrics: statusCodes, latency_metrics: latencies, bandwidth_metrics: bandwidth } = config
    const hasTraffic = statusCodes === true || latencies === true || bandwidth === true
    const models = config.ai_metrics === true
    const selection = {
      perConsumer: hasTraffic && config.per_consumer === true,
      statusCodes: statusCodes === true,
      latencies: latencies === true,
      bandwidth: bandwidth === true,
      models,
    }
    return { metrics, selection, isEmpty: !hasTraffic && !models }
  },

  log(exchange, { metrics, selection, isEmpty }) {
    // Requests that match no route are not counted: their labels would be empty.
    if (!isEmpty && exchange.route !== null) metrics.requestFinished(exchange, selection)
  },
})
