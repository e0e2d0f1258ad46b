import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameOf, FrameReader, framesOf, TRAILERS } from './frames.ts'

const message = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))

test('frames come out as they went in, in whatever pieces', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(0, 1, TRAILERS), message), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }),
      (sent, sizes) => {
        const bytes = Buffer.concat(sent.map(([flags, body]) => frameOf(flags, body)))
        const reader = new FrameReader(1000)
        const got: [number, string][] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const piece = Buffer.from(bytes.subarray(at, (at += sizes[turn % sizes.length]!)))
          const frames = reader.push(piece)
          assert.ok(typeof frames !== 'string')
          // What is read from a socket is overwritten by what follows.
          for (const frame of frames) got.push([frame.flags, frame.message.toString('hex')])
          piece.fill(0xff)
        }
        assert.deepEqual(
          got,
          sent.map(([flags, body]) => [flags, body.toString('hex')]),
        )
        assert.ok(reader.isAtBoundary)
      },
    ),
    { numRuns: 300 },
  )
})

test('whatever comes, reading ends with frames or a reason, and holds no more than came', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }), (pieces) => {
      const reader = new FrameReader(100)
      let bytes = 0
      for (const piece of pieces) {
        const frames = reader.push(Buffer.from(piece))
        if (typeof frames === 'string') return
        for (const frame of frames) bytes += frame.message.length + 5
      }
      const all = pieces.reduce((sum, { length }) => sum + length, 0)
      assert.ok(bytes <= all)
      assert.equal(reader.isAtBoundary, bytes === all)
    }),
    { numRuns: 2000 },
  )
})

test('a message over the limit is refused by its head alone, and one that is cut off is told', () => {
  const head = Buffer.from([0, 0xff, 0xff, 0xff, 0xff])
  assert.equal(new FrameReader(10).push(head), 'a message of 4294967295 bytes is over the limit of 10')
  assert.equal(framesOf(frameOf(0, Buffer.alloc(11)), 10), 'a message of 11 bytes is over the limit of 10')
  assert.equal(framesOf(frameOf(0, Buffer.alloc(5)).subarray(0, 8), 10), 'the last message is cut off')
  assert.deepEqual(framesOf(Buffer.alloc(0), 10), [])
})
