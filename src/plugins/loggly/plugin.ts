/** Sends the log record of each exchange to Loggly, as a syslog datagram (RFC 5424) with the customer's token, as Kong's loggly does. */
import { hostname } from 'node:os'
import { definePlugin, type DeliveryQueue, type Exchange, type LogRecord } from '#pdk'
import { openDatagramQueue } from '#pdk/datagram-queue.ts'
import { logRecords } from '#pdk/log-record.ts'
import { severityOf } from '#pdk/log-severity.ts'
import { schema } from './schema.ts'

interface State {
  readonly record: (exchange: Exchange) => LogRecord
  readonly severity: (exchange: Exchange) => number
  readonly queue: DeliveryQueue<Buffer>
  /** What stands between the time and the record. */
  readonly middle: string
}

/** Loggly's number among private enterprises (RFC 5424 7.2.2). */
const ENTERPRISE = 41_058
/** Facility user (1), as Kong. */
const USER = 1

export const loggly = definePlugin({
  schema,

  prepare(config, tools): State {
    const tags = (config.tags ?? []).map((tag) => `tag="${escapeParameter(tag)}"`).join(' ')
    const place = { host: config.host ?? 'logs-01.loggly.com', port: config.port ?? 514 }
    return {
      record: logRecords(config.custom_fields, tools.delivery),
      severity: severityOf(config),
      queue: openDatagramQueue({ ...place, timeoutMs: config.timeout ?? 10_000 }, tools),
      middle: `${hostname()} kong - - [${config.key}@${ENTERPRISE} ${tags}]`,
    }
  },

  logsSessions: true,
  log(exchange, { record, severity, queue, middle }) {
    const level = severity(exchange)
    if (level < 0) return
    const time = new Date(exchange.startedAtMs + Math.max(0, exchange.totalLatencyMs)).toISOString()
    const datagram = Buffer.from(`<${USER * 8 + level}>1 ${time} ${middle} ${JSON.stringify(record(exchange))}`)
    queue.push(datagram, datagram.length)
  },

  close({ queue }) {
    queue.close()
  },
})

/** RFC 5424 6.3.3. */
function escapeParameter(value: string): string {
  return value.replaceAll(/["\\\]]/g, '\\$&')
}
