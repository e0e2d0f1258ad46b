import assert from 'node:assert/strict'
import { test } from 'node:test'
import { algorithms } from './algorithms.ts'
import { Latency } from './latency.ts'
import { LeastConnections } from './least-connections.ts'
import { anAddress, setAddresses } from './testing.ts'

const STATUS_200 = { type: 'status', status: 200 } as const

test('every algorithm avoids what was tried and unusable addresses, and says when there is none', () => {
  for (const [name, create] of Object.entries(algorithms)) {
    const algorithm = create({ slots: 1000, random: () => 0.5, nowMs: () => 0 })
    assert.equal(algorithm.pick('x', []), null, name)
    const [a, b, c] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((ip) => anAddress(ip)) as [never, never, never]
    setAddresses(algorithm, [a, b, c])
    const all = new Set(Array.from({ length: 200 }, (_, i) => algorithm.pick(`${i}`, [])))
    assert.equal(all.size, 3, name)
    for (let i = 0; i < 20; i++) assert.equal(algorithm.pick(`${i}`, [a, b]), c, name)
    assert.ok(algorithm.pick('x', [a, b, c]), name)
    Object.assign(c, { isUsable: false })
    for (let i = 0; i < 20; i++) assert.equal(algorithm.pick(`${i}`, [a]), b, name)
    Object.assign(a, { isUsable: false })
    Object.assign(b, { isUsable: false })
    assert.equal(algorithm.pick('x', []), null, name)
  }
})

test('least connections picks by load for the weight', () => {
  const [a, b] = [anAddress('a', 100), anAddress('b', 200)]
  for (const order of [
    [a, b],
    [b, a],
  ]) {
    const idle = new LeastConnections()
    setAddresses(idle, order)
    assert.equal(idle.pick(null, []), b, 'the heaviest first')
  }
  const algorithm = new LeastConnections()
  setAddresses(algorithm, [a, b])
  for (let i = 0; i < 6; i++) algorithm.pick(null, [])!.active++
  assert.deepEqual([a.active, b.active], [2, 4])
  b.active = 0
  assert.equal(algorithm.pick(null, []), b)
})

test('least connections gives idle equals their turn', () => {
  const algorithm = new LeastConnections()
  setAddresses(algorithm, [anAddress('a'), anAddress('b'), anAddress('c')])
  assert.equal(new Set(Array.from({ length: 3 }, () => algorithm.pick(null, []))).size, 3)
})

test('latency prefers the faster address, and tries the slow one again when that is long ago', () => {
  const clock = { now: 0 }
  const algorithm = new Latency({ nowMs: () => clock.now })
  const [fast, slow] = [anAddress('fast'), anAddress('slow')]
  setAddresses(algorithm, [fast, slow])
  for (let i = 0; i < 20; i++) {
    clock.now += 1000
    algorithm.ended(fast, STATUS_200, 10)
    algorithm.ended(slow, STATUS_200, 200)
  }
  for (let i = 0; i < 10; i++) assert.equal(algorithm.pick(null, []), fast)
  for (let i = 0; i < 60; i++) {
    clock.now += 1000
    algorithm.ended(fast, STATUS_200, 10)
  }
  assert.equal(algorithm.pick(null, []), slow)
})

test('for latency an address that fails at once is not the fastest', () => {
  const clock = { now: 0 }
  const algorithm = new Latency({ nowMs: () => clock.now })
  const [good, bad] = [anAddress('good'), anAddress('bad')]
  setAddresses(algorithm, [good, bad])
  clock.now += 5000
  algorithm.ended(good, STATUS_200, 100)
  algorithm.ended(bad, { type: 'tcp_failure' }, 1)
  for (let i = 0; i < 5; i++) assert.equal(algorithm.pick(null, []), good)
})

test('for latency a new address starts at the average of the others', () => {
  const clock = { now: 0 }
  const algorithm = new Latency({ nowMs: () => clock.now })
  const [a, b, added] = [anAddress('a'), anAddress('b'), anAddress('c')]
  setAddresses(algorithm, [a, b])
  clock.now += 1e9
  algorithm.ended(a, STATUS_200, 100)
  algorithm.ended(b, STATUS_200, 300)
  algorithm.add(added)
  assert.equal(added.latencyMs, 200)
  algorithm.remove(a)
  algorithm.remove(b)
  algorithm.add(a)
  assert.equal(a.latencyMs, 200)
})
