import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Outcome } from './contract.ts'
import { compileHealthRules, countOutcome, HealthState, isUsable, setHealth, type HealthStatus } from './health.ts'
import { anUpstream } from './testing.ts'

const OK: Outcome = { type: 'status', status: 200 }
const ERROR: Outcome = { type: 'status', status: 500 }
const OTHER: Outcome = { type: 'status', status: 418 }
const TCP: Outcome = { type: 'tcp_failure' }
const TIMEOUT: Outcome = { type: 'timeout' }

function passive(limits: { successes?: number; http_failures?: number; tcp_failures?: number; timeouts?: number }) {
  const { successes = 0, ...unhealthy } = limits
  return compileHealthRules(anUpstream({}, { passive: { healthy: { successes }, unhealthy } }).healthchecks)
}

function statusesAfter(limits: Parameters<typeof passive>[0], outcomes: readonly Outcome[]): HealthStatus[] {
  const state = new HealthState()
  const rules = passive(limits).passive
  return outcomes.map((outcome) => {
    countOutcome(state, rules, outcome)
    return state.status
  })
}

test('an address is out when a counter reaches its limit, and mostly healthy before', () => {
  assert.deepEqual(statusesAfter({ http_failures: 2 }, [ERROR, ERROR]), ['mostly_healthy', 'unhealthy'])
  assert.deepEqual(statusesAfter({ tcp_failures: 2 }, [TCP, TCP]), ['mostly_healthy', 'unhealthy'])
  assert.deepEqual(statusesAfter({ timeouts: 1 }, [TIMEOUT]), ['unhealthy'])
})

test('each kind of failure has its own counter', () => {
  assert.deepEqual(
    statusesAfter({ http_failures: 2, tcp_failures: 2, timeouts: 2 }, [ERROR, TCP, TIMEOUT, TCP]).at(-2),
    'mostly_healthy',
  )
  assert.deepEqual(
    statusesAfter({ http_failures: 2, tcp_failures: 2, timeouts: 2 }, [ERROR, TCP, TIMEOUT, TCP]).at(-1),
    'unhealthy',
  )
})

test('a limit of 0 never counts', () => {
  assert.deepEqual(statusesAfter({ tcp_failures: 1 }, [ERROR, ERROR, TIMEOUT]), ['healthy', 'healthy', 'healthy'])
})

test('statuses in no list count for nothing', () => {
  assert.deepEqual(statusesAfter({ http_failures: 1, successes: 1 }, [OTHER, OTHER]), ['healthy', 'healthy'])
})

test('a success clears the failures, and enough of them make the address healthy again', () => {
  const limits = { http_failures: 2, successes: 2 }
  assert.deepEqual(statusesAfter(limits, [ERROR, OK, ERROR, OK, OK]), [
    'mostly_healthy',
    'mostly_healthy',
    'mostly_healthy',
    'mostly_healthy',
    'healthy',
  ])
  assert.deepEqual(statusesAfter(limits, [ERROR, ERROR, OK, ERROR, OK, OK]), [
    'mostly_healthy',
    'unhealthy',
    'mostly_unhealthy',
    'mostly_unhealthy',
    'mostly_unhealthy',
    'healthy',
  ])
})

test('successes that do not count do not clear failures either, as in Kong', () => {
  assert.equal(statusesAfter({ http_failures: 2, successes: 0 }, [ERROR, OK, OK, ERROR]).at(-1), 'unhealthy')
})

test('a status in both lists is a success', () => {
  const checks = { passive: { healthy: { successes: 1, http_statuses: [500] }, unhealthy: { http_failures: 1 } } }
  const state = new HealthState()
  countOutcome(state, compileHealthRules(anUpstream({}, checks).healthchecks).passive, ERROR)
  assert.equal(state.status, 'healthy')
})

test('health set by hand begins with empty counters', () => {
  const state = new HealthState()
  const rules = passive({ http_failures: 2 }).passive
  countOutcome(state, rules, ERROR)
  assert.equal(setHealth(state, true), false)
  countOutcome(state, rules, ERROR)
  assert.equal(state.status, 'mostly_healthy')
  assert.equal(setHealth(state, false), true)
  assert.equal(isUsable(state), false)
})

test('health is kept when any failure counts or any probe runs', () => {
  assert.equal(passive({}).isOn, false)
  assert.equal(passive({ successes: 5 }).isOn, false)
  assert.equal(passive({ timeouts: 1 }).isOn, true)
  const probing = (type: 'http' | 'tcp') =>
    compileHealthRules(anUpstream({}, { active: { type, healthy: { interval: 5 } } }).healthchecks).isOn
  assert.equal(probing('http'), true)
  assert.equal(probing('tcp'), true)
})

/** The library's own way: one number with four counters of eight bits, and events. */
function librarysWay(limits: { successes: number; http: number; tcp: number; timeouts: number }) {
  const bits = { success: 0, http: 8, tcp: 16, timeout: 24 } as const
  let counters = 0n
  let status: HealthStatus = 'healthy'
  return (outcome: Outcome): HealthStatus => {
    const isSuccess = outcome.type === 'status' && outcome.status === 200
    if (outcome.type === 'status' && !isSuccess && outcome.status !== 500) return status
    const kind = isSuccess
      ? 'success'
      : outcome.type === 'status'
        ? 'http'
        : outcome.type === 'timeout'
          ? 'timeout'
          : 'tcp'
    const limit = { success: limits.successes, http: limits.http, tcp: limits.tcp, timeout: limits.timeouts }[kind]
    const goal = isSuccess ? 'healthy' : 'unhealthy'
    if (limit === 0 || status === goal) return status
    counters += 1n << BigInt(bits[kind])
    counters &= isSuccess ? 0xffn : 0xffffff00n
    const count = Number((counters >> BigInt(bits[kind])) & 0xffn)
    if (count >= limit) status = goal
    else if (status === 'healthy' && (counters & 0xffffff00n) > 0n) status = 'mostly_healthy'
    else if (status === 'unhealthy' && (counters & 0xffn) > 0n) status = 'mostly_unhealthy'
    return status
  }
}

test('any sequence of outcomes gives the states that the library of Kong gives', () => {
  const limit = fc.nat(4)
  const outcomes = fc.array(fc.constantFrom(OK, ERROR, OTHER, TCP, TIMEOUT), { maxLength: 40 })
  fc.assert(
    fc.property(limit, limit, limit, limit, outcomes, (successes, http, tcp, timeouts, all) => {
      const judge = librarysWay({ successes, http, tcp, timeouts })
      const ours = statusesAfter({ successes, http_failures: http, tcp_failures: tcp, timeouts }, all)
      assert.deepEqual(ours, all.map(judge))
    }),
    { numRuns: 1000 },
  )
})
