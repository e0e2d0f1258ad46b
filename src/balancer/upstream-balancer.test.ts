import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Outcome, PickedTarget } from './contract.ts'
import {
  FakeResolver,
  aBalancer,
  aTarget,
  anUpstream,
  countPicks,
  found,
  foundSrv,
  missing,
  pickNow,
  refusalOf,
} from './testing.ts'

const ERROR: Outcome = { type: 'status', status: 500 }
const OK: Outcome = { type: 'status', status: 200 }
const REFUSED: Outcome = { type: 'tcp_failure' }
const FAILS_ONCE = { passive: { unhealthy: { http_failures: 1, tcp_failures: 1 } } }

test('literal targets are known at once and share by weight, weight 0 gets nothing', () => {
  const { balancer } = aBalancer(anUpstream(), [
    aTarget('10.0.0.1:80', 100),
    aTarget('10.0.0.2:80', 200),
    aTarget('[fd00::1]:80', 100),
    aTarget('10.0.0.4:80', 0),
  ])
  assert.deepEqual(countPicks(balancer, 40), { '10.0.0.1:80': 10, '10.0.0.2:80': 20, 'fd00::1:80': 10 })
})

test('a picked target has its address without and its name with brackets', () => {
  const { balancer } = aBalancer(anUpstream(), [aTarget('[fd00::1]:80')])
  assert.partialDeepStrictEqual(pickNow(balancer), { ip: 'fd00::1', port: 80, hostname: '[fd00::1]' })
})

test('an upstream without targets, or with weight 0 only, has none', () => {
  assert.match(refusalOf(aBalancer(anUpstream(), []).balancer.pick(null, [])), /^no_targets/)
  assert.match(refusalOf(aBalancer(anUpstream(), [aTarget('10.0.0.1:80', 0)]).balancer.pick(null, [])), /^no_targets/)
})

test('every address of a name gets the full weight of the target, and its name', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1', '10.0.0.2', '10.0.0.2']))
  const { balancer } = aBalancer(anUpstream(), [aTarget('web.test:8080'), aTarget('10.0.0.9:80')], { resolver })
  assert.deepEqual(countPicks(balancer, 30), { '10.0.0.1:8080': 10, '10.0.0.2:8080': 10, '10.0.0.9:80': 10 })
  const named = Array.from({ length: 3 }, () => pickNow(balancer).hostname).toSorted()
  assert.deepEqual(named, ['10.0.0.9', 'web.test', 'web.test'])
})

test('SRV records bring their own weights and ports, port 0 is that of the target', () => {
  const resolver = new FakeResolver()
  resolver.answers.set(
    'svc.test',
    foundSrv([
      { ip: '10.0.0.1', port: 9001, weight: 30 },
      { ip: '10.0.0.2', port: 0, weight: 10 },
    ]),
  )
  const { balancer } = aBalancer(anUpstream(), [aTarget('svc.test:8000', 1), aTarget('10.0.0.9:80', 40)], { resolver })
  assert.deepEqual(countPicks(balancer, 80), { '10.0.0.1:9001': 30, '10.0.0.2:8000': 10, '10.0.0.9:80': 40 })
})

test('addresses behind one SRV record share its weight, and two records of one address add up', () => {
  const resolver = new FakeResolver()
  resolver.answers.set(
    'svc.test',
    foundSrv([
      { ip: '10.0.0.1', port: 1, weight: 10 / 3 },
      { ip: '10.0.0.2', port: 1, weight: 10 / 3 },
      { ip: '10.0.0.3', port: 1, weight: 10 / 3 },
      { ip: '10.0.0.3', port: 1, weight: 20 },
    ]),
  )
  const { balancer } = aBalancer(anUpstream({}, FAILS_ONCE), [aTarget('svc.test:8000', 1)], { resolver })
  const counts = countPicks(balancer, 900)
  assert.ok(
    Math.abs(counts['10.0.0.1:1']! - 100) <= 2 && Math.abs(counts['10.0.0.3:1']! - 700) <= 2,
    JSON.stringify(counts),
  )
  assert.deepEqual(balancer.report().targets[0]!.data.weight, { total: 30, available: 30, unavailable: 0 })
})

test('a target of weight 0 gets nothing whatever its SRV records say', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('svc.test', foundSrv([{ ip: '10.0.0.1', weight: 30 }]))
  const { balancer } = aBalancer(anUpstream(), [aTarget('svc.test:80', 0), aTarget('10.0.0.9:80')], { resolver })
  assert.deepEqual(countPicks(balancer, 5), { '10.0.0.9:80': 5 })
})

test('use_srv_name makes the name of the record the host', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('svc.test', foundSrv([{ ip: '10.0.0.1', srvName: 'pod-1.svc.test' }]))
  const targets = [aTarget('svc.test:80')]
  const { balancer } = aBalancer(anUpstream(), targets, { resolver })
  assert.equal(pickNow(balancer).hostname, 'svc.test')
  balancer.update(anUpstream({ use_srv_name: true }), targets)
  assert.equal(pickNow(balancer).hostname, 'pod-1.svc.test')
})

test('the first pick waits for a name, but not while another target can be used', async () => {
  const waiting = aBalancer(anUpstream(), [aTarget('web.test:80')])
  const pick = waiting.balancer.pick(null, [])
  assert.ok(pick instanceof Promise)
  waiting.resolver.settle('web.test', found(['10.0.0.1']))
  assert.partialDeepStrictEqual(await pick, { ok: true, target: { ip: '10.0.0.1' } })

  const other = aBalancer(anUpstream(), [aTarget('web.test:80'), aTarget('10.0.0.9:80')])
  assert.equal(pickNow(other.balancer).ip, '10.0.0.9')
  other.resolver.settle('web.test', found(['10.0.0.1']))
  await Promise.resolve()
  assert.deepEqual(countPicks(other.balancer, 4), { '10.0.0.1:80': 2, '10.0.0.9:80': 2 })
})

test('a pick that waits goes on waiting until some name has an address or all are known', async () => {
  const { balancer, resolver } = aBalancer(anUpstream(), [aTarget('a.test:80'), aTarget('b.test:80')])
  const first = balancer.pick(null, [])
  resolver.settle('a.test', missing())
  resolver.settle('b.test', found(['10.0.0.2']))
  assert.partialDeepStrictEqual(await first, { ok: true, target: { ip: '10.0.0.2' } })

  const failing = aBalancer(anUpstream(), [aTarget('a.test:80')])
  const second = failing.balancer.pick(null, [])
  failing.resolver.settle('a.test', missing())
  const refused = refusalOf(await second)
  assert.equal(refused, 'no_targets: upstream up.test has no addresses: a.test: dns server error: 3 name error')
})

test('a name is asked for again when its answer has expired, and the addresses follow', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1'], { expiresAtMs: 5000 }))
  const { balancer, clock } = aBalancer(anUpstream(), [aTarget('web.test:80')], { resolver })
  for (let i = 0; i < 10; i++) pickNow(balancer)
  assert.equal(resolver.asked.length, 1)
  clock.now = 5000
  resolver.answers.set('web.test', found(['10.0.0.2'], { expiresAtMs: 9000 }))
  assert.equal(pickNow(balancer).ip, '10.0.0.2')
  assert.equal(resolver.asked.length, 2)
})

test('a stale answer is looked at again ten times a second at most', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1'], { expiresAtMs: 0 }))
  const { balancer, clock } = aBalancer(anUpstream(), [aTarget('web.test:80')], { resolver })
  for (let i = 0; i < 50; i++) pickNow(balancer)
  assert.equal(resolver.asked.length, 1)
  clock.now += 100
  pickNow(balancer)
  assert.equal(resolver.asked.length, 2)
})

test('an upstream without traffic is kept up to date by refresh', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1'], { expiresAtMs: 2000 }))
  const { balancer, clock } = aBalancer(anUpstream(), [aTarget('web.test:80')], { resolver })
  resolver.answers.set('web.test', found(['10.0.0.2']))
  clock.now = 2000
  balancer.refresh()
  assert.deepEqual(
    balancer.addresses().map(({ ip }) => ip),
    ['10.0.0.2'],
  )
})

test('addresses that stay keep their object, health and load when others come and go', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1', '10.0.0.2'], { expiresAtMs: 2000 }))
  const { balancer, clock } = aBalancer(anUpstream({}, FAILS_ONCE), [aTarget('web.test:80')], { resolver })
  const first = balancer.addresses().find(({ ip }) => ip === '10.0.0.1')!
  balancer.started(first)
  balancer.ended(first, ERROR, 5)
  resolver.answers.set('web.test', found(['10.0.0.3', '10.0.0.1']))
  clock.now = 2000
  assert.deepEqual(countPicks(balancer, 4), { '10.0.0.3:80': 4 })
  assert.equal(
    balancer.addresses().find(({ ip }) => ip === '10.0.0.1'),
    first,
  )
})

test('a name that fails loses its addresses only, until it works again', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1'], { expiresAtMs: 2000 }))
  const { balancer, clock } = aBalancer(anUpstream(), [aTarget('web.test:80'), aTarget('10.0.0.9:80')], { resolver })
  resolver.answers.set('web.test', missing('dns server error: 3 name error', 3000))
  clock.now = 2000
  assert.deepEqual(countPicks(balancer, 4), { '10.0.0.9:80': 4 })
  assert.equal(balancer.report().targets[0]!.health, 'DNS_ERROR')
  resolver.answers.set('web.test', found(['10.0.0.2']))
  clock.now = 3000
  assert.deepEqual(countPicks(balancer, 4), { '10.0.0.2:80': 2, '10.0.0.9:80': 2 })
})

test('failures take an address out, and the upstream when none is left', () => {
  const { balancer, changes } = aBalancer(anUpstream({}, FAILS_ONCE), [aTarget('10.0.0.1:80'), aTarget('10.0.0.2:80')])
  const [one, two] = balancer.addresses() as [PickedTarget, PickedTarget]
  balancer.started(one)
  balancer.ended(one, REFUSED, 1)
  assert.deepEqual(countPicks(balancer, 4), { '10.0.0.2:80': 4 })
  balancer.started(two)
  balancer.ended(two, ERROR, 1)
  assert.match(refusalOf(balancer.pick(null, [])), /^all_unhealthy/)
  const { id: upstreamId, name: upstream } = anUpstream()
  const told = { upstreamId, upstream, port: 80, isHealthy: false, cause: 'request' }
  assert.deepEqual(changes, [
    { ...told, target: '10.0.0.1:80', ip: '10.0.0.1' },
    { ...told, target: '10.0.0.2:80', ip: '10.0.0.2' },
  ])
})

test('at or below the threshold the whole upstream is down', () => {
  const targets = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80'].map((target) => aTarget(target))
  const { balancer } = aBalancer(anUpstream({}, { ...FAILS_ONCE, threshold: 75 }), targets)
  const [first] = balancer.addresses()
  balancer.ended(first!, ERROR, 1)
  assert.match(refusalOf(balancer.pick(null, [])), /^all_unhealthy/)
  balancer.update(anUpstream({}, { ...FAILS_ONCE, threshold: 74 }), targets)
  assert.ok(pickNow(balancer))
})

test('without health checks failures change nothing', () => {
  const { balancer } = aBalancer(anUpstream(), [aTarget('10.0.0.1:80')])
  for (let i = 0; i < 10; i++) balancer.ended(pickNow(balancer), REFUSED, 1)
  assert.ok(pickNow(balancer))
})

test('probes count by the active rules and bring an address back', () => {
  const checks = { ...FAILS_ONCE, active: { healthy: { successes: 2, interval: 1 }, unhealthy: { timeouts: 1 } } }
  const { balancer, changes } = aBalancer(anUpstream({}, checks), [aTarget('10.0.0.1:80')])
  const [address] = balancer.addresses() as [PickedTarget]
  balancer.probed(address, { type: 'timeout' })
  assert.match(refusalOf(balancer.pick(null, [])), /^all_unhealthy/)
  balancer.probed(address, OK)
  assert.match(refusalOf(balancer.pick(null, [])), /^all_unhealthy/)
  balancer.probed(address, OK)
  assert.ok(pickNow(balancer))
  assert.deepEqual(
    changes.map(({ isHealthy, cause }) => [isHealthy, cause]),
    [
      [false, 'probe'],
      [true, 'probe'],
    ],
  )
})

test('an operator sets a target or one of its addresses', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1', 'fd00::2']))
  const { balancer } = aBalancer(anUpstream({}, FAILS_ONCE), [aTarget('web.test:80')], { resolver })
  assert.equal(balancer.setHealth('web.test:80', '10.0.0.1:80', false), null)
  assert.deepEqual(countPicks(balancer, 2), { 'fd00::2:80': 2 })
  assert.equal(balancer.setHealth('web.test:80', '[fd00::2]:80', false), null)
  assert.match(refusalOf(balancer.pick(null, [])), /^all_unhealthy/)
  assert.equal(balancer.setHealth('web.test:80', null, true), null)
  assert.deepEqual(countPicks(balancer, 2), { '10.0.0.1:80': 1, 'fd00::2:80': 1 })
})

test('health that can not be set says why', () => {
  const { balancer } = aBalancer(anUpstream({}, FAILS_ONCE), [aTarget('10.0.0.1:80')])
  assert.equal(balancer.setHealth('10.0.0.2:80', null, true), 'upstream up.test has no target 10.0.0.2:80')
  assert.equal(balancer.setHealth('10.0.0.1:80', '10.0.0.9:80', true), 'target 10.0.0.1:80 has no address 10.0.0.9:80')
  assert.equal(aBalancer(anUpstream(), []).balancer.setHealth('x:1', null, true), 'no healthchecker found for up.test')
})

test('a target that is taken out and put back is as unhealthy as before', () => {
  const [one, two] = [aTarget('10.0.0.1:80'), aTarget('10.0.0.2:80')]
  const upstream = anUpstream({}, FAILS_ONCE)
  const { balancer } = aBalancer(upstream, [one, two])
  balancer.setHealth('10.0.0.1:80', null, false)
  balancer.update(upstream, [two])
  balancer.update(upstream, [one, two])
  assert.deepEqual(countPicks(balancer, 4), { '10.0.0.2:80': 4 })
})

test('another balancer on the same table sees the same health', () => {
  const upstream = anUpstream({}, FAILS_ONCE)
  const targets = [aTarget('10.0.0.1:80'), aTarget('10.0.0.2:80')]
  const one = aBalancer(upstream, targets)
  const other = aBalancer(upstream, targets, { health: one.health })
  one.balancer.setHealth('10.0.0.1:80', null, false)
  assert.deepEqual(countPicks(other.balancer, 4), { '10.0.0.2:80': 4 })
})

test('health is shown in the words of Kong', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('gone.test', missing())
  const targets = [
    aTarget('10.0.0.1:80'),
    aTarget('[fd00::2]:80', 50),
    aTarget('gone.test:80'),
    aTarget('10.0.0.4:80', 0),
  ]
  const { balancer } = aBalancer(anUpstream({}, FAILS_ONCE), targets, { resolver })
  balancer.setHealth('[fd00::2]:80', null, false)
  const report = balancer.report()
  assert.deepEqual(
    report.targets.map(({ target, health }) => [target, health]),
    [
      ['10.0.0.1:80', 'HEALTHY'],
      ['[fd00::2]:80', 'UNHEALTHY'],
      ['gone.test:80', 'DNS_ERROR'],
      ['10.0.0.4:80', 'HEALTHCHECKS_OFF'],
    ],
  )
  assert.deepEqual(report.targets[1]!.data, {
    host: '[fd00::2]',
    port: 80,
    dns: 'AAAA',
    nodeWeight: 50,
    weight: { total: 50, available: 0, unavailable: 50 },
    addresses: [{ ip: '[fd00::2]', port: 80, weight: 50, health: 'UNHEALTHY' }],
  })
  assert.equal(report.targets[2]!.data.dns, 'dns server error: 3 name error')
  assert.equal(report.balancer.health, 'HEALTHY')
  assert.deepEqual(report.balancer.details!.weight, { total: 150, available: 100, unavailable: 50 })
  assert.deepEqual(report.balancer.details!.hosts[0]!.addresses, [
    { ip: '10.0.0.1', port: 80, weight: 100, healthy: true },
  ])
  assert.deepEqual(structuredClone(report), report, 'can go to another thread')
})

test('without health checks the report says so', () => {
  const { balancer } = aBalancer(anUpstream(), [aTarget('10.0.0.1:80')])
  assert.equal(balancer.report().targets[0]!.health, 'HEALTHCHECKS_OFF')
  assert.deepEqual(balancer.report().balancer, { health: 'HEALTHCHECKS_OFF' })
})

test('the algorithm can be changed while requests are under way', () => {
  const targets = [aTarget('10.0.0.1:80'), aTarget('10.0.0.2:80')]
  const { balancer } = aBalancer(anUpstream(), targets)
  const first = pickNow(balancer)
  balancer.started(first)
  balancer.update(anUpstream({ algorithm: 'least-connections' }), targets)
  assert.notEqual(pickNow(balancer), first)
  balancer.ended(first, OK, 3)
})

test('only consistent hashing wants a value', () => {
  const hashing = { algorithm: 'consistent-hashing', hash_on: 'ip' } as const
  const { balancer } = aBalancer(anUpstream(hashing), [aTarget('10.0.0.1:80')])
  assert.equal(balancer.needsHash, true)
  balancer.update(anUpstream({ ...hashing, algorithm: 'latency' }), [])
  assert.equal(balancer.needsHash, false)
})

test('a closed balancer asks no more, and serves what is under way', () => {
  const resolver = new FakeResolver()
  resolver.answers.set('web.test', found(['10.0.0.1'], { expiresAtMs: 2000 }))
  const { balancer, clock } = aBalancer(anUpstream(), [aTarget('web.test:80')], { resolver })
  balancer.close()
  balancer.close()
  clock.now = 10_000
  assert.equal(pickNow(balancer).ip, '10.0.0.1')
  assert.equal(resolver.asked.length, 1)
})

test('closing ends a pick that waits', async () => {
  const { balancer } = aBalancer(anUpstream(), [aTarget('web.test:80')])
  const pick = balancer.pick(null, [])
  balancer.close()
  assert.match(refusalOf(await pick), /^no_targets/)
})

test('whatever targets come and go, picks are by the weights of those that are there', () => {
  const names = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80', '10.0.0.5:80']
  const list = fc.uniqueArray(
    fc.record({ target: fc.constantFrom(...names), weight: fc.integer({ min: 0, max: 4 }) }),
    { selector: ({ target }) => target },
  )
  fc.assert(
    fc.property(fc.array(list, { minLength: 1, maxLength: 5 }), fc.nat(), (steps, seed) => {
      const { balancer } = aBalancer(anUpstream(), [], { seed })
      for (const step of steps) {
        balancer.update(
          anUpstream(),
          step.map(({ target, weight }) => aTarget(target, weight)),
        )
        for (let i = 0; i < 7; i++) void balancer.pick(null, [])
      }
      const last = steps.at(-1)!
      const turn = last.reduce((sum, { weight }) => sum + weight, 0)
      if (turn === 0) return assert.match(refusalOf(balancer.pick(null, [])), /^no_targets/)
      const counts = countPicks(balancer, turn * 20)
      for (const { target, weight } of last) {
        assert.ok(Math.abs((counts[target] ?? 0) - weight * 20) <= names.length, `${target}: ${JSON.stringify(counts)}`)
        if (weight === 0) assert.equal(counts[target], undefined)
      }
    }),
  )
})

test('the same randomness gives the same picks', () => {
  const targets = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80'].map((target) => aTarget(target))
  const order = (seed: number): string[] => {
    const { balancer } = aBalancer(anUpstream(), targets, { seed })
    return Array.from({ length: 8 }, () => pickNow(balancer).ip)
  }
  assert.deepEqual(order(5), order(5))
})
