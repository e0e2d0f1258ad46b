import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { queryHas, queryValues } from './query.ts'

test('arguments are found as URLSearchParams finds them', () => {
  const piece = fc.constantFrom('a', 'b', '=', '&', '+', '%61', '%C3%A9', '%3D', '%26', 'ab')
  const query = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(''))
  fc.assert(
    fc.property(
      query,
      fc.constantFrom('a', 'b', 'ab', ' ', '\u00e9', 'a='),
      fc.constantFrom('a', '', '\u00e9', 'b '),
      (text, name, value) => {
        const expected = new URLSearchParams(text).getAll(name)
        assert.deepEqual(queryValues(text, name), expected)
        assert.equal(queryHas(text, name, new Set()), expected.length > 0)
        assert.equal(queryHas(text, name, new Set([value])), expected.includes(value))
      },
    ),
    { numRuns: 3000 },
  )
})

test('a broken escape stays as it is', () => {
  assert.deepEqual(queryValues('a=%zz&a=%4', 'a'), ['%zz', '%4'])
})
