/** Sends the log record of each exchange as a datagram, as Kong's udp-log does. */
import { definePlugin, type DeliveryQueue, type Exchange, type LogRecord } from '#pdk'
import { openDatagramQueue } from '#pdk/datagram-queue.ts'
import { logRecords } from '#pdk/log-record.ts'
import { schema } from './schema.ts'

interface State {
  readonly record: (exchange: Exchange) => LogRecord
  readonly queue: DeliveryQueue<Buffer>
}

export const udpLog = definePlugin({
  schema,

  prepare(config, tools): State {
    const { host, port } = config
    return {
      record: logRecords(config.custom_fields, tools.delivery),
      queue: openDatagramQueue({ host, port, timeoutMs: config.timeout ?? 10_000 }, tools),
    }
  },

  logsSessions: true,
  log(exchange, { record, queue }) {
    const datagram = Buffer.from(JSON.stringify(record(exchange)))
    queue.push(datagram, datagram.length)
  },

  close({ queue }) {
    queue.close()
  },
})
