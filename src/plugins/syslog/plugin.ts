/** Writes the log record of each exchange to syslog: to the daemon of this machine, as Kong's syslog does, or to one elsewhere. */
import { hostname } from 'node:os'
import { definePlugin, type DeliveryQueue, type Exchange, type LogRecord, type PluginTools } from '#pdk'
import { openDatagramQueue } from '#pdk/datagram-queue.ts'
import { logRecords } from '#pdk/log-record.ts'
import { severityOf } from '#pdk/log-severity.ts'
import { PLAIN_QUEUE } from '#pdk/queue-parameters.ts'
import { TcpSender } from '#pdk/send-tcp.ts'
import { LocalDaemon, type LocalMessage } from './local-daemon.ts'
import { FACILITIES, syslogMessage, type MessageForm } from './message.ts'
import { schema, type Config } from './schema.ts'

interface State {
  readonly record: (exchange: Exchange) => LogRecord
  readonly severity: (exchange: Exchange) => number
  readonly form: MessageForm
  /** Takes a message, by its severity and time. */
  readonly write: (severity: number, atMs: number, text: string) => void
  readonly queue: DeliveryQueue<never>
}

const TIMEOUT_MS = 10_000
const PORT = 514

export const syslog = definePlugin({
  schema,

  refuse({ transport, host, socket }) {
    if (transport !== 'udp' && transport !== 'tcp') {
      if (host !== null && host !== undefined) return { field: 'host', message: "needs 'transport' to be udp or tcp" }
      return null
    }
    if (host === null || host === undefined) return { field: 'host', message: 'required by transport udp and tcp' }
    return socket === null || socket === undefined ? null : { field: 'socket', message: 'is for transport local' }
  },

  prepare(config, tools): State {
    const isLocal = config.transport !== 'udp' && config.transport !== 'tcp'
    const form: MessageForm = {
      format: config.format ?? (isLocal ? 'rfc3164' : 'rfc5424'),
      facility: config.facility,
      hostname: isLocal ? null : hostname(),
      processId: process.pid,
    }
    const base = { record: logRecords(config.custom_fields, tools.delivery), severity: severityOf(config), form }
    if (isLocal) return { ...base, ...toDaemon(config, form, tools) }
    return { ...base, ...(config.transport === 'udp' ? byUdp(config, form, tools) : byTcp(config, form, tools)) }
  },

  logsSessions: true,
  log(exchange, { record, severity, write }) {
    const level = severity(exchange)
    if (level < 0) return
    write(level, exchange.startedAtMs + Math.max(0, exchange.totalLatencyMs), JSON.stringify(record(exchange)))
  },

  close({ queue }) {
    queue.close()
  },
})

type Way = Pick<State, 'write' | 'queue'>

function toDaemon(config: Config, form: MessageForm, { delivery }: PluginTools): Way {
  const daemon = new LocalDaemon({ socket: config.socket ?? '/dev/log', timeoutMs: TIMEOUT_MS })
  const queue = delivery.openQueue<LocalMessage>({
    parameters: PLAIN_QUEUE,
    async send(batch) {
      await daemon.send(batch)
      return null
    },
    onClosed: () => daemon.close(),
  })
  return {
    queue,
    write(severity, atMs, text) {
      const message = syslogMessage(form, severity, atMs, text)
      queue.push({ priority: FACILITIES[form.facility] * 8 + severity, text, message }, 2 * text.length)
    },
  }
}

function byUdp({ host, port }: Config, form: MessageForm, tools: PluginTools): Way {
  const queue = openDatagramQueue({ host: host!, port: port ?? PORT, timeoutMs: TIMEOUT_MS }, tools)
  return {
    queue,
    write(severity, atMs, text) {
      const datagram = Buffer.from(syslogMessage(form, severity, atMs, text))
      queue.push(datagram, datagram.length)
    },
  }
}

function byTcp({ host, port }: Config, form: MessageForm, { delivery, lookup }: PluginTools): Way {
  const sender = new TcpSender({
    host: host!,
    port: port ?? PORT,
    timeoutMs: TIMEOUT_MS,
    keepaliveMs: 60_000,
    lookup,
    tls: null,
  })
  const queue = delivery.openQueue<string>({
    parameters: PLAIN_QUEUE,
    async send(batch) {
      await sender.send(batch.join(''))
      return null
    },
    onClosed: () => sender.close(),
  })
  return {
    queue,
    write(severity, atMs, text) {
      const message = syslogMessage(form, severity, atMs, text)
      // RFC 6587 3.4.1: the length in bytes stands in front.
      queue.push(`${Buffer.byteLength(message)} ${message}`, message.length)
    },
  }
}
