import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakeExchange, headersOf, type HeaderInput } from '#pdk/testing'
import { compilePropagation, Propagation } from './propagation.ts'
import type { ExtractFormat, InjectFormat, OutgoingContext, TraceContext } from './trace-context.ts'
import { decimalOfId, idOfDecimal, randomId, sizedId } from './trace-id.ts'

const TRACE = '80f198ee56343ba864fe8b2a57d3eff7'
const LOW = '64fe8b2a57d3eff7'
const SPAN = 'e457b5a2e4d86bd1'
const PARENT = '05e3ac9a4f6e3b90'
const FORMATS: readonly ExtractFormat[] = ['w3c', 'b3', 'jaeger', 'ot', 'datadog', 'aws', 'gcp']

function extract(format: ExtractFormat, headers: HeaderInput): Partial<TraceContext> | null {
  const found = new Propagation([format], [], [], 'w3c').extract(fakeExchange({ headers }).request.headers)
  if (found === null) return null
  const { isDebug, isSingle, sharesSpan, baggage, ...ids } = found.context
  return {
    ...ids,
    ...(isDebug && { isDebug }),
    ...(isSingle && { isSingle }),
    ...(sharesSpan && { sharesSpan }),
    ...(baggage !== null && { baggage }),
  }
}

function inject(format: InjectFormat, context: Partial<OutgoingContext> = {}) {
  const exchange = fakeExchange()
  const out = { traceId: TRACE, spanId: SPAN, parentId: PARENT, isSampled: true, isDebug: false, baggage: null }
  new Propagation([], [], [format], 'w3c').pass(exchange, null, { ...out, ...context })
  return { headers: headersOf(exchange.request.headers), ids: exchange.logFields?.['trace_id'] }
}

const read: readonly (readonly [format: ExtractFormat, headers: HeaderInput, context: object | null])[] = [
  ['w3c', { traceparent: `00-${TRACE}-${SPAN}-01` }, { traceId: TRACE, spanId: SPAN, isSampled: true }],
  ['w3c', { traceparent: `00-${TRACE.toUpperCase()}-${SPAN}-fe` }, { traceId: TRACE, spanId: SPAN, isSampled: false }],
  ['w3c', { traceparent: `01-${TRACE}-${SPAN}-01` }, null],
  ['w3c', { traceparent: `00-${'0'.repeat(32)}-${SPAN}-01` }, null],
  ['w3c', { traceparent: `00-${TRACE}-${'0'.repeat(16)}-01` }, null],
  ['w3c', { traceparent: `00-${TRACE}-${SPAN}-1` }, null],
  ['w3c', { traceparent: `00-${TRACE}-${SPAN}-01-more` }, null],
  [
    'w3c',
    [
      ['traceparent', `00-${TRACE}-${SPAN}-01`],
      ['traceparent', `00-${TRACE}-${SPAN}-00`],
    ],
    null,
  ],
  ['w3c', {}, null],
  [
    'b3',
    { 'X-B3-TraceId': TRACE, 'X-B3-SpanId': SPAN, 'X-B3-ParentSpanId': PARENT, 'X-B3-Sampled': '0' },
    { traceId: TRACE, spanId: SPAN, parentId: PARENT, isSampled: false, sharesSpan: true },
  ],
  [
    'b3',
    { 'X-B3-TraceId': LOW, 'X-B3-SpanId': SPAN, 'X-B3-Flags': '1' },
    { traceId: LOW, spanId: SPAN, isSampled: true, isDebug: true, sharesSpan: true },
  ],
  ['b3', { 'X-B3-TraceId': 'nope', 'X-B3-SpanId': SPAN }, { sharesSpan: true }],
  ['b3', { 'X-B3-TraceId': TRACE, 'X-B3-SpanId': '12', 'X-B3-Sampled': 'true' }, { isSampled: true, sharesSpan: true }],
  ['b3', { 'X-B3-SpanId': SPAN }, { sharesSpan: true }],
  [
    'b3',
    { b3: `${TRACE}-${SPAN}-1-${PARENT}` },
    { traceId: TRACE, spanId: SPAN, parentId: PARENT, isSampled: true, isSingle: true, sharesSpan: true },
  ],
  ['b3', { b3: `${LOW}-${SPAN}` }, { traceId: LOW, spanId: SPAN, isSingle: true, sharesSpan: true }],
  ['b3', { b3: 'd' }, { isSampled: true, isDebug: true, isSingle: true, sharesSpan: true }],
  ['b3', { b3: '0' }, { isSampled: false, isSingle: true, sharesSpan: true }],
  ['b3', { b3: 'x-y-z' }, { isSingle: true, sharesSpan: true }],
  [
    'b3',
    { tracestate: `b3=${TRACE}-${SPAN}-1` },
    { traceId: TRACE, spanId: SPAN, isSampled: true, isSingle: true, sharesSpan: true },
  ],
  ['b3', { tracestate: 'vendor=1' }, null],
  [
    'jaeger',
    { 'uber-trace-id': `${TRACE}:${SPAN}:${PARENT}:1`, 'uberctx-user': 'ann%20b' },
    {
      traceId: TRACE,
      spanId: SPAN,
      parentId: PARENT,
      isSampled: true,
      sharesSpan: true,
      baggage: [['user', 'ann%20b']],
    },
  ],
  [
    'jaeger',
    { 'uber-trace-id': 'abc:1:0:02' },
    { traceId: '0000000000000abc', spanId: '0000000000000001', isSampled: false, sharesSpan: true },
  ],
  ['jaeger', { 'uber-trace-id': `0:${SPAN}:0:1` }, null],
  ['jaeger', { 'uber-trace-id': `${TRACE}:${SPAN}:0:111` }, null],
  ['jaeger', { 'uber-trace-id': `${TRACE}0:${SPAN}:0:1` }, null],
  [
    'ot',
    {
      'ot-tracer-traceid': LOW,
      'ot-tracer-spanid': SPAN,
      'ot-tracer-sampled': 'true',
      'ot-baggage-a': '1',
      'Ot-Baggage-B': '2',
    },
    {
      traceId: LOW,
      spanId: SPAN,
      isSampled: true,
      baggage: [
        ['a', '1'],
        ['b', '2'],
      ],
    },
  ],
  ['ot', { 'ot-tracer-traceid': 'nope', 'ot-tracer-spanid': SPAN }, null],
  ['ot', { 'ot-tracer-sampled': '0' }, { isSampled: false }],
  [
    'datadog',
    {
      'x-datadog-trace-id': '7277407061855694839',
      'x-datadog-parent-id': '16453819474850114513',
      'x-datadog-sampling-priority': '2',
    },
    { traceId: LOW, spanId: SPAN, isSampled: true },
  ],
  ['datadog', { 'x-datadog-trace-id': '5', 'x-datadog-sampling-priority': '7' }, null],
  ['datadog', { 'x-datadog-trace-id': '0' }, null],
  ['datadog', { 'x-datadog-trace-id': '9'.repeat(10_000) }, null],
  ['datadog', { 'x-datadog-sampling-priority': '-1' }, { isSampled: false }],
  [
    'aws',
    { 'x-amzn-trace-id': ` Self=1-a; Root=1-${TRACE.slice(0, 8)}-${TRACE.slice(8)} ;Parent=${SPAN};Sampled=1;x` },
    { traceId: TRACE, spanId: SPAN, isSampled: true },
  ],
  ['aws', { 'x-amzn-trace-id': 'Root=2-12345678-123456789012345678901234' }, null],
  ['aws', { 'x-amzn-trace-id': 'Root=1-12345678-123456789012345678901234;Parent=zz' }, null],
  ['aws', { 'x-amzn-trace-id': 'Sampled=2' }, null],
  ['aws', { 'x-amzn-trace-id': 'nothing' }, null],
  [
    'gcp',
    { 'x-cloud-trace-context': `${TRACE}/16453819474850114513;o=1` },
    { traceId: TRACE, spanId: SPAN, isSampled: true },
  ],
  ['gcp', { 'x-cloud-trace-context': `${TRACE}/1` }, { traceId: TRACE, spanId: '0000000000000001', isSampled: false }],
  ['gcp', { 'x-cloud-trace-context': `${TRACE}/x;o=1` }, null],
]

test('each format is read, and what is malformed counts as not sent', () => {
  for (const [format, headers, expected] of read) {
    const nothing = { traceId: null, spanId: null, parentId: null, isSampled: null }
    assert.deepEqual(
      extract(format, headers),
      expected === null ? null : { ...nothing, ...expected },
      `${format} ${JSON.stringify(headers)}`,
    )
  }
})

test('each format is written', () => {
  const id = { w3c: TRACE, b3: TRACE, jaeger: TRACE, ot: TRACE, aws: TRACE, gcp: TRACE }
  const written: readonly (readonly [InjectFormat, object])[] = [
    ['w3c', { traceparent: `00-${TRACE}-${SPAN}-01` }],
    ['b3', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-parentspanid': PARENT, 'x-b3-sampled': '1' }],
    ['b3-single', { b3: `${TRACE}-${SPAN}-1-${PARENT}` }],
    ['jaeger', { 'uber-trace-id': `${TRACE}:${SPAN}:${PARENT}:01` }],
    ['ot', { 'ot-tracer-traceid': TRACE, 'ot-tracer-spanid': SPAN, 'ot-tracer-sampled': '1' }],
    ['aws', { 'x-amzn-trace-id': `Root=1-80f198ee-56343ba864fe8b2a57d3eff7;Parent=${SPAN};Sampled=1` }],
    ['gcp', { 'x-cloud-trace-context': `${TRACE}/16453819474850114513;o=1` }],
  ]
  for (const [format, headers] of written) {
    const name = format === 'b3-single' ? 'b3' : format
    assert.deepEqual(inject(format), { headers, ids: { [name]: id[name as keyof typeof id] } })
  }
  assert.deepEqual(inject('datadog'), {
    headers: {
      'x-datadog-trace-id': '7277407061855694839',
      'x-datadog-parent-id': '16453819474850114513',
      'x-datadog-sampling-priority': '1',
    },
    ids: { datadog: '7277407061855694839' },
  })
})

test('an id of 64 bits keeps its length where the format has one, and is filled up where not', () => {
  const short = { traceId: LOW, parentId: null, isSampled: false }
  const long = '0'.repeat(16) + LOW
  assert.equal(inject('w3c', short).headers['traceparent'], `00-${long}-${SPAN}-00`)
  assert.equal(inject('b3', short).headers['x-b3-traceid'], LOW)
  assert.equal(inject('b3-single', short).headers['b3'], `${LOW}-${SPAN}-0`)
  assert.equal(inject('jaeger', short).headers['uber-trace-id'], `${LOW}:${SPAN}:0:00`)
  assert.equal(inject('ot', short).headers['ot-tracer-traceid'], LOW)
  assert.equal(inject('gcp', short).headers['x-cloud-trace-context'], `${long}/16453819474850114513;o=0`)
})

test('the debug flag stands in place of the decision', () => {
  assert.equal(inject('b3', { isDebug: true }).headers['x-b3-flags'], '1')
  assert.equal(inject('b3', { isDebug: true }).headers['x-b3-sampled'], undefined)
  assert.equal(inject('b3-single', { isDebug: true }).headers['b3'], `${TRACE}-${SPAN}-d-${PARENT}`)
})

/** Names of what is written for a request with these fields. */
function passed(config: { propagation?: object; [field: string]: unknown }, headers: HeaderInput): string[] {
  const exchange = fakeExchange({ headers })
  const unset = { extract: null, clear: null, inject: null, default_format: 'w3c' }
  const propagation = compilePropagation({ ...config, propagation: { ...unset, ...config.propagation } }, 'b3')
  const before = new Set(Object.keys(headersOf(exchange.request.headers)))
  const found = propagation.extract(exchange.request.headers)
  const context = found?.context
  propagation.pass(exchange, found, {
    traceId: context?.traceId ?? TRACE,
    spanId: PARENT,
    parentId: null,
    isSampled: true,
    isDebug: false,
    baggage: context?.baggage ?? null,
  })
  const after = headersOf(exchange.request.headers)
  return [
    ...Object.keys(after).filter((name) => !before.has(name) || JSON.stringify(after[name]).includes(PARENT)),
    ...[...before].filter((name) => !(name in after)).map((name) => `-${name}`),
  ].toSorted()
}

test('the older fields and the newer ones say what is read and written', () => {
  const b3 = { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN }
  const w3c = { traceparent: `00-${TRACE}-${SPAN}-01` }
  const b3Fields = ['x-b3-sampled', 'x-b3-spanid']
  assert.deepEqual(passed({ header_type: 'preserve' }, b3), b3Fields)
  assert.deepEqual(passed({ header_type: 'preserve' }, w3c), ['traceparent'])
  assert.deepEqual(passed({ header_type: 'preserve' }, { b3: `${TRACE}-${SPAN}-1` }), ['b3'])
  assert.deepEqual(passed({ header_type: 'preserve' }, {}), ['traceparent'], 'default_format')
  assert.deepEqual(passed({ header_type: 'preserve', default_header_type: 'b3-single' }, {}), ['b3'])
  assert.deepEqual(passed({ header_type: 'preserve', default_header_type: 'b3' }, {}), ['traceparent'])
  assert.deepEqual(passed({ header_type: 'aws' }, w3c), ['traceparent', 'x-amzn-trace-id'])
  assert.deepEqual(passed({ header_type: 'ignore' }, b3), ['traceparent'])
  assert.deepEqual(passed({ header_type: null }, b3), [])
  assert.deepEqual(
    passed(
      {
        header_type: 'preserve',
        propagation: {
          extract: ['b3', 'w3c'],
          clear: ['x-b3-traceid', 'b3'],
          inject: ['w3c', 'preserve'],
          default_format: 'w3c',
        },
      },
      w3c,
    ),
    ['traceparent'],
  )
  assert.deepEqual(
    passed({ propagation: { extract: ['b3'], clear: ['x-b3-traceid'], inject: ['w3c'], default_format: 'w3c' } }, b3),
    ['-x-b3-traceid', 'traceparent'],
  )
  assert.deepEqual(passed({ propagation: { extract: ['w3c'], default_format: 'b3' } }, w3c), [])
  assert.deepEqual(passed({ propagation: { inject: ['preserve'], default_format: 'gcp' } }, w3c), [
    'x-cloud-trace-context',
  ])
})

test('baggage goes from format to format', () => {
  const exchange = fakeExchange({ headers: { 'uber-trace-id': `${TRACE}:${SPAN}:0:1`, 'uberctx-user': 'a%20b' } })
  const propagation = new Propagation(['jaeger'], [], ['ot'], 'ot')
  const found = propagation.extract(exchange.request.headers)!
  propagation.pass(exchange, found, {
    traceId: TRACE,
    spanId: SPAN,
    parentId: null,
    isSampled: true,
    isDebug: false,
    baggage: found.context.baggage,
  })
  assert.equal(exchange.request.headers.get('ot-baggage-user'), 'a%20b')
})

const id = (digits: 16 | 32) =>
  fc
    .string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: digits, maxLength: digits })
    .filter((text) => !/^0+$/.test(digits === 32 ? text.slice(16) : text))

test('what is written in a format is read again from it', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<InjectFormat>(...FORMATS, 'b3-single'),
      id(32),
      id(16),
      fc.boolean(),
      (format, traceId, spanId, isSampled) => {
        const { headers } = inject(format, { traceId, spanId, isSampled })
        const back = extract(format === 'b3-single' ? 'b3' : format, headers)
        assert.deepEqual(
          [back?.traceId, back?.spanId, back?.isSampled],
          [format === 'datadog' ? traceId.slice(16) : traceId, spanId, isSampled],
        )
      },
    ),
    { numRuns: 500 },
  )
})

const NAMES = [
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'uber-trace-id',
  'uberctx-a',
  'ot-tracer-traceid',
  'ot-tracer-spanid',
  'ot-tracer-sampled',
  'x-datadog-trace-id',
  'x-datadog-parent-id',
  'x-datadog-sampling-priority',
  'x-amzn-trace-id',
  'x-cloud-trace-context',
]
const VALID = [
  `00-${TRACE}-${SPAN}-01`,
  `${TRACE}-${SPAN}-1-${PARENT}`,
  `${TRACE}:${SPAN}:0:1`,
  `Root=1-80f198ee-56343ba864fe8b2a57d3eff7;Parent=${SPAN};Sampled=1`,
  `${TRACE}/123;o=1`,
  TRACE,
  LOW,
  SPAN,
  '1',
  'd',
  '12345',
]
/** A valid value with a few characters changed, or anything. */
const value = fc.oneof(
  fc
    .tuple(fc.constantFrom(...VALID), fc.array(fc.tuple(fc.nat(80), fc.string({ maxLength: 2 })), { maxLength: 3 }))
    .map(([text, changes]) => changes.reduce((now, [at, piece]) => now.slice(0, at) + piece + now.slice(at + 1), text)),
  fc.string({ maxLength: 100 }),
)

test('no fields of a client make it throw, and what is read is always well-formed', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...NAMES), value), { maxLength: 6 }),
      fc.shuffledSubarray([...FORMATS], { minLength: 1 }),
      (headers, formats) => {
        const clean = headers.map(([name, text]) => [name, text.replaceAll(/[\r\n\0]/g, '').trim()] as const)
        const found = new Propagation(formats, [], [], 'w3c').extract(fakeExchange({ headers: clean }).request.headers)
        if (found === null) return
        const { traceId, spanId, parentId } = found.context
        assert.match(traceId ?? TRACE, /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/)
        assert.match(spanId ?? SPAN, /^[0-9a-f]{16}$/)
        assert.match(parentId ?? SPAN, /^[0-9a-f]{16}$/)
        assert.ok(traceId !== null || spanId === null)
        for (const one of [traceId, spanId, parentId]) assert.ok(one === null || !/^0+$/.test(one))
      },
    ),
    { numRuns: 3000 },
  )
})

test('ids are random, of their length, and never zero', () => {
  const ids = Array.from({ length: 2000 }, () => randomId(8))
  assert.equal(new Set(ids).size, 2000)
  assert.ok(ids.every((one) => /^[0-9a-f]{16}$/.test(one)))
  assert.match(randomId(16), /^[0-9a-f]{32}$/)
})

test('ids and decimal numbers', () => {
  assert.equal(sizedId('abc', 16), '0000000000000abc')
  assert.equal(sizedId(TRACE, 16), LOW)
  assert.equal(idOfDecimal('18446744073709551616', 16), null, '2^64 has nothing in its lower 64 bits')
  assert.equal(idOfDecimal('18446744073709551617', 32), '00000000000000010000000000000001')
  assert.equal(decimalOfId(TRACE), decimalOfId(LOW))
})
