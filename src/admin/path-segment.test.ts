import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeSegments } from './path-segment.ts'

function decode(text: string): unknown {
  const decoded = decodeSegments({ a: text })
  return decoded.ok ? decoded.values['a'] : decoded.position
}

test('segments are decoded, plus stays plus, and a percent sign that starts no byte stays', () => {
  assert.deepEqual(['with%20space', 'a%2Fb', '%E6%97%A5', 'a+b', '100%', '%zz'].map(decode), [
    'with space',
    'a/b',
    '日',
    'a+b',
    '100%',
    '%zz',
  ])
})

test('what is no UTF-8 is told with the position of its first wrong byte', () => {
  assert.deepEqual(['%ff', 'ab%c3', 'a%e6%97', '%c0%af', 'a%00b'].map(decode), [1, 3, 2, 1, 2])
})

test('every name comes back from its encoded form', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) => {
      const text = name.replaceAll('\0', '').toWellFormed()
      assert.equal(decode(encodeURIComponent(text)), text)
    }),
  )
})
