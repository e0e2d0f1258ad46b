import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecentFloods } from './recent-floods.ts'

test('an address is remembered for ten seconds after its last flood', () => {
  let nowMs = 0
  const floods = new RecentFloods(() => nowMs)
  assert.equal(floods.has('10.0.0.1'), false)
  floods.add('10.0.0.1')
  nowMs = 9_000
  assert.equal(floods.has('10.0.0.1'), true)
  assert.equal(floods.has('10.0.0.2'), false)
  floods.add('10.0.0.1')
  nowMs = 18_999
  assert.equal(floods.has('10.0.0.1'), true)
  nowMs = 19_000
  assert.equal(floods.has('10.0.0.1'), false)
})

test('a thousand addresses are remembered, and those whose last flood is the oldest are forgotten for others', () => {
  const floods = new RecentFloods(() => 0)
  for (let n = 0; n < 1000; n++) floods.add(`a${n}`)
  floods.add('a0')
  floods.add('new')
  assert.deepEqual(
    ['a0', 'a1', 'a2', 'new'].map((address) => floods.has(address)),
    [true, false, true, true],
  )
})

test('a peer without an address is nobody', () => {
  const floods = new RecentFloods(() => 0)
  floods.add('')
  assert.equal(floods.has(''), false)
})
