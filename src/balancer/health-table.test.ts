import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HealthSlots } from './health-slots.ts'
import { createHealthTable, LocalHealthTable } from './health-table.ts'
import type { CheckRules } from './health.ts'

function table() {
  const clock = { now: 0 }
  return { clock, health: createHealthTable({ nowMs: () => clock.now }) }
}

test('everybody who opens a key sees the same state', () => {
  const { health } = table()
  const state = health.open('a')
  health.set(state, false)
  assert.equal(health.open('a'), state)
  assert.equal(health.open('b').status, 'healthy')
})

test('who watches a state is told when the address became usable or unusable, and only then', () => {
  const { health } = table()
  const state = health.open('a')
  let told = 0
  state.watchers.add({ healthChanged: () => told++ })
  assert.equal(health.set(state, true), false)
  assert.equal(told, 0)
  assert.equal(health.set(state, false), true)
  assert.equal(told, 1)
})

test('a state outlives its last holder by five minutes', () => {
  const { health, clock } = table()
  const state = health.open('a')
  health.open('a')
  health.release('a')
  clock.now = 1_000_000
  assert.equal(health.open('a'), state, 'one still holds it')
  health.release('a')
  health.release('a')
  clock.now += 299_999
  assert.equal(health.open('a'), state)
  health.release('a')
  clock.now += 300_001
  assert.notEqual(health.open('a'), state)
})

test('states of addresses that are gone are bounded', () => {
  const { health } = table()
  const first = health.open('0')
  health.release('0')
  for (let i = 1; i <= 10_000; i++) {
    health.open(`${i}`)
    health.release(`${i}`)
  }
  assert.notEqual(health.open('0'), first)
})

test('a release too many is a mistake that is told', () => {
  assert.throws(() => table().health.release('a'), /released more often than opened/)
})

/** Threads that share states through the main thread, as messages do it. */
function threads(count: number, size?: number) {
  const clock = { now: 0 }
  const nowMs = () => clock.now
  const slots = new HealthSlots({ nowMs, ...(size !== undefined && { size }) })
  const start = (thread: number): LocalHealthTable => {
    const one: LocalHealthTable = new LocalHealthTable({
      nowMs,
      cells: slots.cells,
      link: {
        open: (keys) => one.adopt(slots.open(thread, keys)),
        release: (keys) => slots.release(thread, keys),
        changed: (slot) => {
          for (const other of tables) if (other !== one) other.changed([slot])
        },
      },
    })
    return one
  }
  const tables = Array.from({ length: count }, (_, thread) => start(thread))
  return { clock, slots, tables, start }
}
const RULES: CheckRules = {
  healthyStatuses: new Set([200]),
  unhealthyStatuses: new Set([500]),
  successes: 2,
  httpFailures: 3,
  tcpFailures: 3,
  timeouts: 3,
}
const ERROR = { type: 'status', status: 500 } as const

test('what threads count adds up, and all are told of the change', async () => {
  const { tables } = threads(2)
  const [here, there] = tables as [LocalHealthTable, LocalHealthTable]
  const [state, other] = [here.open('a'), there.open('a')]
  await Promise.all([here.settled(1000), there.settled(1000)])
  let told = 0
  other.watchers.add({ healthChanged: () => told++ })
  here.count(state, RULES, ERROR)
  there.count(other, RULES, ERROR)
  assert.equal(told, 0)
  assert.equal(here.count(state, RULES, ERROR), true)
  assert.deepEqual([other.status, told], ['unhealthy', 1])
})

test('what was counted before the states were shared is not lost', async () => {
  const { tables } = threads(2)
  const [here, there] = tables as [LocalHealthTable, LocalHealthTable]
  here.set(here.open('a'), false)
  await here.settled(1000)
  const state = there.open('a')
  assert.equal(state.status, 'healthy')
  let told = 0
  state.watchers.add({ healthChanged: () => told++ })
  await there.settled(1000)
  assert.deepEqual([state.status, told], ['unhealthy', 1])
})

test('the successor of a lost thread knows what it knew', async () => {
  const { tables, slots, start } = threads(1)
  tables[0]!.set(tables[0]!.open('a'), false)
  await tables[0]!.settled(1000)
  slots.lost(0)
  slots.sweep()
  const successor = start(0)
  const state = successor.open('a')
  await successor.settled(1000)
  assert.equal(state.status, 'unhealthy')
})

test('a place is given again when its address is gone, without what was counted in it', async () => {
  const { tables, slots, clock } = threads(1, 1)
  const [one] = tables as [LocalHealthTable]
  const gone = one.open('a')
  one.set(gone, false)
  await one.settled(1000)
  one.release('a')
  const early = one.open('b')
  await one.settled(1000)
  assert.equal(slots.refused, 1)
  one.set(early, false)
  assert.equal(early.status, 'unhealthy', 'it has its health in the thread alone')
  clock.now += 300_001
  one.forget()
  const next = one.open('c')
  await one.settled(1000)
  assert.equal(next.status, 'healthy')
  one.count(gone, RULES, { type: 'status', status: 200 })
  assert.deepEqual([gone.status, next.status], ['mostly_unhealthy', 'healthy'])
})
