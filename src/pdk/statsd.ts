/** Lines in the form of StatsD and its dialects with tags, and the queue by which they leave: for the plugins statsd and datadog. */
import type { DeliveryQueue, PluginTools, QueueParameters } from './pdk.ts'
import { TcpSender } from './send-tcp.ts'
import { LARGEST_DATAGRAM_BYTES, UdpSender } from './send-udp.ts'

const TYPES = {
  gauge: 'g',
  counter: 'c',
  timer: 'ms',
  histogram: 'h',
  meter: 'm',
  set: 's',
  distribution: 'd',
} as const
export type StatType = keyof typeof TYPES
export type TagStyle = 'dogstatsd' | 'influxdb' | 'librato' | 'signalfx'
/** A null value is a tag that is nothing but its name. */
export type Tags = readonly (readonly [name: string, value: string | null])[]

/** A line without its end. `tags` is null for a line without any. */
export function statsdLine(
  name: string,
  value: number | string,
  type: StatType,
  sampleRate: number | null,
  tags: Tags | null,
  style: TagStyle | null,
): string {
  const rate = sampleRate === null || sampleRate === 1 ? '' : `|@${sampleRate}`
  const rest = `:${value}|${TYPES[type]}${rate}`
  if (tags === null || tags.length === 0 || style === null) return name + rest
  if (style === 'dogstatsd') return `${name}${rest}|#${joined(tags, ':')}`
  const list = joined(tags, '=')
  if (style === 'influxdb') return `${name},${list}${rest}`
  return style === 'librato' ? `${name}#${list}${rest}` : `${name}[${list}]${rest}`
}

/** A part of a name: dots would make levels of it. */
export function statsdName(text: string): string {
  return statsdText(text).replaceAll('.', '_')
}

/** Without what would end the name, the value or the line, so that no consumer's name is another metric. */
export function statsdText(text: string): string {
  return text.replaceAll(UNSAFE, '_')
}

// oxlint-disable-next-line no-control-regex -- they are what is looked for
const UNSAFE = /[:|,\u0000-\u001f]/g

function joined(tags: Tags, sign: string): string {
  let text = ''
  for (const [name, value] of tags) text += `${text === '' ? '' : ','}${name}${value === null ? '' : sign + value}`
  return text
}

/** Whether this one of many is taken, where one in 1/rate stands for all. */
export function isSampled(sampleRate: number | null): boolean {
  return sampleRate === null || sampleRate >= 1 || Math.random() < sampleRate
}

export interface StatsdReceiver {
  readonly host: string
  readonly port: number
  readonly usesTcp: boolean
  /** How many bytes of lines go into one datagram; 0 for one line each. */
  readonly packetBytes: number
  readonly parameters: QueueParameters
}

const TIMEOUT_MS = 1000
const KEEPALIVE_MS = 60_000

/** A queue whose entries are the lines of one exchange. */
export function openStatsdQueue(
  { host, port, usesTcp, packetBytes, parameters }: StatsdReceiver,
  { delivery, lookup }: Pick<PluginTools, 'delivery' | 'lookup'>,
): DeliveryQueue<readonly string[]> {
  if (usesTcp) {
    const tcp = new TcpSender({ host, port, timeoutMs: TIMEOUT_MS, keepaliveMs: KEEPALIVE_MS, lookup, tls: null })
    return delivery.openQueue<readonly string[]>({
      parameters,
      async send(batch) {
        await tcp.send(batch.map((lines) => `${lines.join('\n')}\n`).join(''))
        return null
      },
      onClosed: () => tcp.close(),
    })
  }
  const udp = new UdpSender({ host, port, timeoutMs: TIMEOUT_MS, lookup })
  return delivery.openQueue<readonly string[]>({
    parameters,
    async send(batch) {
      for (const datagram of packed(batch.flat(), packetBytes)) await udp.send(datagram)
      return null
    },
    onClosed: () => udp.close(),
  })
}

/** Lines put together up to `limitBytes`; a longer one goes alone. */
export function packed(lines: readonly string[], limitBytes: number): Buffer[] {
  const limit = Math.min(limitBytes, LARGEST_DATAGRAM_BYTES)
  const datagrams: Buffer[] = []
  let text = ''
  let bytes = 0
  for (const line of lines) {
    const length = Buffer.byteLength(line)
    if (text !== '' && bytes + 1 + length > limit) {
      datagrams.push(Buffer.from(text))
      text = ''
    }
    bytes = text === '' ? length : bytes + 1 + length
    text = text === '' ? line : `${text}\n${line}`
  }
  if (text !== '') datagrams.push(Buffer.from(text))
  return datagrams
}

/** What a queue holds for these lines. */
export function linesBytes(lines: readonly string[]): number {
  let bytes = 0
  for (const line of lines) bytes += line.length + 16
  return bytes
}
