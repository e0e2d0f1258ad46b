import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EventSplitter } from './event-splitter.ts'

function split(bytes: Buffer, cuts: readonly number[] = [], limitBytes = 1 << 20): string[] {
  const splitter = new EventSplitter(limitBytes)
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  const events: string[] = []
  for (let i = 1; i < places.length; i++) {
    // The piece is overwritten afterwards, as that of a connection is.
    const piece = Buffer.from(bytes.subarray(places[i - 1], places[i]))
    events.push(...splitter.push(piece))
    piece.fill(0)
  }
  return events
}

const streams: readonly [what: string, text: string, events: string[]][] = [
  ['events', 'data: a\n\ndata: b\n\n', ['a', 'b']],
  ['events with CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n', ['a', 'b']],
  ['events with CR', 'data: a\r\rdata: b\r\r', ['a', 'b']],
  ['a mark of the order of bytes', '\uFEFFdata: a\n\n', ['a']],
  ['names, ids and comments', ': hello\nevent: x\nid: 7\nretry: 1\ndata: a\n\n', ['a']],
  ['no space behind the colon', 'data:a\n\ndata:  b\n\n', ['a', ' b']],
  ['lines of one event', 'data: a\ndata\ndata: b\n\n', ['a\n\nb']],
  ['fields that only begin so', 'database: a\n\n', []],
  ['an event that did not end', 'data: a\n\ndata: b\n', ['a']],
  ['lines of JSON', '{"a":1}\n{"b":"}\\"{"}\n', ['{"a":1}', '{"b":"}\\"{"}']],
  ['a list of JSON', '[{"a":[1,{}]}\n,\r\n {"b":2}]', ['{"a":[1,{}]}', '{"b":2}']],
  ['spaces before JSON', ' \r\n{"a":1}', ['{"a":1}']],
  ['JSON that did not end', '{"a":1}{"b":', ['{"a":1}']],
  ['nothing', '', []],
]
for (const [what, text, events] of streams)
  test(`splits ${what}`, () => assert.deepEqual(split(Buffer.from(text)), events))

test('the pieces in which a stream comes make no difference', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', 'é', '😀', '{', '}', '[', ']', '"', '\\', ',', ':', ' ', '\u2028'),
  })
  const line = fc.constantFrom('\n', '\r\n', '\r')
  const sse = fc
    .tuple(fc.array(text, { maxLength: 5 }), line)
    .map(([events, end]) => events.map((event) => `data: ${event}${end}${end}`).join(''))
  const value = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.array(text)))
  const json = fc
    .tuple(fc.array(value, { maxLength: 5 }), fc.boolean(), fc.boolean())
    .map(([values, isList, isWide]) =>
      isList
        ? JSON.stringify(values, null, isWide ? 2 : 0)
        : values.map((one) => JSON.stringify(one, null, isWide ? 2 : 0)).join('\n'),
    )
  fc.assert(
    fc.property(fc.oneof(sse, json), fc.array(fc.nat(), { maxLength: 12 }), (stream, cuts) => {
      const bytes = Buffer.from(stream)
      const whole = split(bytes)
      assert.deepEqual(split(bytes, cuts), whole)
      assert.deepEqual(split(bytes, [...bytes.keys()]), whole)
    }),
  )
})

test('every value of a list comes back', () => {
  fc.assert(
    fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue())), fc.array(fc.nat()), (values, cuts) => {
      const events = split(Buffer.from(JSON.stringify(values)), cuts)
      assert.deepEqual(
        events.map((event) => JSON.parse(event) as unknown),
        JSON.parse(JSON.stringify(values)),
      )
    }),
  )
})

test('an event over the bound ends it, whatever the pieces', () => {
  for (const text of [
    `data: ${'x'.repeat(100)}\n\n`,
    `${'data: xxxxxxxxx\n'.repeat(9)}\n`,
    `{"a":"${'x'.repeat(100)}"}`,
  ]) {
    const bytes = Buffer.from(text)
    for (const size of [1, 7, bytes.length]) {
      const splitter = new EventSplitter(64)
      for (let at = 0; at < bytes.length; at += size) assert.deepEqual(splitter.push(bytes.subarray(at, at + size)), [])
      assert.equal(splitter.isOverLimit, true)
    }
  }
  const many = new EventSplitter(64)
  assert.equal(many.push(Buffer.from('data: x\n\n'.repeat(1000))).length, 1000)
  assert.equal(many.isOverLimit, false)
})
