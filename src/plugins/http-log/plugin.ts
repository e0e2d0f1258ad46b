/** Sends the log record of each exchange to an HTTP server, in batches, as Kong's http-log does. */
import { definePlugin, type DeliveryQueue, type Exchange, type LogRecord } from '#pdk'
import { openHttpQueue } from '#pdk/http-queue.ts'
import { logRecords } from '#pdk/log-record.ts'
import { queueParameters } from '#pdk/queue-parameters.ts'
import { schema } from './schema.ts'

interface State {
  readonly record: (exchange: Exchange) => LogRecord
  readonly queue: DeliveryQueue<string>
}

export const httpLog = definePlugin({
  schema,

  prepare(config, tools): State {
    const parameters = queueParameters(config)
    const timeoutMs = config.timeout ?? 10_000
    const isSingle = parameters.maxBatchSize === 1
    return {
      record: logRecords(config.custom_fields, tools.delivery),
      queue: openHttpQueue<string>(tools, {
        parameters,
        url: config.http_endpoint,
        method: config.method ?? 'POST',
        headers: { ...config.headers, 'Content-Type': config.content_type ?? 'application/json' },
        connectTimeoutMs: timeoutMs,
        readTimeoutMs: timeoutMs,
        keepaliveMs: config.keepalive ?? 60_000,
        // Kong never verifies here.
        isVerified: config.ssl_verify === true,
        isSuccess: (status) => status < 300,
        bodyOf: (batch) => (isSingle ? batch[0]! : `[${batch.join(',')}]`),
      }),
    }
  },

  log: logExchange,
  sessionLog: logExchange,

  close({ queue }) {
    queue.close()
  },
})

function logExchange(exchange: Exchange, { record, queue }: State): void {
  const text = JSON.stringify(record(exchange))
  queue.push(text, text.length)
}
