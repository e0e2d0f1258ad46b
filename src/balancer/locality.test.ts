import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PickedTarget } from './contract.ts'
import { tierOf, type Localities } from './locality.ts'
import { aBalancer, aResilience, aTarget, anUpstream, countPicks, pickNow } from './testing.ts'

const CHECKS = { passive: { unhealthy: { tcp_failures: 1 } } }

function near(order: readonly string[] = ['fra']): Localities {
  return { order, picked: { near: 0, far: 0 } }
}

/** `counts` targets of each of these localities, all of weight 100. */
function targetsOf(counts: Readonly<Record<string, number>>) {
  return Object.entries(counts).flatMap(([name, count], at) =>
    Array.from({ length: count }, (_, i) => aTarget(`10.${at}.0.${i + 1}:80`, 100, name)),
  )
}

const fail = (bed: ReturnType<typeof aBalancer>, ...targets: readonly string[]) => {
  for (const target of targets) assert.equal(bed.balancer.setHealth(target, null, false), null)
}

/** Parts of the picks by the second number of the address, which says the locality. */
function partsOf(counts: Readonly<Record<string, number>>): Record<string, number> {
  const parts: Record<string, number> = {}
  const sum = Object.values(counts).reduce((all, count) => all + count, 0)
  for (const [address, count] of Object.entries(counts)) {
    const at = address.split('.')[1]!
    parts[at] = (parts[at] ?? 0) + count / sum
  }
  return parts
}

test('a target is near by its field, else by its tag, else to everybody', () => {
  const order = ['fra', 'ams']
  const tags = (...some: string[]) => ({ locality: null, tags: some })
  assert.equal(tierOf({ locality: 'fra', tags: null }, order), 0)
  assert.equal(tierOf({ locality: 'ams', tags: ['locality:fra'] }, order), 1)
  assert.equal(tierOf({ locality: 'lon', tags: null }, order), 2)
  assert.equal(tierOf(tags('a', 'locality:ams'), order), 1)
  assert.equal(tierOf(tags('locality:lon'), order), 2)
  assert.equal(tierOf(tags('a'), order), 0)
  assert.equal(tierOf({ locality: 'lon', tags: null }, []), 0)
})

test('targets that are near get everything, as long as less than two in seven of them are missing', () => {
  const localities = near()
  const bed = aBalancer(anUpstream({}, CHECKS), targetsOf({ fra: 4, ams: 4 }), { localities })
  assert.deepEqual(partsOf(countPicks(bed.balancer, 400)), { 0: 1 })
  fail(bed, '10.0.0.1:80')
  assert.deepEqual(countPicks(bed.balancer, 300), { '10.0.0.2:80': 100, '10.0.0.3:80': 100, '10.0.0.4:80': 100 })
  assert.deepEqual(localities.picked, { near: 700, far: 0 })
  assert.equal(bed.balancer.report().balancer.near_percent, undefined)
})

test('from there on they get 1.4 times what is well, and the next ones the rest', () => {
  const localities = near()
  const bed = aBalancer(anUpstream({}, CHECKS), targetsOf({ fra: 4, ams: 4 }), { localities })
  fail(bed, '10.0.0.1:80', '10.0.0.2:80')
  const parts = partsOf(countPicks(bed.balancer, 10_000))
  assert.ok(Math.abs(parts['0']! - 0.7) < 0.02, JSON.stringify(parts))
  assert.equal(bed.balancer.nearPercent, 70)
  assert.equal(bed.balancer.report().balancer.near_percent, 70)
  fail(bed, '10.0.0.3:80', '10.0.0.4:80')
  assert.deepEqual(partsOf(countPicks(bed.balancer, 100)), { 1: 1 })
  assert.equal(bed.balancer.setHealth('10.0.0.1:80', null, true), null)
  assert.equal(bed.balancer.setHealth('10.0.0.2:80', null, true), null)
  assert.equal(bed.balancer.setHealth('10.0.0.3:80', null, true), null)
  assert.deepEqual(partsOf(countPicks(bed.balancer, 100)), { 0: 1 })
})

test('the order of the setting is the order in which others are asked; unknown ones come last', () => {
  const bed = aBalancer(anUpstream({}, CHECKS), targetsOf({ lon: 1, ams: 1, fra: 1 }), {
    localities: near(['fra', 'ams']),
  })
  assert.deepEqual(countPicks(bed.balancer, 10), { '10.2.0.1:80': 10 })
  fail(bed, '10.2.0.1:80')
  assert.deepEqual(countPicks(bed.balancer, 10), { '10.1.0.1:80': 10 })
  fail(bed, '10.1.0.1:80')
  assert.deepEqual(countPicks(bed.balancer, 10), { '10.0.0.1:80': 10 })
})

test('a retry goes to a near target that was not tried, then to one that is far, then to any', () => {
  const { balancer } = aBalancer(anUpstream(), targetsOf({ fra: 2, ams: 1 }), { localities: near() })
  const tried: PickedTarget[] = []
  for (let i = 0; i < 3; i++) tried.push(pickNow(balancer, null, tried))
  assert.deepEqual(new Set(tried.slice(0, 2).map(({ ip }) => ip)), new Set(['10.0.0.1', '10.0.0.2']))
  assert.equal(tried[2]!.ip, '10.1.0.1')
  assert.ok(pickNow(balancer, null, tried).ip.startsWith('10.0.'))
})

test('in panic all are asked, each locality by its weight', () => {
  const upstream = anUpstream({ resilience: aResilience({ panic: true }) }, CHECKS)
  const bed = aBalancer(upstream, targetsOf({ fra: 1, ams: 3 }), { localities: near() })
  fail(bed, '10.0.0.1:80', '10.1.0.1:80', '10.1.0.2:80', '10.1.0.3:80')
  const parts = partsOf(countPicks(bed.balancer, 4000))
  assert.ok(Math.abs(parts['0']! - 0.25) < 0.03, JSON.stringify(parts))
})

test('a target that moves takes its weight along', () => {
  const targets = targetsOf({ fra: 1, ams: 1 })
  const { balancer } = aBalancer(anUpstream(), targets, { localities: near() })
  balancer.changeTargets(
    [
      { ...targets[0]!, locality: 'ams' },
      { ...targets[1]!, locality: 'fra' },
    ],
    [],
  )
  assert.deepEqual(countPicks(balancer, 10), { '10.1.0.1:80': 10 })
  balancer.changeTargets([], ['10.1.0.1:80'])
  assert.deepEqual(countPicks(balancer, 10), { '10.0.0.1:80': 10 })
})

test('without localities of its own an upstream hashes as it always does', () => {
  const upstream = anUpstream({ algorithm: 'consistent-hashing', hash_on: 'header', hash_on_header: 'x' })
  const targets = Array.from({ length: 7 }, (_, i) => aTarget(`10.0.0.${i + 1}:80`))
  const plain = aBalancer(upstream, targets).balancer
  const placed = aBalancer(upstream, targets, { localities: near() }).balancer
  for (let i = 0; i < 500; i++) assert.equal(pickNow(placed, `v${i}`).key, pickNow(plain, `v${i}`).key)
})

test('while too few are near a value stays with its target, and only what has to moves', () => {
  const upstream = anUpstream({ algorithm: 'consistent-hashing', hash_on: 'header', hash_on_header: 'x' }, CHECKS)
  const bed = aBalancer(upstream, targetsOf({ fra: 10, ams: 10 }), { localities: near() })
  const owners = () => Array.from({ length: 5000 }, (_, i) => pickNow(bed.balancer, `v${i}`).ip)
  const whole = owners()
  fail(bed, ...[1, 2, 3, 4, 5].map((i) => `10.0.0.${i}:80`))
  const spilled = owners()
  assert.deepEqual(owners(), spilled)
  const moved = spilled.filter((ip, i) => ip !== whole[i]).length / 5000
  // Half have lost their target; of the other half three tenths go to the next locality.
  assert.ok(Math.abs(moved - 0.65) < 0.05, String(moved))
  fail(bed, '10.0.0.6:80')
  const further = owners()
  const back = further.filter((ip, i) => spilled[i]!.startsWith('10.1.') && ip !== spilled[i]).length
  assert.equal(back, 0, 'a value that has left stays where it went')
})

/** Envoy's rule as its documentation has it, for weights and in percent. */
function envoy(tiers: readonly { readonly well: number; readonly total: number }[]): number[] {
  const health = tiers.map(({ well, total }) => (total === 0 ? 0 : Math.min(100, (140 * well) / total)))
  const normalized = Math.min(
    100,
    health.reduce((sum, one) => sum + one, 0),
  )
  let used = 0
  return health.map((one) => {
    const load = normalized === 0 ? 0 : Math.min(100 - used, (one * 100) / normalized)
    used += load
    return load / 100
  })
}

test('whatever weights and health there are, each locality gets what Envoy would give it', () => {
  const names = ['fra', 'ams', 'lon']
  const target = fc.record({
    tier: fc.nat({ max: 2 }),
    weight: fc.integer({ min: 0, max: 1000 }),
    isWell: fc.boolean(),
  })
  const algorithm = fc.constantFrom('round-robin' as const, 'least-connections' as const, 'latency' as const)
  fc.assert(
    fc.property(fc.array(target, { minLength: 1, maxLength: 12 }), algorithm, fc.integer(), (specs, name, seed) => {
      const targets = specs.map(({ tier, weight }, i) => aTarget(`10.${tier}.0.${i + 1}:80`, weight, names[tier]))
      const localities = near(['fra', 'ams'])
      const bed = aBalancer(anUpstream({ algorithm: name }, CHECKS), targets, { localities, seed })
      // In another order than they came, and there and back, so that sums are kept and not only made.
      for (const [i, { isWell }] of specs.entries()) if (!isWell) fail(bed, targets[i]!.target)
      for (const [i, { isWell }] of specs.entries()) if (!isWell) bed.balancer.setHealth(targets[i]!.target, null, true)
      for (const [i, { isWell }] of [...specs.entries()].toReversed()) if (!isWell) fail(bed, targets[i]!.target)
      const tiers = [0, 1, 2].map((at) => {
        const own = specs.filter(({ tier }) => tier === at)
        const sum = (some: typeof own) => some.reduce((all, { weight }) => all + weight, 0)
        return { total: sum(own), well: sum(own.filter(({ isWell }) => isWell)) }
      })
      if (tiers.every(({ well }) => well === 0)) return
      const expected = envoy(tiers)
      const parts = partsOf(countPicks(bed.balancer, 2000))
      // Seven standard deviations of 2,000 draws, and some draws for loads so small that there is no such thing.
      for (const [at, load] of expected.entries()) {
        const allowed = load === 0 || load === 1 ? 1e-9 : 7 * Math.sqrt((load * (1 - load)) / 2000) + 0.004
        assert.ok(Math.abs((parts[at] ?? 0) - load) <= allowed, JSON.stringify({ at, load, parts }))
      }
    }),
    { numRuns: 60 },
  )
})
