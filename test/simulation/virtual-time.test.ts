import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from './random.ts'
import { VirtualTime } from './virtual-time.ts'

test('events run in order of their moments, those of one moment as they were made', async () => {
  const time = new VirtualTime()
  const seen: string[] = []
  time.after(5, () => seen.push('late'))
  time.after(1, () => seen.push('first'))
  time.after(1, () => seen.push('second'))
  await time.run(() => time.delay(10))
  assert.deepEqual(seen, ['first', 'second', 'late'])
  assert.equal(time.nowMs, 10)
})

test('time stands while anything follows from the last event', async () => {
  const time = new VirtualTime()
  const seen: number[] = []
  time.after(2, () => {})
  await time.run(async () => {
    await time.delay(1)
    for (let step = 0; step < 1000; step++) await Promise.resolve()
    seen.push(time.nowMs)
    await time.delay(1)
    seen.push(time.nowMs)
  })
  assert.deepEqual(seen, [1, 2])
})

test('a wait for what never comes is told', async () => {
  const time = new VirtualTime()
  await assert.rejects(
    time.run(() => new Promise(() => {})),
    /nothing is under way/,
  )
})

test('random numbers follow from their seed', () => {
  const numbers = (seed: number) => {
    const random = new Random(seed)
    return Array.from({ length: 5 }, () => random.next())
  }
  assert.deepEqual(numbers(1), numbers(1))
  assert.notDeepEqual(numbers(1), numbers(2))
  const random = new Random(3)
  const mean = Array.from({ length: 10_000 }, () => random.next()).reduce((sum, one) => sum + one) / 10_000
  assert.ok(Math.abs(mean - 0.5) < 0.02, `expected a mean near 0.5, got ${mean}`)
})
