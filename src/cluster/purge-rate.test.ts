import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PurgeRate } from './purge-rate.ts'

test('so many a second, and as many at once', () => {
  let nowMs = 0
  const rate = new PurgeRate(10, () => nowMs)
  assert.equal(rate.take(10), true)
  assert.equal(rate.take(1), false)
  nowMs = 100
  assert.equal(rate.take(1), true)
  assert.equal(rate.take(1), false)
})

test('a request for more is done once, and the next wait for it', () => {
  let nowMs = 0
  const rate = new PurgeRate(10, () => nowMs)
  assert.equal(rate.take(30), true)
  nowMs = 2000
  assert.equal(rate.take(1), false)
  nowMs = 2100
  assert.equal(rate.take(1), true)
})

test('0 is without a limit', () => {
  const rate = new PurgeRate(0, () => 0)
  for (let i = 0; i < 5; i++) assert.equal(rate.take(1e6), true)
})
