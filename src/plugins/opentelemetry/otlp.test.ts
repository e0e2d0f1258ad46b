import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readLogs, readTraces } from '../../../test/support/otlp.ts'
import {
  encodeLogEntry,
  encodeSpan,
  Envelope,
  INTERNAL,
  SERVER,
  Whole,
  type AttributeValue,
  type Span,
} from './otlp.ts'

const TRACE = '80f198ee56343ba864fe8b2a57d3eff7'
const SPAN = 'e457b5a2e4d86bd1'
const PARENT = '05e3ac9a4f6e3b90'

const span: Span = {
  traceId: TRACE,
  spanId: SPAN,
  parentId: PARENT,
  name: 'kong',
  kind: SERVER,
  startMs: 1_893_456_000_000.123,
  endMs: 1_893_456_000_001.5,
  attributes: [
    ['text', 'ä'],
    ['whole', new Whole(200)],
    ['double', 1.5],
    ['flag', true],
    ['no', false],
    ['empty', ''],
  ],
  isError: true,
  exception: 'it broke',
}

test('spans are read by another decoder as they are', () => {
  const envelope = new Envelope([['service.name', 'kong']])
  const root = { ...span, parentId: null, isError: false, exception: null, kind: INTERNAL } as const
  const { resource, scope, entries } = readTraces(envelope.around([encodeSpan(span), encodeSpan(root)]))
  assert.deepEqual(resource, { 'service.name': 'kong' })
  assert.deepEqual({ ...scope }, { name: 'kong-internal', version: '0.1.0' })
  assert.deepEqual(entries[0], {
    traceId: TRACE,
    spanId: SPAN,
    parentId: PARENT,
    name: 'kong',
    kind: 2,
    start: 1_893_456_000_000_123_000n,
    end: 1_893_456_000_001_500_000n,
    attributes: { text: 'ä', whole: 200n, double: 1.5, flag: true, no: false, empty: '' },
    events: [{ name: 'exception', attributes: { 'exception.message': 'it broke' } }],
    status: 2,
  })
  assert.deepEqual([entries[1]!.parentId, entries[1]!.kind, entries[1]!.status, entries[1]!.events], ['', 1, 0, []])
})

test('entries of the log are read by another decoder as they are', () => {
  const body = {
    request: { uri: '/a', size: 12, headers: { host: 'a', many: ['b', 'c'] } },
    minus: -1,
    ratio: 0.5,
    yes: true,
    nothing: null,
    missing: undefined,
    empty: {},
    none: [],
  }
  const trace = { traceId: TRACE, spanId: SPAN, isSampled: true }
  const entry = encodeLogEntry({ atMs: 1_893_456_000_000, severity: 'WARN', body, attributes: [['a', 'b']], trace })
  const bare = encodeLogEntry({ atMs: 1, severity: 'INFO', body: 'text', attributes: [], trace: null })
  const { entries } = readLogs(new Envelope([]).around([entry, bare]))
  assert.deepEqual(entries[0], {
    time: 1_893_456_000_000_000_000n,
    severity: 'WARN',
    severityNumber: 13,
    body: {
      request: { uri: '/a', size: 12n, headers: { host: 'a', many: ['b', 'c'] } },
      minus: -1,
      ratio: 0.5,
      yes: true,
      nothing: null,
      empty: {},
      none: [],
    },
    attributes: { a: 'b' },
    flags: 1,
    traceId: TRACE,
    spanId: SPAN,
  })
  assert.deepEqual([entries[1]!.body, entries[1]!.traceId, entries[1]!.flags], ['text', '', 0])
})

const hex = (digits: number) =>
  fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: digits, maxLength: digits })
const attribute = fc.tuple(
  fc.string({ unit: 'grapheme', maxLength: 60 }).map((name) => `k${name}`),
  fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 3000 }),
    fc.double({ noNaN: true }),
    fc.boolean(),
    fc.nat().map((value) => new Whole(value)),
  ),
)

test('whatever is in a span, and however long it is, comes out again', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(hex(32), hex(16), fc.array(attribute, { maxLength: 12 }), fc.nat(2 ** 41)), { maxLength: 8 }),
      (made) => {
        const encoded = made.map(([traceId, spanId, attributes, startMs]) =>
          encodeSpan({ ...span, traceId, spanId, attributes, startMs, endMs: startMs + 0.001 }),
        )
        const { entries } = readTraces(new Envelope([['a', 'b']]).around(encoded))
        assert.equal(entries.length, made.length)
        for (const [at, [traceId, spanId, attributes, startMs]] of made.entries()) {
          const read = entries[at]!
          assert.deepEqual([read.traceId, read.spanId], [traceId, spanId])
          assert.equal(read.start, BigInt(startMs) * 1_000_000n)
          assert.equal(read.end - read.start, 1000n)
          assert.deepEqual(read.attributes, Object.fromEntries(attributes.map(([key, value]) => [key, shown(value)])))
        }
      },
    ),
    { numRuns: 200 },
  )
})

function shown(value: AttributeValue): unknown {
  return value instanceof Whole ? BigInt(value.value) : value
}

test('a text of many megabytes passes through, and later ones are whole', () => {
  const long = 'x'.repeat(5 << 20)
  const { entries } = readTraces(
    new Envelope([]).around([
      encodeSpan({ ...span, attributes: [['long', long]] }),
      encodeSpan({ ...span, attributes: [['short', 'y']] }),
    ]),
  )
  assert.equal(entries[0]!.attributes['long'], long)
  assert.equal(entries[1]!.attributes['short'], 'y')
})
