import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHealthTable } from './health-table.ts'

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

test('the version changes when an address becomes usable or unusable, and only then', () => {
  const { health } = table()
  const state = health.open('a')
  const { version } = health
  assert.equal(health.set(state, true), false)
  assert.equal(health.version, version)
  assert.equal(health.set(state, false), true)
  assert.notEqual(health.version, version)
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
