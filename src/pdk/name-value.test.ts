import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitPair } from './name-value.ts'

test('splits at the colons behind the name', () => {
  assert.deepEqual(splitPair('a:b:c'), { name: 'a', value: 'b:c' })
  assert.deepEqual(splitPair('a:: b'), { name: 'a', value: ' b' })
})

test('a value may be missing', () => {
  assert.deepEqual(splitPair('a'), { name: 'a', value: '' })
  assert.deepEqual(splitPair('a:'), { name: 'a', value: '' })
})
