import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { chunkHead, ChunkedReader, LAST_CHUNK, lastChunk } from './chunked.ts'
import { HeaderList } from './header-list.ts'

/** Reads a body that comes in these pieces; `rest` is what stands behind it in the last one. */
function read(pieces: readonly string[]) {
  const reader = new ChunkedReader()
  let body = ''
  let rest = ''
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1')
    if (reader.isDone) {
      rest += piece
      continue
    }
    const end = reader.read(bytes, 0, { onChunkData: (data) => (body += data.toString('latin1')) })
    if (end < 0) return { body, rest, reader, problem: reader.problem }
    if (!reader.isDone) assert.equal(end, bytes.length)
    rest += bytes.toString('latin1', end)
  }
  return { body, rest, reader, problem: reader.problem }
}

/** Cuts a text at these positions. */
function cut(text: string, at: readonly number[]): string[] {
  const places = [...new Set(at.map((n) => n % (text.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...places].map((from, i) => text.slice(from, places[i] ?? text.length))
}
const everyByte = (text: string) => text.split('')

const anyBytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const anyExtension = fc.constantFrom('', ';a', ';a=b', ';a="b c";d', ';a=";=\\"";b=c', ';a=""')
const anyTrailers = fc.array(fc.tuple(fc.constantFrom('X-One', 'x-two', 'Digest'), fc.constantFrom('', 'v', 'a b')), {
  maxLength: 3,
})

test('a body is read back however it is chunked and however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          anyBytes.filter((text) => text !== ''),
          anyExtension,
        ),
        { maxLength: 6 },
      ),
      anyTrailers,
      fc.array(fc.nat(), { maxLength: 20 }),
      fc.constantFrom('', 'GET / HTTP/1.1\r\n\r\n', '\r\n', '\r'),
      fc.boolean(),
      (chunks, trailers, places, behind, isUpper) => {
        const size = (text: string) =>
          isUpper ? text.length.toString(16).toUpperCase() : chunkHead(text.length).slice(0, -2)
        const text =
          chunks.map(([data, extension]) => `${size(data)}${extension}\r\n${data}\r\n`).join('') +
          (trailers.length === 0 ? LAST_CHUNK : lastChunk(HeaderList.from(trailers)))
        for (const pieces of [[text + behind], cut(text + behind, places), everyByte(text + behind)]) {
          const result = read(pieces)
          assert.equal(result.problem, '')
          assert.equal(result.body, chunks.map(([data]) => data).join(''))
          assert.equal(result.rest, behind)
          assert.deepEqual([...(result.reader.trailers ?? [])], trailers)
        }
      },
    ),
    { numRuns: 300 },
  )
})

for (const [what, text] of [
  ['no digit', '\r\n'],
  ['an empty size with an extension', ';a\r\n'],
  ['a sign', '+3\r\nabc\r\n'],
  ['a minus', '-3\r\n'],
  ['a prefix of hexadecimal', '0x3\r\nabc\r\n'],
  ['a space before the size', ' 3\r\nabc\r\n'],
  ['a space after the size', '3 \r\nabc\r\n'],
  ['an underscore', '1_0\r\n'],
  ['a letter that is no digit', '3g\r\n'],
  ['a size over 2^52', '10000000000000\r\n'],
  ['a size over 2^64', '10000000000000003\r\nabc\r\n'],
  ['many zeros', `${'0'.repeat(14)}3\r\nabc\r\n`],
  ['a bare LF after the size', '3\nabc\r\n'],
  ['a bare CR after the size', '3\rabc\r\n'],
  ['two CR after the size', '3\r\r\nabc\r\n'],
  // CVE-2025-55315 and kin: one reader ends the line at a bare LF or CR in the extension, another goes on.
  ['a bare LF in an extension', '3;a\nabc\r\n'],
  ['a bare CR in an extension', '3;a\rb\r\nabc\r\n'],
  ['a LF in a quoted extension', '3;a="\n"\r\nabc\r\n'],
  ['NUL in an extension', '3;\0\r\nabc\r\n'],
  ['an empty extension', '3;\r\nabc\r\n'],
  ['an extension without a name', '3;=b\r\nabc\r\n'],
  ['an extension without its value', '3;a=\r\nabc\r\n'],
  ['an extension with two values', '3;a=b=c\r\nabc\r\n'],
  ['a space in an extension', '3; a\r\nabc\r\n'],
  ['quotes that are not closed', '3;a="b\r\nabc\r\n"\r\n'],
  ['quotes with something behind', '3;a="b"c\r\nabc\r\n'],
  ['a quote inside a value', '3;a=b"c"\r\nabc\r\n'],
  ['a chunk longer than its size', '3\r\nabcd\r\n'],
  ['a chunk shorter than its size', '3\r\nab\r\n0\r\n'],
  ['a bare LF after a chunk', '3\r\nabc\n0\r\n\r\n'],
  ['a bare CR after a chunk', '3\r\nabc\r0\r\n\r\n'],
  ['a bare LF after the last chunk', '0\n\n'],
  ['a bare LF at the end', '0\r\n\n\r\n\r\n'],
  ['a trailer with a bare LF', '0\r\nX: y\nZ: a\r\n\r\n'],
  ['a trailer that is folded', '0\r\nX: y\r\n z\r\n\r\n'],
  ['a trailer with a space before its colon', '0\r\nX : y\r\n\r\n'],
  ['a trailer without a name', '0\r\n: y\r\n\r\n'],
  ['a length in the trailers', '0\r\nContent-Length: 3\r\n\r\n'],
  ['a coding in the trailers', '0\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a host in the trailers', '0\r\nHost: a\r\n\r\n'],
  ['a connection option in the trailers', '0\r\nConnection: close\r\n\r\n'],
  ['an expectation in the trailers', '0\r\nExpect: 100-continue\r\n\r\n'],
  ['an upgrade in the trailers', '0\r\nUpgrade: x\r\n\r\n'],
  ['too many trailers', `0\r\n${'X: y\r\n'.repeat(65)}\r\n`],
] as const) {
  test(`refuses ${what}, however it is cut`, () => {
    for (const pieces of [[text], everyByte(text)]) {
      const { problem, reader } = read(pieces)
      assert.notEqual(problem, '')
      assert.equal(reader.isDone, false)
    }
  })
}

for (const [what, text] of [
  // CVE-2023-39326: a reader that takes any number of extension bytes per byte of data.
  ['an extension without end', `1;${'x'.repeat(1000)}`],
  ['a trailer line without end', `0\r\nX: ${'x'.repeat(9000)}`],
  ['trailers without end', `0\r\n${`X: ${'x'.repeat(500)}\r\n`.repeat(20)}`],
] as const) {
  test(`refuses ${what} before it ends`, () => {
    for (const pieces of [[text], everyByte(text)]) assert.notEqual(read(pieces).problem, '')
  })
}

test('takes trailers up to their limits', () => {
  const lines = `X: ${'x'.repeat(110)}\r\n`.repeat(64)
  assert.equal(read([`0\r\n${lines}\r\n`]).reader.trailers?.size, 64)
})

test('hands over slices of what it was given, without copying', () => {
  const bytes = Buffer.from('3\r\nabc\r\n')
  new ChunkedReader().read(bytes, 0, { onChunkData: (data) => assert.equal(data.buffer, bytes.buffer) })
})

test('no bytes make it throw or read beyond what it was given', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-f;\r\n :x]{0,60}$/), fc.array(fc.nat(), { maxLength: 8 }), (text, places) => {
      const whole = read([text])
      const cutUp = read(cut(text, places))
      assert.deepEqual(
        [cutUp.problem, cutUp.reader.isDone, cutUp.body],
        [whole.problem, whole.reader.isDone, whole.body],
      )
    }),
    { numRuns: 2000 },
  )
})
