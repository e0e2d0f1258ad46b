import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome, PickedTarget } from './contract.ts'
import { aBalancer, aResilience, aTarget, anUpstream, countPicks, pickNow, refusalOf, seededRandom } from './testing.ts'

const ERROR: Outcome = { type: 'status', status: 500 }
const OK: Outcome = { type: 'status', status: 200 }
const TARGETS = [aTarget('10.0.0.1:80'), aTarget('10.0.0.2:80')]
const BREAKER = {
  error_percent: 50,
  slow_percent: 0,
  slow_after: 1000,
  window: 10,
  min_requests: 20,
  open_for: 5,
  trials: 3,
}

function breaking(change: Partial<typeof BREAKER> = {}, targets = TARGETS) {
  const made = aBalancer(
    anUpstream({ resilience: aResilience({ circuit_breaker: { ...BREAKER, ...change } }) }),
    targets,
  )
  const { balancer } = made
  const send = (target: PickedTarget, outcome: Outcome, latencyMs = 1): void => {
    balancer.started(target)
    balancer.ended(target, outcome, latencyMs)
  }
  const circuit = () => balancer.report().targets.map(({ data }) => data.addresses[0]!.circuit)
  return { ...made, send, circuit }
}

test('a circuit opens when its share of failures is reached, not before there are enough requests', () => {
  const { balancer, send, circuit } = breaking()
  const [one] = balancer.addresses() as [PickedTarget]
  for (let i = 0; i < 19; i++) send(one, ERROR)
  assert.deepEqual(circuit(), ['closed', 'closed'])
  send(one, ERROR)
  assert.deepEqual(circuit(), ['open', 'closed'])
  assert.deepEqual(countPicks(balancer, 10), { '10.0.0.2:80': 10 })
  assert.equal(balancer.openCircuits, 1)
})

test('failures that are long ago do not count', () => {
  const { balancer, send, circuit, clock } = breaking()
  const [one] = balancer.addresses() as [PickedTarget]
  for (let i = 0; i < 19; i++) send(one, ERROR)
  clock.now += 11_000
  for (let i = 0; i < 19; i++) send(one, ERROR)
  assert.equal(circuit()[0], 'closed')
})

test('after a while so many trials pass, and the circuit closes when all are well', () => {
  const { balancer, send, circuit, clock } = breaking()
  const [one] = balancer.addresses() as [PickedTarget]
  for (let i = 0; i < 20; i++) send(one, { type: 'timeout' })
  clock.now += 4999
  balancer.refresh()
  assert.equal(circuit()[0], 'open')
  clock.now += 1
  balancer.refresh()
  assert.equal(circuit()[0], 'half_open')
  const trials: PickedTarget[] = []
  for (let i = 0; i < 50; i++) {
    const target = pickNow(balancer)
    balancer.started(target)
    if (target === one) trials.push(target)
  }
  assert.equal(trials.length, 3)
  for (const target of trials) balancer.ended(target, OK, 1)
  assert.equal(circuit()[0], 'closed')
  assert.ok(countPicks(balancer, 10)['10.0.0.1:80']! > 0)
})

test('a trial that fails opens it again; trials that never end are followed by others', () => {
  const { balancer, send, circuit, clock } = breaking()
  const [one] = balancer.addresses() as [PickedTarget]
  for (let i = 0; i < 20; i++) send(one, ERROR)
  clock.now += 5000
  balancer.refresh()
  send(one, OK)
  send(one, ERROR)
  assert.equal(circuit()[0], 'open')
  clock.now += 5000
  balancer.refresh()
  for (let i = 0; i < 3; i++) balancer.started(one)
  assert.deepEqual(countPicks(balancer, 4), { '10.0.0.2:80': 4 })
  clock.now += 5000
  balancer.refresh()
  assert.ok(countPicks(balancer, 4)['10.0.0.1:80']! > 0)
})

test('slow requests open it where that is wanted', () => {
  const { balancer, send, circuit } = breaking({ slow_percent: 30, slow_after: 100 })
  const [one] = balancer.addresses() as [PickedTarget]
  for (let i = 0; i < 15; i++) send(one, OK, 99)
  for (let i = 0; i < 6; i++) send(one, OK, 101)
  assert.equal(circuit()[0], 'closed')
  send(one, OK, 101)
  assert.equal(circuit()[0], 'open')
})

test('clients that go away open nothing, and at 5 % random errors nothing flaps', () => {
  const { balancer, send, circuit, clock } = breaking()
  const [one] = balancer.addresses() as [PickedTarget]
  for (let i = 0; i < 100; i++) send(one, { type: 'status', status: 499 })
  assert.equal(circuit()[0], 'closed')
  const random = seededRandom(5)
  for (let i = 0; i < 100_000; i++) {
    clock.now += 10
    send(one, random() < 0.05 ? ERROR : OK)
    if (balancer.openCircuits > 0) assert.fail(`opened at request ${i}`)
  }
})

test('with every circuit open requests are refused, as when no target is healthy', () => {
  const { balancer, send } = breaking({}, [aTarget('10.0.0.1:80')])
  const [one] = balancer.addresses() as [PickedTarget]
  for (let i = 0; i < 20; i++) send(one, ERROR)
  assert.match(refusalOf(balancer.pick(null, [])), /^all_unhealthy/)
})

test('a target that is new, or well again, comes to its share little by little', () => {
  const upstream = anUpstream(
    { resilience: aResilience({ slow_start: 10 }) },
    { passive: { unhealthy: { http_failures: 1 } } },
  )
  for (const algorithm of ['round-robin', 'least-connections'] as const) {
    const { balancer, clock } = aBalancer({ ...upstream, algorithm }, [aTarget('10.0.0.1:80')])
    const share = (): number => {
      const { balancer: of } = { balancer }
      const counts = { one: 0, two: 0 }
      const under: PickedTarget[] = []
      for (let i = 0; i < 110; i++) {
        const target = pickNow(of)
        counts[target.ip === '10.0.0.1' ? 'one' : 'two']++
        of.started(target)
        under.push(target)
      }
      for (const target of under) of.ended(target, OK, 1)
      return counts.two / counts.one
    }
    balancer.changeTargets([aTarget('10.0.0.2:80')], [])
    assert.ok(Math.abs(share() - 0.1) < 0.05, algorithm)
    clock.now += 5000
    balancer.refresh()
    assert.ok(Math.abs(share() - 0.5) < 0.1, algorithm)
    clock.now += 5000
    balancer.refresh()
    assert.ok(Math.abs(share() - 1) < 0.1, algorithm)
    balancer.setHealth('10.0.0.2:80', null, false)
    balancer.setHealth('10.0.0.2:80', null, true)
    assert.ok(share() < 0.2, algorithm)
    balancer.update({ ...upstream, algorithm, resilience: null }, [aTarget('10.0.0.1:80'), aTarget('10.0.0.2:80')])
    balancer.refresh()
    assert.ok(Math.abs(share() - 1) < 0.1, algorithm)
  }
})

test('targets that were there from the beginning have their share at once', () => {
  const { balancer } = aBalancer(anUpstream({ resilience: aResilience({ slow_start: 10 }) }), TARGETS)
  assert.deepEqual(countPicks(balancer, 10), { '10.0.0.1:80': 5, '10.0.0.2:80': 5 })
})

test('a change of weight while a target starts slowly keeps the sums', () => {
  const { balancer, clock } = aBalancer(anUpstream({ resilience: aResilience({ slow_start: 10 }) }), TARGETS)
  balancer.changeTargets([aTarget('10.0.0.3:80', 10)], [])
  balancer.changeTargets([aTarget('10.0.0.3:80', 200)], [])
  balancer.changeTargets([aTarget('10.0.0.3:80', 0)], [])
  assert.deepEqual(countPicks(balancer, 10), { '10.0.0.1:80': 5, '10.0.0.2:80': 5 })
  balancer.changeTargets([aTarget('10.0.0.3:80', 100)], [])
  clock.now += 20_000
  balancer.refresh()
  assert.deepEqual(countPicks(balancer, 9), { '10.0.0.1:80': 3, '10.0.0.2:80': 3, '10.0.0.3:80': 3 })
})

test('retries are a share of the requests, besides some at once', () => {
  const { balancer } = aBalancer(anUpstream({ resilience: aResilience({ retry_percent: 10 }) }), TARGETS)
  const granted = (tries: number): number =>
    Array.from({ length: tries }, () => balancer.takeRetry()).filter(Boolean).length
  assert.equal(granted(50), 10)
  for (let i = 0; i < 101; i++) pickNow(balancer)
  assert.equal(granted(50), 10)
  for (let i = 0; i < 101; i++) void balancer.pick(null, [pickNow(aBalancer(anUpstream(), TARGETS).balancer)])
  assert.equal(granted(50), 0, 'a second try earns nothing')
  for (let i = 0; i < 100_000; i++) pickNow(balancer)
  assert.equal(granted(1000), 100, 'no more is saved up than that')
  const { balancer: free } = aBalancer(anUpstream(), TARGETS)
  assert.ok(Array.from({ length: 1000 }, () => free.takeRetry()).every(Boolean))
})
