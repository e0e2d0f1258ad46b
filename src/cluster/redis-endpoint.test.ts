import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decisionMs } from './redis-endpoint.ts'

test('of what a request may wait a fifth is left for what follows, at most 10 ms, and never all of it', () => {
  assert.deepEqual([1, 2, 5, 20, 50, 1000].map(decisionMs), [1, 1, 4, 16, 40, 990])
})
