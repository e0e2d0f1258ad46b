import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OrderedIds } from './ordered-ids.ts'

test('holds what a sorted set holds, from any id on', () => {
  const change = fc.record({
    id: fc.integer({ min: 0, max: 3000 }).map((number) => number.toString(36)),
    isAdded: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 3000, size: 'max' }), fc.string(), (changes, start) => {
      const ids = new OrderedIds()
      const naive = new Set<string>()
      for (const { id, isAdded } of changes) {
        if (isAdded) ids.add(id)
        else ids.delete(id)
        if (isAdded) naive.add(id)
        else naive.delete(id)
      }
      assert.deepEqual([...ids.after('')], [...naive].sort())
      assert.deepEqual([...ids.after(start)], [...naive].filter((id) => id > start).sort())
      assert.equal(ids.isEmpty, naive.size === 0)
    }),
    { numRuns: 30 },
  )
})
