/**
 * Reads the trace context of a request, format by format, as Kong 3.9 does. Whatever a client sends, nothing here throws: what is
 * malformed counts as not sent.
 */
import type { HeaderList } from '#pdk'
import type { ExtractFormat, TraceContext } from './trace-context.ts'
import { idOfDecimal, isZero, sizedId } from './trace-id.ts'

/** Null where the request has no context in this format. */
export type Extract = (headers: HeaderList) => TraceContext | null

export const extractors: Readonly<Record<ExtractFormat, Extract>> = {
  w3c: extractW3c,
  b3: extractB3,
  jaeger: extractJaeger,
  ot: extractOt,
  datadog: extractDatadog,
  aws: extractAws,
  gcp: extractGcp,
}

/** W3C Trace Context 3.2: only version 00, as Kong. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]([0-9a-f])$/i

function extractW3c(headers: HeaderList): TraceContext | null {
  const found = matchOf(headers, 'traceparent', TRACEPARENT)
  if (found === null) return null
  const traceId = found[1]!.toLowerCase()
  const spanId = found[2]!.toLowerCase()
  if (isZero(traceId) || isZero(spanId)) return null
  return { ...NOTHING, traceId, spanId, isSampled: isOdd(found[3]!) }
}

const B3_SINGLE = /^([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d]))?(?:-([0-9a-f]{16}))?$/i
const B3_FIELDS = ['x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags'] as const
const B3_STATE = 'b3='

/**
 * B3 in one header or in several; what the single one lacks is taken from the others. Also a request whose ids are malformed has said
 * that it speaks B3.
 */
function extractB3(headers: HeaderList): TraceContext | null {
  const single = valueOf(headers, 'b3') ?? stateOf(headers)
  const hasSeveral = B3_FIELDS.some((name) => headers.has(name))
  if (single === null && !hasSeveral) return null
  const one = single === null ? NOTHING : readB3Single(single)
  const several = hasSeveral ? readB3Fields(headers) : NOTHING
  const traceId = one.traceId ?? several.traceId
  return {
    ...NOTHING,
    traceId,
    spanId: traceId === null ? null : (one.spanId ?? several.spanId),
    parentId: traceId === null ? null : (one.parentId ?? several.parentId),
    isSampled: one.isSampled ?? several.isSampled,
    isDebug: one.isDebug || several.isDebug,
    isSingle: single !== null,
    sharesSpan: true,
  }
}

/** Some senders put the single header there. */
function stateOf(headers: HeaderList): string | null {
  if (!headers.has('tracestate')) return null
  const state = headers.getAll('tracestate').find((value) => value.startsWith(B3_STATE))
  return state === undefined ? null : state.slice(B3_STATE.length)
}

function readB3Single(text: string): TraceContext {
  if (text === '0') return { ...NOTHING, isSampled: false }
  if (text === '1' || text === 'd') return { ...NOTHING, isSampled: true, isDebug: text === 'd' }
  const found = B3_SINGLE.exec(text)
  if (found === null) return NOTHING
  const [, traceId = '', spanId = '', sampled, parentId] = found
  if (isZero(traceId) || isZero(spanId)) return NOTHING
  return {
    ...NOTHING,
    traceId: traceId.toLowerCase(),
    spanId: spanId.toLowerCase(),
    parentId: parentId?.toLowerCase() ?? null,
    isSampled: sampled === undefined ? null : sampled !== '0',
    isDebug: sampled === 'd' || sampled === 'D',
  }
}

function readB3Fields(headers: HeaderList): TraceContext {
  const isDebug = valueOf(headers, 'x-b3-flags') === '1'
  const traceId = idOf(headers, 'x-b3-traceid', true)
  const spanId = idOf(headers, 'x-b3-spanid', false)
  const parentId = idOf(headers, 'x-b3-parentspanid', false)
  const isSampled = isDebug ? true : flagOf(headers, 'x-b3-sampled')
  // One that is malformed makes all three doubtful.
  if (traceId === MALFORMED || spanId === MALFORMED || parentId === MALFORMED) return { ...NOTHING, isSampled, isDebug }
  return { ...NOTHING, traceId, spanId, parentId, isSampled, isDebug }
}

const JAEGER = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):([0-9a-f]+):[0-9a-f]?([0-9a-f])$/i

function extractJaeger(headers: HeaderList): TraceContext | null {
  const found = matchOf(headers, 'uber-trace-id', JAEGER)
  if (found === null) return null
  const [, trace = '', span = '', parent = '', flags = ''] = found
  if (isZero(trace) || isZero(span)) return null
  return {
    ...NOTHING,
    traceId: sizedId(trace, trace.length > 16 ? 32 : 16).toLowerCase(),
    spanId: sizedId(span, 16).toLowerCase(),
    // Of a root it is 0; one of another length is ignored, as Jaeger's own readers do.
    parentId: isZero(parent) || parent.length > 16 ? null : sizedId(parent, 16).toLowerCase(),
    sharesSpan: true,
    isSampled: isOdd(flags),
    baggage: baggageOf(headers, 'uberctx-'),
  }
}

function extractOt(headers: HeaderList): TraceContext | null {
  const trace = idOf(headers, 'ot-tracer-traceid', true)
  const span = idOf(headers, 'ot-tracer-spanid', false)
  const isSampled = flagOf(headers, 'ot-tracer-sampled')
  const isValid = trace !== MALFORMED && span !== MALFORMED && trace !== null
  if (!isValid && isSampled === null) return null
  return {
    ...NOTHING,
    traceId: isValid ? trace : null,
    spanId: isValid ? span : null,
    isSampled,
    baggage: baggageOf(headers, 'ot-baggage-'),
  }
}

const DECIMAL = /^\s*(\d{1,39})\s*$/

function extractDatadog(headers: HeaderList): TraceContext | null {
  const priority = valueOf(headers, 'x-datadog-sampling-priority')
  const isSampled = priority === null ? null : PRIORITIES[priority]
  // As Kong: a priority that is none makes the rest doubtful.
  if (isSampled === undefined) return null
  const trace = matchOf(headers, 'x-datadog-trace-id', DECIMAL)
  const traceId = trace === null ? null : idOfDecimal(trace[1]!, 32)
  const parent = traceId === null ? null : matchOf(headers, 'x-datadog-parent-id', DECIMAL)
  if (traceId === null && isSampled === null) return null
  return { ...NOTHING, traceId, spanId: parent === null ? null : idOfDecimal(parent[1]!, 16), isSampled }
}

const PRIORITIES: Readonly<Record<string, boolean>> = { '-1': false, '0': false, '1': true, '2': true }

const AWS_ROOT = /^1-([0-9a-f]{8})-([0-9a-f]{24})$/i
const SPAN_ID = /^[0-9a-f]{16}$/i

/** AWS X-Ray: `Root=1-<8 digits>-<24 digits>;Parent=<16 digits>;Sampled=0`, in any order, with other members between. */
function extractAws(headers: HeaderList): TraceContext | null {
  const text = valueOf(headers, 'x-amzn-trace-id')
  if (text === null) return null
  let traceId: string | null = null
  let spanId: string | null = null
  let isSampled: boolean | null = null
  for (const member of text.split(';')) {
    const at = member.indexOf('=')
    if (at < 0) continue
    const value = member.slice(at + 1).trim()
    switch (member.slice(0, at).trim()) {
      case 'Root': {
        const root = AWS_ROOT.exec(value)
        if (root === null) return null
        traceId = (root[1]! + root[2]!).toLowerCase()
        break
      }
      case 'Parent':
        if (!SPAN_ID.test(value)) return null
        spanId = value.toLowerCase()
        break
      case 'Sampled':
        if (value !== '0' && value !== '1') return null
        isSampled = value === '1'
    }
  }
  if (traceId !== null && isZero(traceId)) return null
  if (traceId === null && isSampled === null) return null
  return { ...NOTHING, traceId, spanId: traceId === null ? null : spanId, isSampled }
}

/** Google Cloud: `<32 digits>/<decimal span>`, with `;o=` and a flag behind it. */
const GCP = /^([0-9a-f]{32})\/(\d{1,20})(?:;o=(\d))?$/

function extractGcp(headers: HeaderList): TraceContext | null {
  const found = matchOf(headers, 'x-cloud-trace-context', GCP)
  if (found === null || isZero(found[1]!)) return null
  return { ...NOTHING, traceId: found[1]!, spanId: idOfDecimal(found[2]!, 16), isSampled: found[3] === '1' }
}

// ---- fields

const NOTHING: TraceContext = {
  traceId: null,
  spanId: null,
  parentId: null,
  sharesSpan: false,
  isSampled: null,
  isDebug: false,
  isSingle: false,
  baggage: null,
}

/** The field's value; '' where it came several times, which no format allows, null where it did not come. */
function valueOf(headers: HeaderList, name: string): string | null {
  const value = headers.get(name)
  return value === null || headers.getAll(name).length === 1 ? value : ''
}

function matchOf(headers: HeaderList, name: string, pattern: RegExp): RegExpExecArray | null {
  const value = valueOf(headers, name)
  return value === null ? null : pattern.exec(value)
}

const MALFORMED = Symbol('malformed')
const TRACE_ID = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/i

function idOf(headers: HeaderList, name: string, isTrace: boolean): string | null | typeof MALFORMED {
  const value = valueOf(headers, name)
  if (value === null) return null
  if (!(isTrace ? TRACE_ID : SPAN_ID).test(value)) return MALFORMED
  // A span above that is zero is the sender's way to say that there is none.
  return isZero(value) ? (name === 'x-b3-parentspanid' ? null : MALFORMED) : value.toLowerCase()
}

function flagOf(headers: HeaderList, name: string): boolean | null {
  const value = valueOf(headers, name)
  if (value === '1' || value === 'true') return true
  return value === '0' || value === 'false' ? false : null
}

function isOdd(digit: string): boolean {
  return parseInt(digit, 16) % 2 === 1
}

function baggageOf(headers: HeaderList, prefix: string): TraceContext['baggage'] {
  let baggage: [string, string][] | null = null
  for (const [name, value] of headers) {
    if (name.length <= prefix.length || name.slice(0, prefix.length).toLowerCase() !== prefix) continue
    baggage ??= []
    baggage.push([name.slice(prefix.length).toLowerCase(), value])
  }
  return baggage
}
