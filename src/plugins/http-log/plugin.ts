/** Sends the log record of each exchange to an HTTP server, in batches, as Kong's http-log does. */
import { definePlugin, type DeliveryQueue, type Exchange, type LogRecord } from '#pdk'
import { logRecords } from '#pdk/log-record.ts'
import { queueParameters } from '#pdk/queue-parameters.ts'
import { HttpSender } from '#pdk/send-http.ts'
import { schema } from './schema.ts'

interface State {
  readonly record: (exchange: Exchange) => LogRecord
  readonly queue: DeliveryQueue<string>
}

export const httpLog = definePlugin({
  schema,

  prepare(config, tools): State {
    const timeoutMs = config.timeout ?? 10_000
    const sender = new HttpSender({
      url: config.http_endpoint,
      method: config.method ?? 'POST',
      headers: { ...config.headers, 'Content-Type': config.content_type ?? 'application/json' },
      connectTimeoutMs: timeoutMs,
      readTimeoutMs: timeoutMs,
      keepaliveMs: config.keepalive ?? 60_000,
      // Kong never verifies here.
      isVerified: config.ssl_verify === true,
      trusted: tools.trusted,
      lookup: tools.lookup,
      isSuccess: (status) => status < 300,
    })
    const parameters = queueParameters(config)
    const isSingle = parameters.maxBatchSize === 1
    return {
      record: logRecords(config.custom_fields, tools.delivery),
      queue: tools.delivery.openQueue<string>({
        parameters,
        send: (batch, signal) => sender.send(isSingle ? batch[0]! : `[${batch.join(',')}]`, signal),
        onClosed: () => void sender.close(),
      }),
    }
  },

  logsSessions: true,
  log(exchange, { record, queue }) {
    const text = JSON.stringify(record(exchange))
    queue.push(text, text.length)
  },

  close({ queue }) {
    queue.close()
  },
})
