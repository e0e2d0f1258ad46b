/** The messages of OTLP 1: the numbers are those of opentelemetry-proto, files trace/v1, logs/v1, common/v1 and resource/v1. */
import { ProtobufWriter } from './protobuf-writer.ts'

/** Numbers are doubles, as Kong sends them, unless they are `Whole`. */
export type AttributeValue = string | number | boolean | Whole
export type Attributes = readonly (readonly [key: string, value: AttributeValue])[]

/** A non-negative whole number that goes as one. */
export class Whole {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

export const INTERNAL = 1
export const SERVER = 2
export const CLIENT = 3

export interface Span {
  /** 32 digits. */
  readonly traceId: string
  /** 16 digits. */
  readonly spanId: string
  readonly parentId: string | null
  readonly name: string
  readonly kind: typeof INTERNAL | typeof SERVER | typeof CLIENT
  /** Unix ms with fractions. */
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly isError: boolean
  /** Of an exception, which becomes an event at the end of the span. */
  readonly exception: string | null
}

export interface LogEntry {
  readonly atMs: number
  readonly severity: 'INFO' | 'WARN' | 'ERROR'
  readonly body: unknown
  readonly attributes: Attributes
  /** Null where the request has no trace. */
  readonly trace: { readonly traceId: string; readonly spanId: string; readonly isSampled: boolean } | null
}

/** Every thread writes one message at a time. */
const writer = new ProtobufWriter()

/** Kong's. */
const SCOPE = { name: 'kong-internal', version: '0.1.0' }
const ERROR_STATUS = 2
const SEVERITIES = { INFO: 9, WARN: 13, ERROR: 17 } as const

/** A message of `spans`, whole with its tag, so that several can be put behind each other. */
export function encodeSpan(span: Span): Buffer {
  return written(() => {
    const began = writer.begin(2)
    writer.hex(1, span.traceId)
    writer.hex(2, span.spanId)
    if (span.parentId !== null) writer.hex(4, span.parentId)
    writer.text(5, span.name)
    writer.uint(6, span.kind)
    writer.nanos(7, span.startMs)
    writer.nanos(8, span.endMs)
    writeAttributes(9, span.attributes)
    if (span.exception !== null) {
      const event = writer.begin(11)
      writer.nanos(1, span.endMs)
      writer.text(2, 'exception')
      writeAttributes(3, [['exception.message', span.exception]])
      writer.end(event)
    }
    if (span.isError) {
      const status = writer.begin(15)
      writer.uint(3, ERROR_STATUS)
      writer.end(status)
    }
    writer.end(began)
  })
}

/** A message of `log_records`, likewise. */
export function encodeLogEntry({ atMs, severity, body, attributes, trace }: LogEntry): Buffer {
  return written(() => {
    const began = writer.begin(2)
    writer.nanos(1, atMs)
    writer.uint(2, SEVERITIES[severity])
    writer.text(3, severity)
    const value = writer.begin(5)
    writeAny(body, 0)
    writer.end(value)
    writeAttributes(6, attributes)
    if (trace !== null) {
      writer.fixed32(8, trace.isSampled ? 1 : 0)
      writer.hex(9, trace.traceId)
      writer.hex(10, trace.spanId)
    }
    writer.nanos(11, atMs)
    writer.end(began)
  })
}

/** What goes before the spans or entries of every request to the collector: who sends. */
export class Envelope {
  readonly #resource: Buffer
  readonly #scope: Buffer

  constructor(attributes: Attributes) {
    this.#resource = written(() => {
      const resource = writer.begin(1)
      writeAttributes(1, attributes)
      writer.end(resource)
    })
    this.#scope = written(() => {
      const scope = writer.begin(1)
      writer.text(1, SCOPE.name)
      writer.text(2, SCOPE.version)
      writer.end(scope)
    })
  }

  /** An `ExportTraceServiceRequest` or `ExportLogsServiceRequest`: the two have the same numbers. */
  around(entries: readonly Buffer[]): Buffer {
    const scoped = written(() => writer.bytes(2, Buffer.concat([this.#scope, ...entries])))
    return written(() => writer.bytes(1, Buffer.concat([this.#resource, scoped])))
  }
}

function written(write: () => void): Buffer {
  try {
    write()
    return writer.take()
  } finally {
    writer.reset()
  }
}

function writeAttributes(field: number, attributes: Attributes): void {
  for (let i = 0; i < attributes.length; i++) {
    const [key, value] = attributes[i]!
    const pair = writer.begin(field)
    writer.text(1, key)
    const any = writer.begin(2)
    if (value instanceof Whole) writer.uint(3, value.value)
    else writeScalar(value)
    writer.end(any)
    writer.end(pair)
  }
}

function writeScalar(value: string | number | boolean): void {
  if (typeof value === 'string') writer.text(1, value)
  else if (typeof value === 'number') writer.double(4, value)
  else writer.bool(2, value)
}

/** Log records are not deeper than this; a value that is has no end. */
const DEEPEST = 20

/** What JSON can say, as an AnyValue; what is null or undefined is an empty one. */
function writeAny(value: unknown, depth: number): void {
  if (typeof value === 'string' || typeof value === 'boolean') return writeScalar(value)
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && value >= 0) return writer.uint(3, value)
    return writer.double(4, value)
  }
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return
  const isList = Array.isArray(value)
  const holder = writer.begin(isList ? 5 : 6)
  for (const [key, member] of isList ? value.map((one) => ['', one] as const) : Object.entries(value)) {
    if (member === undefined) continue
    const entry = writer.begin(1)
    if (isList) writeAny(member, depth + 1)
    else {
      writer.text(1, key)
      const any = writer.begin(2)
      writeAny(member, depth + 1)
      writer.end(any)
    }
    writer.end(entry)
  }
  writer.end(holder)
}
