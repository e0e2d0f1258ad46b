import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Address } from './address.ts'
import { RoundRobin } from './round-robin.ts'
import { anAddress, seededRandom, setAddresses } from './testing.ts'

function roundRobin(addresses: readonly Address[], seed = 1): RoundRobin {
  const algorithm = new RoundRobin({ random: seededRandom(seed) })
  setAddresses(algorithm, addresses)
  return algorithm
}

function take(algorithm: RoundRobin, count: number): string[] {
  return Array.from({ length: count }, () => algorithm.pick(null, [])!.ip)
}

function countEach(picks: readonly string[]): Record<string, number> {
  return Object.fromEntries(Object.entries(Object.groupBy(picks, (ip) => ip)).map(([ip, all]) => [ip, all!.length]))
}

test('equal weights take strict turns', () => {
  const picks = take(roundRobin(['a', 'b', 'c'].map((ip) => anAddress(ip))), 9)
  assert.deepEqual(picks.slice(0, 3).toSorted(), ['a', 'b', 'c'])
  assert.deepEqual(picks.slice(3, 6), picks.slice(0, 3))
  assert.deepEqual(picks.slice(6, 9), picks.slice(0, 3))
})

test('a heavy address is spread over the turn', () => {
  const picks = take(roundRobin([anAddress('a', 5), anAddress('b', 1), anAddress('c', 1)]), 7)
  assert.deepEqual(countEach(picks), { a: 5, b: 1, c: 1 })
  assert.ok(!picks.join('').includes('bc') && !picks.join('').includes('cb'), picks.join(''))
})

test('every full turn gives exactly the weights', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 6 })
  const scaled = fc.tuple(
    fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
    fc.integer({ min: 1, max: 5000 }),
  )
  fc.assert(
    fc.property(scaled, fc.integer(), (given, seed) => {
      const [small, factor] = given
      const addresses = small.map((weight, index) => anAddress(`${index}`, weight * factor))
      const algorithm = roundRobin(addresses, seed)
      const turn = small.reduce((sum, weight) => sum + weight, 0)
      for (let i = 0; i < 3; i++) {
        assert.deepEqual(
          countEach(take(algorithm, turn)),
          Object.fromEntries(small.map((weight, index) => [`${index}`, weight])),
        )
      }
    }),
  )
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 300 }), (given, count) => {
      const algorithm = roundRobin(given.map((weight, index) => anAddress(`${index}`, weight)))
      const total = given.reduce((sum, weight) => sum + weight, 0)
      const counts = countEach(take(algorithm, count))
      // At no moment is anybody further from its share than the number of the others.
      for (const [index, weight] of given.entries()) {
        assert.ok(Math.abs((counts[`${index}`] ?? 0) - (count * weight) / total) < given.length)
      }
    }),
  )
})

test('the same randomness gives the same order, other randomness another start', () => {
  const picksOf = (seed: number): string =>
    take(
      roundRobin(
        'abcdefgh'.split('').map((ip) => anAddress(ip)),
        seed,
      ),
      8,
    ).join('')
  assert.equal(picksOf(7), picksOf(7))
  assert.ok(new Set(Array.from({ length: 20 }, (_, seed) => picksOf(seed)[0])).size > 3)
})

test('an unusable address is passed over, and the others share its part evenly', () => {
  const [a, b, c] = [anAddress('a'), anAddress('b'), anAddress('c')]
  const algorithm = roundRobin([a, b, c])
  b.isUsable = false
  assert.deepEqual(countEach(take(algorithm, 10)), { a: 5, c: 5 })
  b.isUsable = true
  assert.deepEqual(countEach(take(algorithm, 9)), { a: 3, b: 3, c: 3 })
})

test('what failed in this exchange is avoided while others are left', () => {
  const [a, b] = [anAddress('a'), anAddress('b')]
  const algorithm = roundRobin([a, b])
  for (let i = 0; i < 4; i++) assert.equal(algorithm.pick(null, [a]), b)
  assert.ok(algorithm.pick(null, [a, b]))
  b.isUsable = false
  assert.equal(algorithm.pick(null, [a]), a)
  a.isUsable = false
  assert.equal(algorithm.pick(null, [a]), null)
  assert.equal(roundRobin([]).pick(null, []), null)
})

test('the turn goes on where it was when addresses leave or come', () => {
  const all = 'abcdef'.split('').map((ip) => anAddress(ip))
  const order = take(roundRobin(all), 6)
  const algorithm = roundRobin(all)
  assert.deepEqual(take(algorithm, 3), order.slice(0, 3))
  const left = all.filter(({ ip }) => ip !== order[2])
  setAddresses(algorithm, left, all)
  assert.deepEqual(take(algorithm, 3), order.slice(3))
  setAddresses(algorithm, all, left)
  assert.deepEqual(take(algorithm, 6), order)
})

test('no address is lost or favoured when the list changes again and again', () => {
  const all = 'abcdefgh'.split('').map((ip, index) => anAddress(ip, 1 + (index % 3)))
  const lists = fc.array(fc.subarray(all, { minLength: 1 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(lists, fc.integer({ min: 0, max: 20 }), (steps, between) => {
      const algorithm = new RoundRobin({ random: seededRandom(3) })
      for (const [at, list] of steps.entries()) {
        setAddresses(algorithm, list, steps[at - 1])
        take(algorithm, between)
      }
      const last = steps.at(-1)!
      const turn = last.reduce((sum, { weight }) => sum + weight, 0)
      const turns = 20
      const counts = countEach(take(algorithm, turn * turns))
      for (const { ip, weight } of last) {
        assert.ok(
          Math.abs((counts[ip] ?? 0) - weight * turns) <= last.length,
          `${ip}: ${counts[ip]} of ${weight * turns}`,
        )
      }
    }),
  )
})
