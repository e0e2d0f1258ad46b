import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BodyTransform } from '#pdk/pdk.ts'
import { transformAll, transformEnd, transformWhole } from './response-transform.ts'

const upper: BodyTransform = {
  chunk: (bytes) => Buffer.from(bytes.toString().toUpperCase()),
  end: () => Buffer.from('u'),
}

/** Keeps everything until the end. */
function holding(): BodyTransform {
  const held: Buffer[] = []
  return {
    chunk(bytes) {
      held.push(bytes)
      return null
    },
    end: () => Buffer.concat([...held, Buffer.from('!')]),
  }
}

const nothing: BodyTransform = { chunk: (bytes) => bytes, end: () => null }

test('bytes pass through every transform in order, and what one ends with through those after it', () => {
  const transforms = [holding(), upper]
  assert.equal(transformAll(transforms, Buffer.from('abc')), null)
  assert.equal(transformEnd(transforms)?.toString(), 'ABC!u')
})

test('a transform that holds bytes keeps them from those after it', () => {
  let seen = 0
  const counting: BodyTransform = {
    chunk: (bytes) => {
      seen++
      return bytes
    },
    end: () => null,
  }
  transformAll([holding(), counting], Buffer.from('abc'))
  assert.equal(seen, 0)
})

test('transforms that have nothing left end with nothing', () => {
  assert.equal(transformEnd([nothing, nothing]), null)
  assert.equal(transformEnd([]), null)
})

test('a body comes out the same in whatever pieces it came', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 5 }), { maxLength: 8 }), (pieces) => {
      const make = () => [nothing, holding(), upper]
      const inPieces = make()
      const out = pieces.map((piece) => transformAll(inPieces, Buffer.from(piece)) ?? Buffer.alloc(0))
      const whole = Buffer.concat([...out, transformEnd(inPieces) ?? Buffer.alloc(0)])
      assert.equal(whole.toString(), transformWhole(make(), Buffer.from(pieces.join(''))).toString())
    }),
  )
})
