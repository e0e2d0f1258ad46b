import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseQuery } from './query.ts'

test('a name given twice has no one value', () => {
  const query = parseQuery('a=1&a=2&b=3&c=&d')
  assert.equal(query.one('a'), null)
  assert.deepEqual(query.all('a'), ['1', '2'])
  assert.deepEqual([query.one('b'), query.one('c'), query.one('d'), query.one('e')], ['3', '', '', undefined])
})

test('values are decoded, and malformed percent signs stay', () => {
  const query = parseQuery('tags=a%20b%2Cc+d&x=%zz')
  assert.deepEqual([query.one('tags'), query.one('x')], ['a b,c d', '%zz'])
})

test('names of prototypes are names', () => {
  assert.equal(parseQuery('').one('constructor'), undefined)
  assert.equal(parseQuery('constructor=1').one('constructor'), '1')
})

test('what comes after a hundred parameters is ignored, as in Kong', () => {
  const text = Array.from({ length: 150 }, (_, i) => `a${i}=1`).join('&')
  assert.equal(parseQuery(text).names.length, 100)
})
