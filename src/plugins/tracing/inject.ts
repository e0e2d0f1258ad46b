/** Writes a trace context into the fields that the upstream gets, format by format, as Kong 3.9 does. */
import type { HeaderList } from '#pdk'
import type { InjectFormat, OutgoingContext } from './trace-context.ts'
import { decimalOfId, sizedId } from './trace-id.ts'

/** Sets the fields of the format; answers the trace's id as the format has it. */
export type Inject = (headers: HeaderList, context: OutgoingContext) => string

export const injectors: Readonly<Record<InjectFormat, Inject>> = {
  w3c(headers, { traceId, spanId, isSampled }) {
    const id = sizedId(traceId, 32)
    headers.set('traceparent', `00-${id}-${spanId}-${isSampled ? '01' : '00'}`)
    return id
  },

  b3(headers, { traceId, spanId, parentId, isSampled, isDebug }) {
    headers.set('x-b3-traceid', traceId)
    headers.set('x-b3-spanid', spanId)
    if (parentId !== null) headers.set('x-b3-parentspanid', parentId)
    if (isDebug) headers.set('x-b3-flags', '1')
    else headers.set('x-b3-sampled', isSampled ? '1' : '0')
    return traceId
  },

  'b3-single'(headers, { traceId, spanId, parentId, isSampled, isDebug }) {
    const sampled = isDebug ? 'd' : isSampled ? '1' : '0'
    headers.set('b3', `${traceId}-${spanId}-${sampled}${parentId === null ? '' : `-${parentId}`}`)
    return traceId
  },

  jaeger(headers, { traceId, spanId, parentId, isSampled, baggage }) {
    headers.set('uber-trace-id', `${traceId}:${spanId}:${parentId ?? '0'}:${isSampled ? '01' : '00'}`)
    for (const [name, value] of baggage ?? []) headers.set(`uberctx-${name}`, value)
    return traceId
  },

  ot(headers, { traceId, spanId, isSampled, baggage }) {
    headers.set('ot-tracer-traceid', traceId)
    headers.set('ot-tracer-spanid', spanId)
    headers.set('ot-tracer-sampled', isSampled ? '1' : '0')
    for (const [name, value] of baggage ?? []) headers.set(`ot-baggage-${name}`, value)
    return traceId
  },

  datadog(headers, { traceId, spanId, isSampled }) {
    const id = decimalOfId(traceId)
    headers.set('x-datadog-trace-id', id)
    headers.set('x-datadog-parent-id', decimalOfId(spanId))
    headers.set('x-datadog-sampling-priority', isSampled ? '1' : '0')
    return id
  },

  aws(headers, { traceId, spanId, isSampled }) {
    const id = sizedId(traceId, 32)
    const sampled = isSampled ? '1' : '0'
    headers.set('x-amzn-trace-id', `Root=1-${id.slice(0, 8)}-${id.slice(8)};Parent=${spanId};Sampled=${sampled}`)
    return id
  },

  gcp(headers, { traceId, spanId, isSampled }) {
    const id = sizedId(traceId, 32)
    headers.set('x-cloud-trace-context', `${id}/${decimalOfId(spanId)};o=${isSampled ? '1' : '0'}`)
    return id
  },
}
