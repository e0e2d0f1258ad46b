/** Sends the log record of each exchange over TCP or TLS, a line each, as Kong's tcp-log does. */
import { definePlugin, type DeliveryQueue, type Exchange, type LogRecord } from '#pdk'
import { logRecords } from '#pdk/log-record.ts'
import { PLAIN_QUEUE } from '#pdk/queue-parameters.ts'
import { TcpSender } from '#pdk/send-tcp.ts'
import { schema } from './schema.ts'

interface State {
  readonly record: (exchange: Exchange) => LogRecord
  readonly queue: DeliveryQueue<string>
}

export const tcpLog = definePlugin({
  schema,

  prepare(config, tools): State {
    const sender = new TcpSender({
      host: config.host,
      port: config.port,
      timeoutMs: config.timeout ?? 10_000,
      keepaliveMs: config.keepalive ?? 60_000,
      lookup: tools.lookup,
      tls: config.tls
        ? // Kong never verifies here.
          { servername: config.tls_sni, isVerified: config.ssl_verify === true, trusted: tools.trusted }
        : null,
    })
    return {
      record: logRecords(config.custom_fields, tools.delivery),
      queue: tools.delivery.openQueue<string>({
        parameters: PLAIN_QUEUE,
        async send(batch) {
          await sender.send(batch.join(''))
          return null
        },
        onClosed: () => sender.close(),
      }),
    }
  },

  logsSessions: true,
  log(exchange, { record, queue }) {
    const line = `${JSON.stringify(record(exchange))}\n`
    queue.push(line, line.length)
  },

  close({ queue }) {
    queue.close()
  },
})
