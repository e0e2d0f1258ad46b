import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGather } from './gather.ts'

/** Milliseconds waited, when so many requests wait after each step of 5 ms. */
async function waitedMs(queued: readonly number[], lastSize: number, lastMs: number): Promise<number> {
  let ms = 0
  const gather = createGather({
    turn: async () => {},
    delay: async (more) => {
      ms += more
    },
  })
  await gather({ queued: () => queued[Math.min(ms / 5, queued.length - 1)] ?? 0, lastSize, lastMs })
  return ms
}

test('a writer that is alone is not held up', async () => {
  assert.equal(await waitedMs([1], 0, 0), 0)
  assert.equal(await waitedMs([1], 1, 300), 0)
  assert.equal(await waitedMs([5], 3, 300), 0)
})

test('after a group, waits while others come, until as many are there again', async () => {
  assert.equal(await waitedMs([1, 40, 90, 200], 200, 300), 15)
})

test('goes on when nobody came for an eighth of the last commit', async () => {
  assert.equal(await waitedMs([1], 200, 320), 40)
  assert.equal(await waitedMs([1, 1, 1, 2], 200, 320), 55)
})

test('waits no longer than half of the last commit, and never longer than a quarter of a second', async () => {
  const slowly = Array.from({ length: 200 }, (_, n) => n + 1)
  assert.equal(await waitedMs(slowly, 10_000, 40), 20)
  assert.equal(await waitedMs(slowly, 10_000, 60_000), 250)
  assert.equal(await waitedMs(slowly, 10_000, -5), 0)
})
