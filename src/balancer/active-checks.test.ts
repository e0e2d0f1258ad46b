import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ActiveChecks, type CheckPlan, type UpstreamChecks } from './active-checks.ts'
import type { Address } from './address.ts'
import type { Outcome, PickedTarget } from './contract.ts'
import { compileHealthRules, countOutcome, setHealth } from './health.ts'
import { anAddress, anUpstream, seededRandom } from './testing.ts'

const OK: Outcome = { type: 'status', status: 200 }
const ERROR: Outcome = { type: 'status', status: 500 }
const TICK_MS = 100

interface Asked {
  readonly ip: string
  readonly atMs: number
  readonly signal: AbortSignal
}

/** Checks on a clock of their own; `probe` answers, by default at once and well. */
function bed(probe: (ip: string, atMs: number) => Promise<Outcome> | Outcome = () => OK, concurrency = 100) {
  const clock = { now: 0 }
  const asked: Asked[] = []
  const results: (Outcome | null)[] = []
  const running = { now: 0, most: 0 }
  const checks = new ActiveChecks({
    nowMs: () => clock.now,
    random: seededRandom(1),
    concurrency,
    onProbed: (outcome) => results.push(outcome),
  })
  const plan = (change: Partial<CheckPlan> = {}): CheckPlan => ({
    healthyMs: 1000,
    unhealthyMs: 1000,
    timeoutMs: 500,
    concurrency: 10,
    probe: ({ ip }: PickedTarget, signal) => {
      asked.push({ ip, atMs: clock.now, signal })
      running.most = Math.max(running.most, ++running.now)
      signal.addEventListener('abort', () => running.now--)
      const answer = probe(ip, clock.now)
      return answer instanceof Promise ? answer : Promise.resolve(answer)
    },
    ...change,
  })
  const { active: rules } = compileHealthRules(
    anUpstream(
      {},
      {
        active: {
          healthy: { successes: 1, interval: 1 },
          unhealthy: { http_failures: 1, tcp_failures: 1, timeouts: 1 },
        },
      },
    ).healthchecks,
  )
  const upstream = (change: Partial<CheckPlan> = {}): UpstreamChecks => {
    const one: UpstreamChecks = checks.upstream(plan(change), (address, outcome) => {
      if (countOutcome(address.health, rules, outcome)) one.healthChanged(address)
    })
    return one
  }
  /** Lets the time pass tick by tick. */
  const pass = async (ms: number): Promise<void> => {
    for (const until = clock.now + ms; clock.now < until;) {
      clock.now += TICK_MS
      checks.tick()
      await new Promise(setImmediate)
    }
  }
  return { clock, checks, asked, results, running, plan, upstream, pass }
}

const never = () => new Promise<Outcome>(() => {})

test('an address is probed within a second, and then at the interval for its state', async () => {
  const { upstream, asked, pass } = bed((_ip, atMs) => (atMs > 5000 ? ERROR : OK))
  upstream({ healthyMs: 2000, unhealthyMs: 500 }).added(anAddress('a'))
  await pass(10_000)
  const times = asked.map(({ atMs }) => atMs)
  assert.ok(times[0]! <= 1000)
  const gaps = times.map((at, i) => at - (times[i - 1] ?? at)).slice(1)
  const turn = times.findIndex((at) => at > 5000)
  assert.ok(
    gaps.slice(0, turn).every((gap) => gap >= 2000 && gap <= 2000 + TICK_MS),
    gaps.join(),
  )
  assert.ok(
    gaps.slice(turn).every((gap) => gap >= 500 && gap <= 500 + TICK_MS),
    gaps.join(),
  )
})

test('without an interval for its state an address is left alone', async () => {
  const { upstream, asked, pass } = bed()
  const checks = upstream({ healthyMs: 0, unhealthyMs: 700 })
  const address = anAddress('a')
  checks.added(address)
  await pass(5000)
  assert.equal(asked.length, 0)
  setHealth(address.health, false)
  checks.healthChanged(address)
  await pass(800)
  assert.equal(asked.length, 1)
  await pass(5000)
  assert.equal(asked.length, 1, 'it is healthy again')
})

test('a target that recovers is back within an interval and a second, at any moment', async () => {
  for (let recovery = 3000; recovery < 5000; recovery += 130) {
    const { upstream, pass, clock } = bed((_ip, atMs) => (atMs > 1500 && atMs < recovery ? ERROR : OK))
    const address = anAddress('a')
    upstream().added(address)
    await pass(2900)
    assert.equal(address.isHealthy, false)
    while (!address.isHealthy) await pass(TICK_MS)
    assert.ok(clock.now - recovery <= 2000, `recovered at ${recovery}, back at ${clock.now}`)
  }
})

test('a probe that never answers is given up, counts as a time-out, and holds up nothing', async () => {
  const { upstream, asked, results, pass, checks, clock } = bed((ip) => (ip === 'stuck' ? never() : OK))
  const stuck = anAddress('stuck')
  const one = upstream({ concurrency: 1 })
  one.added(stuck)
  one.added(anAddress('fine'))
  await pass(10_000)
  assert.equal(stuck.isHealthy, false)
  assert.ok(results.some((outcome) => outcome?.type === 'timeout'))
  assert.ok(asked.filter(({ ip }) => ip === 'stuck').length > 3, 'it is asked again')
  assert.ok(asked.filter(({ ip }) => ip === 'fine').length > 3)
  assert.ok(asked.find(({ ip }) => ip === 'stuck')!.signal.aborted)
  assert.ok(clock.now - checks.lastRunMs < 2500)
})

test('a probe that is broken says nothing about its target, shows in the heartbeat, and is tried again', async () => {
  const broken = {
    throws: () => {
      throw new Error('broken')
    },
    rejects: () => Promise.reject(new Error('broken')),
  }
  for (const probe of Object.values(broken)) {
    let isBroken = true
    const { upstream, pass, asked, results, checks, clock } = bed(() => (isBroken ? probe() : OK))
    const address = anAddress('a')
    upstream().added(address)
    await pass(5000)
    assert.equal(address.isHealthy, true)
    assert.ok(asked.length >= 4)
    assert.ok(results.every((outcome) => outcome === null))
    assert.equal(checks.lastRunMs, 0)
    isBroken = false
    await pass(2000)
    assert.ok(clock.now - checks.lastRunMs <= 1100)
  }
})

test('probes of an upstream and of the node run no more at a time than allowed, and those that wait are known to be late', async () => {
  const { upstream, pass, running, checks, asked } = bed(never, 5)
  const [one, two] = [upstream({ concurrency: 3 }), upstream({ concurrency: 3 })]
  for (let i = 0; i < 10; i++) {
    one.added(anAddress(`a${i}`))
    two.added(anAddress(`b${i}`))
  }
  await pass(1000)
  assert.equal(running.most, 5)
  await pass(1000)
  assert.ok(checks.overdueMs() >= 1000)
  await pass(20_000)
  assert.equal(running.most, 5)
  assert.equal(new Set(asked.map(({ ip }) => ip)).size, 20, 'all have their turn')
})

test('an address that is gone is probed no more, and what its probe still brings counts for nothing', async () => {
  const answer = Promise.withResolvers<Outcome>()
  const { upstream, pass, asked, results, checks, running } = bed(() => answer.promise)
  const address = anAddress('a')
  const one = upstream()
  one.added(address)
  await pass(1000)
  one.removed(address)
  assert.equal(asked[0]!.signal.aborted, true)
  answer.resolve(ERROR)
  await pass(3000)
  assert.deepEqual([asked.length, results.length, running.now, address.isHealthy], [1, 0, 0, true])
  const other = anAddress('b')
  one.added(other)
  await pass(1000)
  checks.close()
  await pass(3000)
  assert.equal(asked.length, 2)
})

test('another plan holds from the next probe on', async () => {
  const { upstream, pass, asked, plan } = bed()
  const one = upstream({ healthyMs: 60_000 })
  one.added(anAddress('a'))
  await pass(5000)
  assert.equal(asked.length, 1)
  one.plan = plan({ healthyMs: 1000 })
  await pass(5000)
  assert.ok(asked.length >= 5)
  one.plan = plan({ healthyMs: 0 })
  const { length } = asked
  await pass(5000)
  assert.equal(asked.length, length)
})

test('with five failures in a row as the limit nothing flaps at 5 % random errors, and with 60 % all are out', () => {
  const checks = {
    active: { healthy: { successes: 2, interval: 1 }, unhealthy: { http_failures: 5, tcp_failures: 5, timeouts: 5 } },
  }
  const { active: rules } = compileHealthRules(anUpstream({}, checks).healthchecks)
  for (const seed of [1, 2, 3, 4, 5]) {
    const random = seededRandom(seed)
    const addresses: Address[] = Array.from({ length: 10 }, (_, i) => anAddress(`${i}`))
    let changes = 0
    const round = (share: number) => {
      for (const { health } of addresses) if (countOutcome(health, rules, random() < share ? ERROR : OK)) changes++
    }
    for (let i = 0; i < 5000; i++) round(0.05)
    assert.equal(changes, 0)
    const wereOut = new Set<Address>()
    for (let i = 0; i < 200; i++) {
      round(0.6)
      for (const address of addresses) if (!address.isHealthy) wereOut.add(address)
    }
    assert.equal(wereOut.size, 10)
  }
})
