import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { offsetAfter, parseOffset, startOf } from './offset.ts'

test('an offset names the id that it was made from', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (id) => assert.equal(parseOffset(offsetAfter(id)), id)))
})

test('anything else is no offset', () => {
  for (const text of ['', 'null', '[]', '[1]', '["a","b"]', '{"0":"a"}', '"a"']) {
    assert.equal(parseOffset(Buffer.from(text).toString('base64')), undefined, text)
  }
  fc.assert(
    fc.property(fc.string(), (text) =>
      assert.ok(parseOffset(text) === undefined || offsetAfter(parseOffset(text) as string).length > 0),
    ),
  )
  assert.throws(() => startOf({ offset: '!' }), { code: 'INVALID_OFFSET' })
})
