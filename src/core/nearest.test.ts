import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { editDistance, nearestName } from './nearest.ts'

test('finds the name that differs by a slip of the keyboard', () => {
  const names = ['proxy_listen', 'admin_listen', 'status_listen', 'log_level']
  assert.equal(nearestName('proxy_listn', names), 'proxy_listen')
  assert.equal(nearestName('porxy_listen', names), 'proxy_listen')
  assert.equal(nearestName('loglevel', names), 'log_level')
})

test('names nothing when nothing is close', () => {
  assert.equal(nearestName('tea', ['proxy_listen', 'log_level']), null)
  assert.equal(nearestName('x', []), null)
})

test('a swap of neighbours counts as one edit', () => {
  assert.equal(editDistance('form', 'from'), 1)
  assert.equal(editDistance('', 'abc'), 3)
  assert.equal(editDistance('kitten', 'sitting'), 3)
})

test('the distance is 0 only for equal words, the same both ways, and never more than the longer word', () => {
  const word = fc.string({ maxLength: 12 })
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b)
      assert.equal(distance === 0, a === b)
      assert.equal(distance, editDistance(b, a))
      assert.ok(distance <= Math.max(a.length, b.length))
    }),
  )
})
