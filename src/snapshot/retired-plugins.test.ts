import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PluginInstance } from './plan.ts'
import { RetiredPlugins } from './retired-plugins.ts'

function bed() {
  const closed: string[] = []
  const clock = { nowMs: 0 }
  const retired = new RetiredPlugins(
    ({ id }) => closed.push(id),
    () => clock.nowMs,
  )
  return { retired, closed, clock }
}

const instances = (...ids: string[]) => ids.map((id) => ({ id }) as PluginInstance)
const serving = (inFlight: number) => ({ inFlight })

test('without exchanges an instance is closed with the change that takes it away', () => {
  const { retired, closed } = bed()
  retired.replaced(serving(0), instances('a', 'b'))
  assert.deepEqual(closed, ['a', 'b'])
})

test('an instance waits for the exchanges of its snapshot and of all older ones, not for newer ones', () => {
  const { retired, closed } = bed()
  const [oldest, middle, newest] = [serving(1), serving(1), serving(1)]
  retired.replaced(oldest, [])
  retired.replaced(middle, instances('a'))
  retired.replaced(newest, instances('b'))
  oldest.inFlight = 0
  retired.sweep()
  assert.deepEqual(closed, [])
  middle.inFlight = 0
  retired.sweep()
  assert.deepEqual(closed, ['a'])
  newest.inFlight = 0
  retired.sweep()
  assert.deepEqual(closed, ['a', 'b'])
})

test('an instance whose snapshot has no exchanges waits for those of older ones, which may hold it as well', () => {
  const { retired, closed } = bed()
  const oldest = serving(1)
  retired.replaced(oldest, [])
  retired.replaced(serving(0), instances('a'))
  assert.deepEqual(closed, [])
  oldest.inFlight = 0
  retired.sweep()
  assert.deepEqual(closed, ['a'])
})

test('a stream that does not end is waited for for ten minutes', () => {
  const { retired, closed, clock } = bed()
  retired.replaced(serving(1), instances('a'))
  clock.nowMs = 300_000
  retired.replaced(serving(0), instances('b'))
  clock.nowMs = 599_999
  retired.sweep()
  assert.deepEqual(closed, [])
  clock.nowMs = 600_000
  retired.sweep()
  assert.deepEqual(closed, ['a'])
  clock.nowMs = 900_000
  retired.sweep()
  assert.deepEqual(closed, ['a', 'b'])
})

test('of more than a thousand that wait, the oldest are closed', () => {
  const { retired, closed } = bed()
  retired.replaced(serving(1), instances('first'))
  for (let i = 0; i < 1000; i++) retired.replaced(serving(0), instances(`p${i}`))
  assert.deepEqual(closed, ['first'])
})
