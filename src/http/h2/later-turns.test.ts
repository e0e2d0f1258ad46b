import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LaterTurns } from './later-turns.ts'

/** A queue whose turns come when the test says so. */
function bench(most: number, mostMs = Infinity, costMs = 0) {
  const turns: (() => void)[] = []
  let nowMs = 0
  const queue = new LaterTurns(
    most,
    mostMs,
    (run) => void turns.push(run),
    () => nowMs,
  )
  const done: string[] = []
  const entry = (name: string, times = 1) => ({
    goOn(): void {
      done.push(name)
      nowMs += costMs
      if (--times > 0) queue.add(this)
    },
  })
  return {
    queue,
    entry,
    /** What was done in the next turn; null where none is due. */
    turn(): string | null {
      const now = turns.splice(0)
      if (now.length === 0) return null
      assert.equal(now.length, 1)
      now[0]!()
      return done.splice(0).join('')
    },
  }
}

test('so many go on in a turn, in the order in which they came, and no turn is taken for nobody', () => {
  const { queue, entry, turn } = bench(2)
  assert.equal(turn(), null)
  for (const name of 'abcde') queue.add(entry(name))
  assert.deepEqual([turn(), turn(), turn(), turn()], ['ab', 'cd', 'e', null])
})

test('who has more to do waits behind those who were there before', () => {
  const { queue, entry, turn } = bench(2)
  queue.add(entry('a', 3))
  queue.add(entry('b'))
  queue.add(entry('c'))
  assert.deepEqual([turn(), turn(), turn(), turn()], ['ab', 'ca', 'a', null])
})

test('one who comes while others go on gets the next turn', () => {
  const { queue, entry, turn } = bench(8)
  queue.add({ goOn: () => queue.add(entry('late')) })
  assert.deepEqual([turn(), turn(), turn()], ['', 'late', null])
})

test('fewer go on in a turn when they take long, but one always does', () => {
  const { queue, entry, turn } = bench(8, 5, 2)
  for (const name of 'abcde') queue.add(entry(name))
  assert.deepEqual([turn(), turn(), turn()], ['abc', 'de', null])
  const slow = bench(8, 5, 20)
  slow.queue.add(slow.entry('a', 2))
  slow.queue.add(slow.entry('b'))
  assert.deepEqual([slow.turn(), slow.turn(), slow.turn(), slow.turn()], ['a', 'b', 'a', null])
})
