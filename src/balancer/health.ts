/**
 * Health of one address by Kong's counters (lua-resty-healthcheck): a state flips when a counter reaches its limit, a failure
 * clears the successes, a success the failures, and a counter whose limit is 0 does not count at all, so it clears nothing
 * either. Without successes that count, failures therefore add up over any time, as they do in Kong.
 */
import type { Upstream } from '#model/entities/upstream.ts'
import type { Outcome } from './contract.ts'

export type HealthStatus = 'healthy' | 'mostly_healthy' | 'mostly_unhealthy' | 'unhealthy'

/** What is known of one address. Plain numbers, so that it can be read by whoever shows it and set by hand. */
export class HealthState {
  status: HealthStatus = 'healthy'
  successes = 0
  httpFailures = 0
  tcpFailures = 0
  timeouts = 0
}

/** When something counts, and how often it must; 0 never. */
export interface CheckRules {
  readonly healthyStatuses: ReadonlySet<number>
  readonly unhealthyStatuses: ReadonlySet<number>
  readonly successes: number
  readonly httpFailures: number
  readonly tcpFailures: number
  readonly timeouts: number
}

export interface HealthRules {
  /** Whether this upstream keeps health at all; without it every address is as good as the others. */
  readonly isOn: boolean
  /** Part of the weight, in percent, that must be exceeded by usable addresses for the upstream to be used. */
  readonly thresholdPercent: number
  readonly passive: CheckRules
  readonly active: CheckRules
}

type Healthchecks = Upstream['healthchecks']

export function compileHealthRules(checks: Healthchecks): HealthRules {
  const { passive, active } = checks
  // A proxy of HTTP does not probe with plain TCP connections; Kong leaves that to its stream proxy.
  const hasProbes = active.type !== 'tcp' && (isSet(active.healthy.interval) || isSet(active.unhealthy.interval))
  const { tcp_failures: tcpFailures, timeouts, http_failures: httpFailures } = passive.unhealthy
  return {
    isOn: hasProbes || isSet(tcpFailures) || isSet(timeouts) || isSet(httpFailures),
    thresholdPercent: checks.threshold ?? 0,
    passive: compileRules(passive),
    active: compileRules(active),
  }
}

export function isUsable(state: HealthState): boolean {
  return state.status === 'healthy' || state.status === 'mostly_healthy'
}

/** Counts how a request or probe ended. Says whether the address became usable or unusable by it. */
export function countOutcome(state: HealthState, rules: CheckRules, outcome: Outcome): boolean {
  if (outcome.type === 'tcp_failure') return countFailure(state, 'tcpFailures', rules.tcpFailures)
  if (outcome.type === 'timeout') return countFailure(state, 'timeouts', rules.timeouts)
  // A status in both lists is a success: Kong looks there first.
  if (rules.healthyStatuses.has(outcome.status)) return countSuccess(state, rules.successes)
  if (rules.unhealthyStatuses.has(outcome.status)) return countFailure(state, 'httpFailures', rules.httpFailures)
  return false
}

/** Sets the health by hand and begins to count anew. Says whether the address became usable or unusable by it. */
export function setHealth(state: HealthState, isHealthy: boolean): boolean {
  const was = isUsable(state)
  state.status = isHealthy ? 'healthy' : 'unhealthy'
  state.successes = 0
  clearFailures(state)
  return was !== isHealthy
}

function countFailure(
  state: HealthState,
  counter: 'httpFailures' | 'tcpFailures' | 'timeouts',
  limit: number,
): boolean {
  if (limit === 0 || state.status === 'unhealthy') return false
  const was = isUsable(state)
  state[counter]++
  state.successes = 0
  if (state[counter] >= limit) state.status = 'unhealthy'
  else if (state.status === 'healthy') state.status = 'mostly_healthy'
  return was !== isUsable(state)
}

function countSuccess(state: HealthState, limit: number): boolean {
  if (limit === 0 || state.status === 'healthy') return false
  const was = isUsable(state)
  state.successes++
  clearFailures(state)
  if (state.successes >= limit) state.status = 'healthy'
  else if (state.status === 'unhealthy') state.status = 'mostly_unhealthy'
  return was !== isUsable(state)
}

function clearFailures(state: HealthState): void {
  state.httpFailures = 0
  state.tcpFailures = 0
  state.timeouts = 0
}

function compileRules({ healthy, unhealthy }: Healthchecks['active'] | Healthchecks['passive']): CheckRules {
  return {
    healthyStatuses: new Set(healthy.http_statuses),
    unhealthyStatuses: new Set(unhealthy.http_statuses),
    successes: healthy.successes ?? 0,
    httpFailures: unhealthy.http_failures ?? 0,
    tcpFailures: unhealthy.tcp_failures ?? 0,
    timeouts: unhealthy.timeouts ?? 0,
  }
}

function isSet(value: number | null): boolean {
  return value !== null && value !== 0
}
