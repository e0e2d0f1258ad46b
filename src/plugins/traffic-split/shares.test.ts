import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bucketOf, BUCKETS, progressOf, Shares } from './shares.ts'

const all = (shares: Shares, progress: number) => Array.from({ length: BUCKETS }, (_, at) => shares.at(at, progress))
const counts = (numbers: readonly number[]) =>
  Object.fromEntries([...Map.groupBy(numbers, String)].map(([number, list]) => [number, list.length]))

test('each target has its part of the buckets, the rest stays', () => {
  assert.deepEqual(counts(all(new Shares([10, 0, 2.5]), 1)), { '0': 1000, '2': 250, '-1': 8750 })
  assert.deepEqual(counts(all(new Shares([60, 40]), 1)), { '0': 6000, '1': 4000 })
  assert.deepEqual(counts(all(new Shares([0.01]), 1)), { '0': 1, '-1': 9999 })
  assert.deepEqual(counts(all(new Shares([0]), 1)), { '-1': 10_000 })
})

test('in a ramp each has that part of its part', () => {
  const shares = new Shares([10, 20])
  assert.deepEqual(counts(all(shares, 0)), { '-1': 10_000 })
  assert.deepEqual(counts(all(shares, 0.25)), { '0': 250, '1': 500, '-1': 9250 })
})

test('while a ramp grows nobody leaves a target, or goes from one to another', () => {
  const weights = fc.array(fc.integer({ min: 0, max: 25 }), { minLength: 1, maxLength: 4 })
  const part = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(
    fc.property(weights, part, part, fc.nat(BUCKETS - 1), (list, a, b, bucket) => {
      const shares = new Shares(list)
      const before = shares.at(bucket, Math.min(a, b))
      if (before >= 0) assert.equal(shares.at(bucket, Math.max(a, b)), before)
    }),
  )
})

test('a ramp begins at its start and is at its end after its duration', () => {
  const ramp = { startMs: 1000, durationMs: 4000 }
  assert.deepEqual(
    [0, 1000, 2000, 4000, 5000, 9999].map((atMs) => progressOf(ramp, atMs)),
    [0, 0, 0.25, 0.75, 1, 1],
  )
  assert.equal(progressOf(null, 0), 1)
})

test('texts spread evenly, the same text always to the same bucket, and another split sees others', () => {
  const texts = Array.from({ length: 20_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
  const tenths = Array.from({ length: 10 }, () => 0)
  for (const text of texts) tenths[Math.floor(bucketOf('a', text) / 1000)]!++
  for (const count of tenths) assert.ok(count > 1800 && count < 2200, tenths.join(' '))
  assert.equal(bucketOf('a', 'x'), bucketOf('a', 'x'))
  const both = texts.filter((text) => bucketOf('a', text) < 1000 && bucketOf('b', text) < 1000).length
  assert.ok(both > 120 && both < 280, `${both} are in both tenths`)
})
