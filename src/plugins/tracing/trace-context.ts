/** What a request says about the trace that it belongs to. */

/** Formats that are read; `b3` in one header or in several. */
export type ExtractFormat = 'w3c' | 'b3' | 'jaeger' | 'ot' | 'datadog' | 'aws' | 'gcp'
export type InjectFormat = ExtractFormat | 'b3-single'

export interface TraceContext {
  /** 16 or 32 digits, as it came; null where the request names no trace, or a broken one. */
  readonly traceId: string | null
  /** The span of who asks us, or the one that both sides share, see `sharesSpan`. */
  readonly spanId: string | null
  /** The span above that one, in formats that name it. */
  readonly parentId: string | null
  /** Whether the format has one span for both sides of a request: then `spanId` is ours, too. */
  readonly sharesSpan: boolean
  /** Null where the sender leaves it to us. */
  readonly isSampled: boolean | null
  /** B3's debug flag: record whatever the sampling says. */
  readonly isDebug: boolean
  /** Of B3, whether it came in the single header. */
  readonly isSingle: boolean
  /** Names and values as they came, escaped; null for none. */
  readonly baggage: readonly (readonly [name: string, value: string])[] | null
}

/** What goes on to the upstream. */
export interface OutgoingContext {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | null
  readonly isSampled: boolean
  readonly isDebug: boolean
  readonly baggage: TraceContext['baggage']
}
