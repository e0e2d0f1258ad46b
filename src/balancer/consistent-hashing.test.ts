import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bracketed, type Address } from './address.ts'
import { ConsistentHashing } from './consistent-hashing.ts'
import { anAddress, seededRandom, setAddresses } from './testing.ts'
import { xxhash32 } from './xxhash32.ts'

function hashing(addresses: readonly Address[], slots = 10_000, targetCount = addresses.length): ConsistentHashing {
  const algorithm = new ConsistentHashing({ slots, random: seededRandom(1), nowMs: () => 0 })
  setAddresses(algorithm, addresses, [], targetCount)
  return algorithm
}

function servers(count: number, weight = 100): Address[] {
  return Array.from({ length: count }, (_, i) => anAddress(`10.0.0.${i + 1}`, weight, 8080))
}

/** Kong's ring, step by step: slots from 1, filled in the order of names, looked up downwards. It gives up when an address tries more often than there are slots. */
function kongsChoice(addresses: readonly Address[], slots: number, value: string): Address | null | 'no ring' {
  const ring = new Map<number, Address>()
  const total = addresses.reduce((sum, { weight }) => sum + weight, 0)
  const ordered = addresses.toSorted((a, b) => (a.targetName < b.targetName ? -1 : 1))
  for (const address of ordered) {
    let entries = Math.floor((address.weight / total) * addresses.length * 160)
    if (entries === 0) entries = 1
    for (let i = 1; i <= entries; i++) {
      const index = (xxhash32(`${bracketed(address.ip)}::${address.port} ${i}`) % slots) + 1
      if (i >= slots) return 'no ring'
      if (ring.has(index)) entries++
      else ring.set(index, address)
    }
  }
  let index = (xxhash32(value) % slots) + 1
  for (let step = 0; step < slots; step++) {
    const address = ring.get(index)
    if (address?.isUsable === true) return address
    index = index === 1 ? slots : index - 1
  }
  return null
}

test('every value goes where Kong sends it, also when some addresses are down', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(
      weights,
      fc.constantFrom(1000, 1500, 10_000),
      fc.array(fc.nat(5)),
      fc.array(fc.string(), { maxLength: 20 }),
      (given, slots, down, values) => {
        const addresses = given.map((weight, i) => anAddress(`10.0.${i}.1`, weight, 8000 + i))
        for (const index of down) if (addresses[index] !== undefined) addresses[index].isUsable = false
        const algorithm = hashing(addresses, slots)
        for (const value of values) {
          const kongs = kongsChoice(addresses, slots, value)
          if (kongs !== 'no ring') assert.equal(algorithm.pick(value, []), kongs)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('the order in which targets came makes no difference', () => {
  const addresses = servers(7)
  const [one, other] = [hashing(addresses), hashing(addresses.toReversed())]
  for (let i = 0; i < 500; i++) assert.equal(one.pick(`v${i}`, []), other.pick(`v${i}`, []))
})

test('shares follow the weights', () => {
  const [light, heavy] = [anAddress('10.0.0.1', 100), anAddress('10.0.0.2', 300)]
  const algorithm = hashing([light, heavy])
  const total = 20_000
  let heavyCount = 0
  for (let i = 0; i < total; i++) if (algorithm.pick(`value-${i}`, []) === heavy) heavyCount++
  assert.ok(heavyCount / total > 0.65 && heavyCount / total < 0.85, `${heavyCount}`)
})

test('values of a target that is down move, all others stay', () => {
  const addresses = servers(5)
  const algorithm = hashing(addresses)
  const before = new Map(Array.from({ length: 1000 }, (_, i) => [`v${i}`, algorithm.pick(`v${i}`, [])!]))
  addresses[2]!.isUsable = false
  for (const [value, address] of before) {
    if (address === addresses[2]) assert.notEqual(algorithm.pick(value, []), address)
    else assert.equal(algorithm.pick(value, []), address)
  }
})

test('a new target takes about its share and nothing moves between the others', () => {
  const addresses = servers(5)
  const [four, five] = [hashing(addresses.slice(0, 4), 10_000), hashing(addresses, 10_000)]
  let moved = 0
  for (let i = 0; i < 2000; i++) {
    const [before, after] = [four.pick(`v${i}`, []), five.pick(`v${i}`, [])]
    if (after === addresses[4]) moved++
    // Collisions let a few slots change hands.
    else if (before !== after) moved += 0.001
  }
  assert.ok(moved > 200 && moved < 700, `${moved}`)
})

test('a second try goes to another target, the same one for the same value', () => {
  const algorithm = hashing(servers(4))
  for (let i = 0; i < 50; i++) {
    const first = algorithm.pick(`v${i}`, [])!
    const second = algorithm.pick(`v${i}`, [first])!
    assert.notEqual(second, first)
    assert.equal(algorithm.pick(`v${i}`, [first]), second)
  }
})

test('requests without a value are spread evenly', () => {
  const algorithm = hashing(servers(4))
  const counts = new Map<Address, number>()
  for (let i = 0; i < 40; i++) {
    const address = algorithm.pick(null, [])!
    counts.set(address, (counts.get(address) ?? 0) + 1)
  }
  assert.deepEqual([...counts.values()], [10, 10, 10, 10])
})

test('more targets than the slots have room for are all reached', () => {
  const addresses = Array.from({ length: 700 }, (_, i) => anAddress(`10.0.${i >> 8}.${i & 255}`, 1 + (i % 5)))
  const algorithm = hashing(addresses, 1000)
  const reached = new Set<Address | null>()
  for (let i = 0; i < 60_000; i++) reached.add(algorithm.pick(`v${i}`, []))
  assert.ok(reached.size > 690, `${reached.size}`)
})
