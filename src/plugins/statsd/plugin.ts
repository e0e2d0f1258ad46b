/** Sends metrics of each exchange to a StatsD server, as Kong's statsd does. */
import { hostname } from 'node:os'
import { definePlugin, type DeliveryQueue } from '#pdk'
import { queueParameters } from '#pdk/queue-parameters.ts'
import { linesBytes, openStatsdQueue, statsdName } from '#pdk/statsd.ts'
import { compileMetric, sharedMemoryLines, type Metric } from './metrics.ts'
import { schema } from './schema.ts'

interface State {
  readonly metrics: readonly Metric[]
  /** Null where every status counts. */
  readonly statuses: readonly (readonly [from: number, to: number])[] | null
  readonly queue: DeliveryQueue<readonly string[]>
  /** What is sent on shared memory, at most once a minute; null where nothing is. */
  readonly memory: { readonly lines: readonly string[]; sentAtMs: number } | null
}

const MEMORY_EVERY_MS = 60_000

export const statsd = definePlugin({
  schema,

  prepare(config, tools): State {
    const node = statsdName(hostname())
    const prefix = config.prefix ?? 'kong'
    const hasNode = config.hostname_in_prefix === true && config.tag_style === null
    const places = { node, prefix: hasNode ? `${prefix}.node.${node}` : prefix }
    const configured = config.metrics ?? []
    const ofMemory = configured.find(({ name }) => name === 'shdict_usage')
    return {
      metrics: configured.flatMap((metric) => compileMetric(metric, config, places) ?? []),
      statuses: config.allow_status_codes?.map((range) => rangeOf(range)) ?? null,
      queue: openStatsdQueue(
        {
          host: config.host ?? 'localhost',
          port: config.port ?? 8125,
          usesTcp: config.use_tcp === true,
          packetBytes: config.udp_packet_size ?? 0,
          parameters: queueParameters(config),
        },
        tools,
      ),
      memory:
        // It is the same for all workers.
        ofMemory === undefined || tools.workerIndex !== 0
          ? null
          : {
              lines: sharedMemoryLines(tools.sharedMemory, config, places, ofMemory.sample_rate),
              sentAtMs: -Infinity,
            },
    }
  },

  log(exchange, { metrics, statuses, queue, memory }) {
    const { status } = exchange.response
    if (statuses !== null && !statuses.some(([from, to]) => status >= from && status <= to)) return
    const lines: string[] = []
    for (const metric of metrics) metric(exchange, lines)
    if (memory !== null && exchange.now - memory.sentAtMs > MEMORY_EVERY_MS) {
      memory.sentAtMs = exchange.now
      lines.push(...memory.lines)
    }
    if (lines.length > 0) queue.push(lines, linesBytes(lines))
  },

  close({ queue }) {
    queue.close()
  },
})

function rangeOf(text: string): readonly [from: number, to: number] {
  const [from, to] = text.split('-')
  return [Number(from), Number(to)]
}
