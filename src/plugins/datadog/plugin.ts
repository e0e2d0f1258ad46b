/** Sends metrics of each exchange to a Datadog agent, with tags, as Kong's datadog does. */
import { definePlugin, latenciesOf, type DeliveryQueue, type Exchange } from '#pdk'
import { queueParameters } from '#pdk/queue-parameters.ts'
import {
  isSampled,
  linesBytes,
  openStatsdQueue,
  statsdLine,
  statsdName,
  statsdText,
  type StatType,
  type Tags,
} from '#pdk/statsd.ts'
import { schema } from './schema.ts'

type Value = (exchange: Exchange) => number

interface Metric {
  readonly name: string
  readonly read: Value
  readonly type: StatType
  readonly rate: number | null
  readonly tags: Tags
  readonly consumerBy: 'consumer_id' | 'custom_id' | 'username' | null
}

interface State {
  readonly metrics: readonly Metric[]
  readonly tagNames: { readonly service: string; readonly status: string; readonly consumer: string }
  readonly queue: DeliveryQueue<readonly string[]>
}

const METRICS: Readonly<Record<string, { readonly stat: string; readonly read: Value }>> = {
  request_count: { stat: 'request.count', read: () => 1 },
  request_size: { stat: 'request.size', read: ({ request }) => request.bytesReceived },
  response_size: { stat: 'response.size', read: ({ response }) => response.bytesSent },
  latency: { stat: 'latency', read: (exchange) => latenciesOf(exchange).request },
  upstream_latency: { stat: 'upstream_latency', read: (exchange) => latenciesOf(exchange).proxy },
  kong_latency: { stat: 'kong_latency', read: (exchange) => latenciesOf(exchange).kong },
}

/** What a datagram may hold on the way through networks with an MTU of 1500 bytes; agents take several lines in one. */
const PACKET_BYTES = 1432

export const datadog = definePlugin({
  schema,

  prepare(config, tools): State {
    const prefix = config.prefix ?? 'kong'
    return {
      metrics: config.metrics.map(
        ({ name, stat_type: type, sample_rate: rate, tags, consumer_identifier: consumerBy }) => {
          const { stat, read } = METRICS[name]!
          const own = (tags ?? []).map((tag) => [tag, null] as const)
          return { name: `${prefix}.${stat}`, read, type, rate, tags: own, consumerBy }
        },
      ),
      tagNames: {
        service: config.service_name_tag ?? 'name',
        status: config.status_tag ?? 'status',
        consumer: config.consumer_tag ?? 'consumer',
      },
      queue: openStatsdQueue(
        {
          host: config.host ?? 'localhost',
          port: config.port ?? 8125,
          usesTcp: false,
          packetBytes: PACKET_BYTES,
          parameters: queueParameters(config),
        },
        tools,
      ),
    }
  },

  log(exchange, { metrics, tagNames, queue }) {
    const { service, response } = exchange
    const serviceTag = [tagNames.service, service === null ? '' : statsdName(service.name ?? service.host)] as const
    const statusTag = [tagNames.status, String(response.status)] as const
    const lines: string[] = []
    for (const { name, read, type, rate, tags, consumerBy } of metrics) {
      const value = read(exchange)
      if (value === -1 || !isSampled(rate)) continue
      const consumer = consumerBy === null ? null : consumerOf(exchange, consumerBy)
      const all: Tags =
        consumer === null
          ? [serviceTag, statusTag, ...tags]
          : [serviceTag, statusTag, [tagNames.consumer, statsdText(consumer)], ...tags]
      lines.push(statsdLine(name, value, type, rate, all, 'dogstatsd'))
    }
    if (lines.length > 0) queue.push(lines, linesBytes(lines))
  },

  close({ queue }) {
    queue.close()
  },
})

function consumerOf({ consumer }: Exchange, by: NonNullable<Metric['consumerBy']>): string | null {
  if (consumer === null) return null
  if (by === 'consumer_id') return consumer.id.replaceAll('-', '_')
  return by === 'username' ? consumer.username : consumer.custom_id
}
