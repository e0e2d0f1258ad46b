import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DATA, frameHead, MAX_FRAME_BYTES } from './frames.ts'
import { PartialFrame } from './partial-frame.ts'

const frame = (text: string): Buffer => Buffer.from(frameHead(text.length, DATA, 0, 1) + text, 'latin1')

test('a frame that comes in parts of any sizes is put together, and what is behind it is left', () => {
  const size = fc.oneof(
    fc.nat(40),
    fc.integer({ min: 1000, max: 1100 }),
    fc.integer({ min: 16_300, max: MAX_FRAME_BYTES }),
  )
  fc.assert(
    fc.property(size, fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 20 }), (length, cuts) => {
      const partial = new PartialFrame()
      const whole = frame('x'.repeat(length))
      const all = Buffer.concat([whole, Buffer.from('next')])
      let at = 0
      for (let n = 0; !partial.isWhole; n++) {
        const part = Buffer.from(all.subarray(at, at + cuts[n % cuts.length]!))
        const end = partial.add(part, 0)
        // It is somebody else's memory by then.
        part.fill(0)
        at += end
        assert.ok(end > 0)
      }
      assert.equal(at, whole.length)
      assert.ok(partial.bytes.equals(whole))
      partial.drop()
      assert.equal(partial.size, 0)
    }),
  )
})

test('of one that says to be longer than it may be only the head is taken', () => {
  const partial = new PartialFrame()
  const bytes = Buffer.alloc(100, 0xff)
  assert.equal(partial.add(bytes, 10), 19)
  assert.equal(partial.isWhole, true)
})

test('frames that are put together at one time are kept apart, and dropping one twice gives its memory back once', () => {
  const first = new PartialFrame()
  first.add(frame('a'.repeat(5000)).subarray(0, 4000), 0)
  first.drop()
  first.drop()
  const others = ['b', 'c'].map((letter) => {
    const partial = new PartialFrame()
    partial.add(frame(letter.repeat(5000)).subarray(0, 4000), 0)
    return partial
  })
  assert.deepEqual(
    others.map(({ bytes }) => bytes.latin1Slice(9, 4000)),
    ['b'.repeat(3991), 'c'.repeat(3991)],
  )
})
