import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecentFloods } from './recent-floods.ts'

test('an address is remembered for ten seconds after its last flood', () => {
  let nowMs = 0
  const floods = new RecentFloods({}, () => nowMs)
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
  const floods = new RecentFloods({ connectionsPerSecond: 0.5 }, () => 0)
  for (let n = 0; n < 1000; n++) floods.add(`a${n}`)
  floods.add('a0')
  floods.add('new')
  assert.deepEqual(
    ['a0', 'a1', 'a2', 'new'].map((address) => floods.admits(address)),
    [false, true, false, false],
  )
})

test('a peer without an address is nobody', () => {
  const floods = new RecentFloods({}, () => 0)
  floods.add('')
  assert.equal(floods.has(''), false)
})

test('from where a flood came only so many connections come in, and more as time passes, up to a second of them', () => {
  let nowMs = 0
  const floods = new RecentFloods({ connectionsPerSecond: 3 }, () => nowMs)
  const admitted = (count: number, address = '10.0.0.1') =>
    Array.from({ length: count }, () => floods.admits(address)).filter(Boolean).length
  assert.equal(admitted(50), 50)
  floods.add('10.0.0.1')
  assert.deepEqual([admitted(10), admitted(10, '10.0.0.2')], [3, 10])
  nowMs = 500
  assert.equal(admitted(10), 1)
  nowMs = 5000
  assert.equal(admitted(10), 3)
  // A further flood makes it last longer, and brings no further connections.
  floods.add('10.0.0.1')
  assert.equal(admitted(10), 0)
  nowMs = 14_999
  assert.equal(admitted(10), 3)
  nowMs = 15_000
  assert.equal(admitted(10), 10)
  assert.equal(floods.refused, 7 + 9 + 7 + 10 + 7)
})

test('all of a /64 of IPv6 count as one, a proxy that is known does not count', () => {
  const floods = new RecentFloods({ connectionsPerSecond: 1, isProxy: (address) => address === '10.0.0.1' }, () => 0)
  floods.add('2001:db8::1')
  assert.deepEqual(
    ['2001:db8::2', '2001:db8::3', '2001:db8:0:1::2', '2001:db8:0:1::2'].map((address) => floods.admits(address)),
    [true, false, true, true],
  )
  floods.add('10.0.0.1')
  assert.deepEqual([floods.admits('10.0.0.1'), floods.admits('10.0.0.1'), floods.has('10.0.0.1')], [true, true, true])
})

test('it says once that connections are refused, and once that none is any more', () => {
  let nowMs = 0
  const said: (string | null)[] = []
  const floods = new RecentFloods({ connectionsPerSecond: 0.1, onChange: (address) => said.push(address) }, () => nowMs)
  floods.add('10.0.0.1')
  floods.add('10.0.0.2')
  nowMs = 5000
  floods.add('10.0.0.2')
  for (const address of ['10.0.0.2', '10.0.0.1', '10.0.0.2']) floods.admits(address)
  nowMs = 14_000
  floods.forget()
  assert.deepEqual(said, ['10.0.0.2'])
  nowMs = 15_000
  floods.forget()
  floods.forget()
  assert.deepEqual(said, ['10.0.0.2', null])
})

test('while there are many floods, wherever they come from, all that is new begins with less', () => {
  let nowMs = 0
  const floods = new RecentFloods({}, () => nowMs)
  for (let n = 0; n < 19; n++) floods.add(`10.0.0.${n}`)
  assert.equal(floods.has('192.0.2.1'), false)
  nowMs = 900
  floods.add('10.0.0.19')
  assert.equal(floods.has('192.0.2.1'), true)
  assert.equal(floods.admits('192.0.2.1'), true)
  nowMs = 1900
  assert.equal(floods.has('192.0.2.1'), true)
  nowMs = 3000
  assert.equal(floods.has('192.0.2.1'), false)
})
