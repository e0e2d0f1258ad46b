import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Outcome, PickedTarget } from './contract.ts'
import { aBalancer, aTarget, anUpstream, pickNow, refusalOf } from './testing.ts'

const ERROR: Outcome = { type: 'status', status: 500 }
const FAILS_ONCE = { passive: { unhealthy: { http_failures: 1, tcp_failures: 1 } } }

test('in panic all targets get requests, until enough are healthy again', () => {
  const targets = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80'].map((target) => aTarget(target))
  const upstream = anUpstream({ resilience: { panic: true } }, { ...FAILS_ONCE, threshold: 50 })
  for (const algorithm of ['round-robin', 'least-connections', 'latency', 'consistent-hashing'] as const) {
    const { balancer, panics } = aBalancer({ ...upstream, algorithm }, targets)
    const picked = () => new Set(Array.from({ length: 200 }, (_, i) => pickNow(balancer, `${i}`).ip)).size
    balancer.setHealth('10.0.0.1:80', null, false)
    assert.deepEqual([picked(), balancer.isPanicking], [3, false])
    balancer.setHealth('10.0.0.2:80', null, false)
    assert.deepEqual([picked(), balancer.isPanicking], [4, true])
    assert.deepEqual(
      balancer.report().targets.map(({ health }) => health),
      ['UNHEALTHY', 'UNHEALTHY', 'HEALTHY', 'HEALTHY'],
    )
    assert.partialDeepStrictEqual(balancer.report().balancer, { health: 'UNHEALTHY', panic: true })
    balancer.setHealth('10.0.0.3:80', null, false)
    balancer.setHealth('10.0.0.4:80', null, false)
    assert.equal(picked(), 4, 'also with none')
    balancer.setHealth('10.0.0.3:80', null, true)
    balancer.setHealth('10.0.0.4:80', null, true)
    balancer.setHealth('10.0.0.1:80', null, true)
    assert.deepEqual([picked(), balancer.isPanicking], [3, false])
    assert.equal('panic' in balancer.report().balancer, false)
    assert.deepEqual(panics, [true, false])
  }
})

test('panic can be chosen and given up while too few are healthy', () => {
  const targets = [aTarget('10.0.0.1:80')]
  const { balancer } = aBalancer(anUpstream({}, FAILS_ONCE), targets)
  balancer.setHealth('10.0.0.1:80', null, false)
  assert.match(refusalOf(balancer.pick(null, [])), /^all_unhealthy/)
  balancer.update(anUpstream({ resilience: { panic: true } }, FAILS_ONCE), targets)
  assert.ok(pickNow(balancer))
  balancer.update(anUpstream({}, FAILS_ONCE), targets)
  assert.match(refusalOf(balancer.pick(null, [])), /^all_unhealthy/)
  const empty = aBalancer(anUpstream({ resilience: { panic: true } }), []).balancer
  assert.match(refusalOf(empty.pick(null, [])), /^no_targets/)
})

/** How much of an upstream is looked at. */
function counting(balancer: { readonly addresses: () => readonly PickedTarget[] }): { looked: number } {
  const counts = { looked: 0 }
  for (const address of balancer.addresses()) {
    let isUsable = true
    Object.defineProperty(address, 'isUsable', {
      get: () => (counts.looked++, isUsable),
      set: (value: boolean) => {
        counts.looked++
        isUsable = value
      },
    })
    let weight = 100
    Object.defineProperty(address, 'weight', {
      get: () => (counts.looked++, weight),
      set: (value: number) => {
        counts.looked++
        weight = value
      },
    })
  }
  return counts
}

test('a change of one target or of its health looks at no other, whatever the algorithm', () => {
  const names = Array.from({ length: 5000 }, (_, i) => `10.1.${i >> 8}.${i & 255}:80`)
  for (const algorithm of ['round-robin', 'least-connections', 'latency', 'consistent-hashing'] as const) {
    const upstream = anUpstream({ algorithm }, FAILS_ONCE)
    const { balancer, resolver } = aBalancer(
      upstream,
      names.map((name) => aTarget(name)),
    )
    const counts = counting(balancer)
    const asked = resolver.asked.length
    const [first] = balancer.addresses()
    balancer.ended(first!, ERROR, 1)
    balancer.setHealth(names[1]!, null, false)
    balancer.setHealth(names[1]!, null, true)
    balancer.changeTargets([aTarget(names[2]!, 7)], [names[3]!])
    balancer.changeTargets([aTarget('new.test:80'), aTarget('10.2.0.1:80')], [])
    assert.ok(counts.looked < 50, `${algorithm} looked ${counts.looked} times at targets`)
    assert.deepEqual(resolver.asked.slice(asked), ['new.test'])
    assert.equal(balancer.addresses().length, 5000)
  }
})

test('changes one by one lead to the same as all at once', () => {
  const names = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80']
  const list = fc.uniqueArray(
    fc.record({ target: fc.constantFrom(...names), weight: fc.integer({ min: 0, max: 3 }) }),
    { selector: ({ target }) => target },
  )
  const flips = fc.array(fc.tuple(fc.constantFrom(...names), fc.boolean()), { maxLength: 4 })
  fc.assert(
    fc.property(fc.array(fc.tuple(list, flips), { minLength: 1, maxLength: 6 }), (steps) => {
      const { balancer, health } = aBalancer(anUpstream({}, { ...FAILS_ONCE, threshold: 30 }), [])
      let before: string[] = []
      for (const [targets, changes] of steps) {
        const now = targets.map(({ target }) => target)
        balancer.changeTargets(
          targets.map(({ target, weight }) => aTarget(target, weight)),
          before.filter((name) => !now.includes(name)),
        )
        before = now
        for (const [target, isHealthy] of changes) balancer.setHealth(target, null, isHealthy)
      }
      const atOnce = aBalancer(
        anUpstream({}, { ...FAILS_ONCE, threshold: 30 }),
        steps.at(-1)![0].map(({ target, weight }) => aTarget(target, weight)),
        { health },
      )
      const sorted = (report: ReturnType<typeof balancer.report>) => ({
        health: report.balancer.health,
        weight: report.balancer.details!.weight,
        targets: report.targets.toSorted((a, b) => (a.target < b.target ? -1 : 1)),
      })
      assert.deepEqual(sorted(balancer.report()), sorted(atOnce.balancer.report()))
    }),
  )
})
