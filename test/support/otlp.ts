/** Reads what was sent over OTLP, with protobufjs, which has nothing of the gateway's own writer. */
import path from 'node:path'
import protobuf from 'protobufjs'

const root = protobuf.loadSync(path.join(import.meta.dirname, 'otlp.proto'))

export interface ReadSpan {
  readonly traceId: string
  readonly spanId: string
  /** '' for a root. */
  readonly parentId: string
  readonly name: string
  readonly kind: number
  /** Unix nanoseconds. */
  readonly start: bigint
  readonly end: bigint
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }[]
  /** 0 unless set. */
  readonly status: number
}

export interface ReadEntry {
  readonly time: bigint
  readonly severity: string
  readonly severityNumber: number
  readonly body: any
  readonly attributes: Readonly<Record<string, unknown>>
  readonly flags: number
  readonly traceId: string
  readonly spanId: string
}

export interface Read<T> {
  readonly resource: Readonly<Record<string, unknown>>
  readonly scope: { readonly name: string; readonly version: string }
  readonly entries: readonly T[]
}

function decode(type: 'Traces' | 'Logs', bytes: Buffer): any {
  const message = root.lookupType(`otlp.${type}`)
  return message.toObject(message.decode(bytes), { longs: String, bytes: Buffer, arrays: true })
}

/** Of the one resource that the gateway sends. */
export function readTraces(bytes: Buffer): Read<ReadSpan> {
  const [{ resource, scopeSpans }] = decode('Traces', bytes).resourceSpans
  return {
    resource: attributesOf(resource.attributes),
    scope: scopeSpans[0].scope,
    entries: scopeSpans[0].spans.map((span: any) => ({
      traceId: span.traceId.toString('hex'),
      spanId: span.spanId.toString('hex'),
      parentId: span.parentSpanId?.toString('hex') ?? '',
      name: span.name,
      kind: span.kind,
      start: BigInt(span.startTimeUnixNano),
      end: BigInt(span.endTimeUnixNano),
      attributes: attributesOf(span.attributes),
      events: span.events.map(({ name, attributes }: any) => ({ name, attributes: attributesOf(attributes) })),
      status: span.status?.code ?? 0,
    })),
  }
}

export function readLogs(bytes: Buffer): Read<ReadEntry> {
  const [{ resource, scopeLogs }] = decode('Logs', bytes).resourceLogs
  return {
    resource: attributesOf(resource.attributes),
    scope: scopeLogs[0].scope,
    entries: scopeLogs[0].logRecords.map((entry: any) => ({
      time: BigInt(entry.timeUnixNano),
      severity: entry.severityText,
      severityNumber: entry.severityNumber,
      body: valueOf(entry.body),
      attributes: attributesOf(entry.attributes),
      flags: entry.flags ?? 0,
      traceId: entry.traceId?.toString('hex') ?? '',
      spanId: entry.spanId?.toString('hex') ?? '',
    })),
  }
}

function attributesOf(pairs: readonly { key: string; value: any }[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, valueOf(value)]))
}

/** Whole numbers as bigint, so that they are told from doubles; null for an empty value. */
function valueOf(value: any): unknown {
  if (value === undefined || value === null) return null
  if ('intValue' in value) return BigInt(value.intValue)
  if ('arrayValue' in value) return value.arrayValue.values.map(valueOf)
  if ('kvlistValue' in value) return attributesOf(value.kvlistValue.values)
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? null
}
