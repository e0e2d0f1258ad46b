/** Which formats of trace context a plugin reads, takes out and writes: `propagation` of its configuration, and Kong's older fields. */
import type { Exchange, HeaderList } from '#pdk'
import { extractors, type Extract } from './extract.ts'
import { injectors, type Inject } from './inject.ts'
import type { ExtractFormat, InjectFormat, OutgoingContext, TraceContext } from './trace-context.ts'

/** Lists of words; the kit's types leave it open what the words are. */
type List = readonly (string | number)[] | null

interface Configured {
  readonly propagation: {
    readonly extract: List
    readonly clear: List
    readonly inject: List
    readonly default_format: string
  }
  readonly header_type?: string | null
  readonly default_header_type?: string | null
}

/** Kong's order before the order could be chosen. */
const ALL_FORMATS: readonly ExtractFormat[] = ['b3', 'w3c', 'jaeger', 'ot', 'datadog', 'aws', 'gcp']

export interface Extracted {
  readonly context: TraceContext
  readonly format: ExtractFormat
}

interface Reader {
  readonly format: ExtractFormat
  readonly extract: Extract
}

interface Writer {
  readonly format: InjectFormat
  readonly inject: Inject
}

export class Propagation {
  readonly #readers: readonly Reader[]
  readonly #clear: readonly string[]
  /** Null stands for 'as it came'. */
  readonly #writers: readonly (Writer | null)[]
  readonly #default: Writer

  constructor(
    extract: readonly ExtractFormat[],
    clear: readonly string[],
    inject: readonly (InjectFormat | 'preserve')[],
    defaultFormat: InjectFormat,
  ) {
    this.#readers = extract.map((format) => ({ format, extract: extractors[format] }))
    this.#clear = clear
    this.#writers = inject.map((format) => (format === 'preserve' ? null : writerOf(format)))
    this.#default = writerOf(defaultFormat)
  }

  /** The context in the first of the formats that the request has one in. */
  extract(headers: HeaderList): Extracted | null {
    for (let i = 0; i < this.#readers.length; i++) {
      const { format, extract } = this.#readers[i]!
      const context = extract(headers)
      if (context !== null) return { context, format }
    }
    return null
  }

  /** Takes out the fields that are to go, and writes the context for the upstream; the log record gets the trace's ids. */
  pass(exchange: Exchange, extracted: Extracted | null, context: OutgoingContext): void {
    const { headers } = exchange.request
    for (const name of this.#clear) headers.remove(name)
    if (this.#writers.length === 0) return
    const fields = (exchange.logFields ??= {})
    // Zipkin and OpenTelemetry on one request each tell of theirs.
    const ids = (fields['trace_id'] ??= {}) as Record<string, string>
    for (const chosen of this.#writers) {
      const { format, inject } = chosen ?? this.#asItCame(extracted)
      ids[format === 'b3-single' ? 'b3' : format] = inject(headers, context)
    }
  }

  #asItCame(extracted: Extracted | null): Writer {
    if (extracted === null) return this.#default
    return writerOf(extracted.context.isSingle ? 'b3-single' : extracted.format)
  }
}

function writerOf(format: InjectFormat): Writer {
  return { format, inject: injectors[format] }
}

/**
 * As in Kong 3.9 `propagation` decides once it says more than `default_format`; before, the older `header_type` does: `ignore` reads
 * nothing, `preserve` answers in the format that came, and a format is written besides that one. The older `default_header_type` wins
 * over `default_format` where it is not what it is by default.
 */
export function compilePropagation(config: Configured, oldDefault: string): Propagation {
  const { extract, clear, inject, default_format } = config.propagation
  const older = config.default_header_type
  const format = (
    older !== undefined && older !== null && older !== oldDefault ? older : default_format
  ) as InjectFormat
  if (extract !== null || clear !== null || inject !== null)
    return new Propagation(
      (extract ?? []) as ExtractFormat[],
      (clear ?? []) as string[],
      (inject ?? []) as (InjectFormat | 'preserve')[],
      format,
    )
  const { header_type: type } = config
  if (type === undefined || type === null) return new Propagation([], [], [], format)
  if (type === 'ignore') return new Propagation([], [], [format], format)
  if (type === 'preserve') return new Propagation(ALL_FORMATS, [], ['preserve'], format)
  return new Propagation(ALL_FORMATS, [], ['preserve', type as InjectFormat], format)
}
