import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Propagation } from './propagation.ts'

function createTest() {
  const seconds: number[] = []
  const clock = { nowMs: 10_000 }
  const propagation = new Propagation({ nowMs: () => clock.nowMs, observe: (value) => seconds.push(value) })
  return { seconds, clock, propagation }
}

test('each revision is told once, when the last worker serves it or a later one', () => {
  const { seconds, clock, propagation } = createTest()
  propagation.published([
    { revision: 4, atMs: 10_100 },
    { revision: 5, atMs: 10_200 },
  ])
  propagation.published([{ revision: 6, atMs: 10_300 }])
  clock.nowMs = 10_400
  propagation.served(3)
  assert.deepEqual(seconds, [])
  propagation.served(5)
  clock.nowMs = 10_900
  propagation.served(5)
  propagation.served(6)
  assert.deepEqual(seconds, [0.3, 0.2, 0.6])
})

test('a writer whose clock is ahead counts as no time, and what is older than this node not at all', () => {
  const { seconds, propagation } = createTest()
  propagation.published([
    { revision: 1, atMs: 9_999 },
    { revision: 2, atMs: 70_000 },
  ])
  propagation.served(2)
  assert.deepEqual(seconds, [0])
})

test('workers that never serve what they are told of take up bounded room', () => {
  const { seconds, propagation } = createTest()
  for (let revision = 1; revision <= 30_000; revision++) propagation.published([{ revision, atMs: 10_000 }])
  propagation.served(30_000)
  assert.equal(seconds.length, 10_000)
})
