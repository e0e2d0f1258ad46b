import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DigestSum, type StoredRow } from './digest.ts'

const row: fc.Arbitrary<StoredRow> = fc.record({
  kind: fc.constantFrom('routes', 'services'),
  workspace: fc.constantFrom('', 'w'),
  id: fc.string(),
  revision: fc.nat(),
  sealed: fc.string(),
})

test('does not depend on the order of the rows, nor on rows that came and went', () => {
  fc.assert(
    fc.property(fc.array(row), fc.array(row), (rows, gone) => {
      const forwards = new DigestSum()
      for (const one of rows) forwards.add(one)
      const backwards = new DigestSum()
      for (const one of gone) backwards.add(one)
      for (const one of rows.toReversed()) backwards.add(one)
      const resumed = new DigestSum(backwards.digests())
      for (const one of gone) resumed.remove(one)
      assert.deepEqual(resumed.digests(), forwards.digests())
    }),
  )
})

test('depends on everything in a row', () => {
  const base: StoredRow = { kind: 'routes', workspace: 'w', id: 'a', revision: 1, sealed: '{}' }
  const digest = (one: StoredRow) => {
    const sum = new DigestSum()
    sum.add(one)
    return JSON.stringify(sum.digests())
  }
  const others = [{ workspace: 'v' }, { id: 'b' }, { revision: 2 }, { sealed: '{"a":1}' }, { kind: 'services' }]
  const digests = [base, ...others.map((other) => ({ ...base, ...other }))].map(digest)
  assert.equal(new Set(digests).size, digests.length)
})

test('names no kind without rows, and is always 64 digits', () => {
  const sum = new DigestSum()
  const one = { kind: 'routes', workspace: 'w', id: 'a', revision: 1, sealed: '{}' }
  sum.add(one)
  assert.match(sum.digests().routes ?? '', /^[0-9a-f]{64}$/)
  sum.remove(one)
  assert.deepEqual(sum.digests(), {})
})
