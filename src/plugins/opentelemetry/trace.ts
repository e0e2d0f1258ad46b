/** What the plugin knows of one exchange while it runs. */
import type { TraceContext } from '../tracing/trace-context.ts'
import { randomId, sizedId } from '../tracing/trace-id.ts'

export class Trace {
  /** As it goes on: with 16 digits where it came so. */
  readonly traceId: string
  /** Of the span of the whole request. */
  readonly spanId = randomId(8)
  readonly parentId: string | null
  /** Of the last try, which is what the upstream sees as its parent; that of the request where tries are not recorded. */
  readonly balancerSpanId: string
  readonly isSampled: boolean

  constructor(context: TraceContext | null, hasTries: boolean, sample: (traceId: string) => boolean) {
    this.traceId = context?.traceId ?? randomId(16)
    this.parentId = context?.spanId ?? context?.parentId ?? null
    this.balancerSpanId = hasTries ? randomId(8) : this.spanId
    this.isSampled = sample(this.traceId)
  }

  /** OTLP has 32 digits only. */
  get exportedId(): string {
    return sizedId(this.traceId, 32)
  }
}
