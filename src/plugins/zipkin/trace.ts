/** What the plugin knows of one exchange while it runs: the ids of its spans, whether they are reported, and when phases began. */
import type { OutgoingContext, TraceContext } from '../tracing/trace-context.ts'
import { randomId } from '../tracing/trace-id.ts'

export class Trace {
  readonly traceId: string
  /** Of the request's span: the sender's own where the format has one for both sides. */
  readonly spanId: string
  readonly parentId: string | null
  /** Of the span for our way to the upstream, which is what the upstream sees as its parent. */
  readonly proxySpanId = randomId(8)
  readonly isSampled: boolean
  readonly isDebug: boolean
  readonly baggage: TraceContext['baggage']
  /** Tags that the client gave; only looked for where the trace is reported. */
  tags: readonly (readonly [string, string])[] | null = null
  /** `performance.now()` when a phase began; -1 where it did not. */
  accessAtMs = -1
  prereadAtMs = -1
  headersAtMs = -1
  bodyAtMs = -1

  constructor(context: TraceContext | null, traceIdBytes: 8 | 16, ratio: number) {
    this.traceId = context?.traceId ?? randomId(traceIdBytes)
    const above = context?.spanId ?? null
    const isShared = context !== null && context.sharesSpan && above !== null
    this.spanId = isShared ? above : randomId(8)
    this.parentId = isShared ? context.parentId : above
    this.isSampled = context?.isSampled ?? Math.random() < ratio
    this.isDebug = context?.isDebug ?? false
    this.baggage = context?.baggage ?? null
  }

  get outgoing(): OutgoingContext {
    return {
      traceId: this.traceId,
      spanId: this.proxySpanId,
      parentId: this.spanId,
      isSampled: this.isSampled,
      isDebug: this.isDebug,
      baggage: this.baggage,
    }
  }
}
