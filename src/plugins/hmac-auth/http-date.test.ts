import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseHttpDate } from './http-date.ts'

const MOMENT = Date.parse('1994-11-06T08:49:37Z')

test('reads the three forms of a date', () => {
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), MOMENT)
  assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT'), MOMENT)
  assert.equal(parseHttpDate('Sun Nov  6 08:49:37 1994'), MOMENT)
  assert.equal(parseHttpDate('Sunday, 06-Nov-30 08:49:37 GMT'), Date.parse('2030-11-06T08:49:37Z'))
})

test('reads nothing else', () => {
  const texts = [
    '',
    'now',
    '1994-11-06T08:49:37Z',
    '784111777',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Abc 1994 08:49:37 GMT',
  ]
  for (const text of [...texts, 'Sun, 06 Nov 1994 25:49:37 GMT']) assert.equal(parseHttpDate(text), null, text)
})

test('reads what JavaScript writes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), (seconds) => {
      assert.equal(parseHttpDate(new Date(seconds * 1000).toUTCString()), seconds * 1000)
    }),
  )
})
