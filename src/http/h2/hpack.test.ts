import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HpackDecoder, IS_BOMB } from './hpack-decoder.ts'
import { encodeRequestHead, encodeResponseHead } from './hpack-encoder.ts'
import { MALFORMED, PSEUDO, TOO_MANY, type Field } from './hpack-fields.ts'
import { decodeHuffman, encodeHuffman } from './huffman.ts'

function decode(decoder: HpackDecoder, bytes: Buffer, maxFields = 100, maxBytes = 32_768): string[] | null {
  const fields: Field[] = []
  const problem = decoder.decode(bytes, 0, bytes.length, fields, maxFields, maxBytes, TOO_MANY)
  return problem === 0 ? fields.map(({ name, value }) => `${name}: ${value}`) : null
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

test('the requests of RFC 7541 C.3 and C.4 are read, with and without the Huffman code, and by the table that they build', () => {
  const first = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com']
  const second = [...first, 'cache-control: no-cache']
  const third = [
    ':method: GET',
    ':scheme: https',
    ':path: /index.html',
    ':authority: www.example.com',
    'custom-key: custom-value',
  ]
  for (const blocks of [
    [
      '828684410f7777772e6578616d706c652e636f6d',
      '828684be58086e6f2d6361636865',
      '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    ],
    [
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ],
  ]) {
    const decoder = new HpackDecoder()
    assert.deepEqual(
      blocks.map((block) => decode(decoder, hex(block))),
      [first, second, third],
    )
  }
})

test('a full table forgets the oldest, and one that is made smaller forgets what does not fit', () => {
  const decoder = new HpackDecoder()
  // Each takes 32 + 1 + 1000 bytes: three fit.
  const literal = (name: string) =>
    Buffer.concat([hex('40 01'), Buffer.from(name), hex('7f e9 06'), Buffer.alloc(1000, 'v')])
  for (const name of ['a', 'b', 'c', 'd']) assert.ok(decode(decoder, literal(name)))
  assert.deepEqual(
    decode(decoder, hex('be bf c0'))?.map((field) => field[0]),
    ['d', 'c', 'b'],
  )
  assert.equal(decode(decoder, hex('c1')), null)
  const emptied = new HpackDecoder()
  assert.ok(decode(emptied, literal('a')))
  assert.deepEqual(decode(emptied, hex('20')), [])
  assert.equal(decode(emptied, hex('be')), null)
})

test('what is no block is refused', () => {
  for (const [what, block] of [
    ['index 0', '80'],
    ['an index behind the table', 'be'],
    ['an integer that does not end', 'ff ff ff ff ff ff ff'],
    ['an integer over 2^28', '7f ff ff ff ff 7f'],
    ['a text that is longer than the block', '40 05 61'],
    ['no value', '40 01 61'],
    ['padding that is no beginning of EOS', '40 81 00 01 61'],
    ['EOS in a text', '40 84 ff ff ff ff 01 61'],
    ['a table larger than agreed', '3f e2 1f'],
    ['a table size behind a field', '82 20'],
  ] as const)
    assert.equal(decode(new HpackDecoder(), hex(block)), null, what)
})

test('random bytes never throw, and never hand out more than was asked for', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder()
      for (const block of blocks) {
        const fields: Field[] = []
        const problem = decoder.decode(Buffer.from(block), 0, block.length, fields, 10, 1000, TOO_MANY)
        assert.ok(fields.length <= 11)
        if (problem !== 0) return
      }
    }),
    { numRuns: 2000 },
  )
})

/** A field of 1,000 bytes, and so many repetitions of it. */
const repeated = (times: number): Buffer =>
  Buffer.concat([hex('40 01 61 7f e9 06'), Buffer.alloc(1000, 'v'), Buffer.alloc(times, 0xbe)])

test('a block over its limit hands out what the limit allows, and the table goes on to hold', () => {
  const decoder = new HpackDecoder()
  const block = repeated(200)
  const fields: Field[] = []
  assert.equal(decoder.decode(block, 0, block.length, fields, 100, 8_192, TOO_MANY), 0)
  assert.equal(fields.length, 8)
  assert.equal(fields.at(-1), TOO_MANY)
  assert.equal(decode(decoder, hex('be'))?.length, 1)
})

test('a bomb of repetitions is told from a block over its limit, and hands out no more', () => {
  const bomb = repeated(10_000)
  const fields: Field[] = []
  assert.equal(new HpackDecoder().decode(bomb, 0, bomb.length, fields, 100, 8_192, TOO_MANY), IS_BOMB)
  assert.equal(fields.length, 8)
})

test('names and values are judged once, when they are first seen', () => {
  const kinds = (name: string, value: string): number => {
    const fields: Field[] = []
    const bytes = Buffer.concat([
      Buffer.from([0x40, name.length]),
      Buffer.from(name, 'latin1'),
      Buffer.from([value.length]),
      Buffer.from(value, 'latin1'),
    ])
    assert.equal(new HpackDecoder().decode(bytes, 0, bytes.length, fields, 10, 1000, TOO_MANY), 0)
    return fields[0]!.kind
  }
  assert.equal(kinds(':path', '/'), PSEUDO)
  for (const [name, value] of [
    ['Upper', 'x'],
    ['with space', 'x'],
    ['with:colon', 'x'],
    ['', 'x'],
    ['n\0', 'x'],
    ['n', 'a\rb'],
    ['n', 'a\nb'],
    ['n', 'a\0b'],
    ['n', ' a'],
    ['n', 'a\t'],
  ] as const)
    assert.equal(kinds(name, value), MALFORMED, JSON.stringify([name, value]))
})

test('any text survives the Huffman code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = Buffer.from(bytes).latin1Slice()
      const coded = encodeHuffman(text)
      assert.equal(decodeHuffman(coded, 0, coded.length), text)
    }),
  )
})

test('heads of HTTP/1.1 become blocks without what is for HTTP/1.1 alone', () => {
  const read = (block: string) => decode(new HpackDecoder(), Buffer.from(block, 'latin1'))
  const long = 'x'.repeat(300)
  assert.deepEqual(
    read(
      encodeResponseHead(
        `HTTP/1.1 201 Created\r\nDate: now\r\nX-Long: ${long}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=1\r\nX-Empty: \r\n\r\n`,
      ),
    ),
    [':status: 201', 'date: now', `x-long: ${long}`, 'set-cookie: a=1', 'x-empty: '],
  )
  assert.deepEqual(read(encodeResponseHead('HTTP/1.1 200 OK\r\n\r\n')), [':status: 200'])
  assert.deepEqual(
    read(
      encodeRequestHead('PUT /a?b HTTP/1.1\r\nHost: h:1\r\nConnection: keep-alive\r\nTE: trailers\r\n\r\n', 'https'),
    ),
    [':method: PUT', ':scheme: https', ':path: /a?b', ':authority: h:1', 'te: trailers'],
  )
})
