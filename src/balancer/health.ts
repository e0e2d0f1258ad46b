/**
 * Health of one address by Kong's counters (lua-resty-healthcheck): a state flips when a counter reaches its limit, a failure
 * clears the successes, a success the failures, and a counter whose limit is 0 does not count at all, so it clears nothing
 * either. Without successes that count, failures therefore add up over any time, as they do in Kong.
 */
import type { Upstream } from '#model/entities/upstream.ts'
import type { Outcome } from './contract.ts'

export type HealthStatus = 'healthy' | 'mostly_healthy' | 'mostly_unhealthy' | 'unhealthy'

/** Told when an address became usable or unusable, by whichever thread. */
export interface HealthWatcher {
  healthChanged(): void
}

/**
 * What is known of one address: the status and Kong's counters in one number, so that threads which share it change it in one
 * step. A success clears the failures and a failure the successes, so both kinds have the same place.
 */
export class HealthState {
  readonly watchers = new Set<HealthWatcher>()
  #cells = new Int32Array(1)
  #at = 0

  get status(): HealthStatus {
    return STATUSES[this.packed & STATUS_BITS]!
  }

  get packed(): number {
    return Atomics.load(this.#cells, this.#at)
  }

  /** Puts `next` where `before` still is; false when another thread was faster. */
  replace(before: number, next: number): boolean {
    return Atomics.compareExchange(this.#cells, this.#at, before, next) === before
  }

  /** From now on this is the state of all threads. What was counted here holds where the others know nothing yet. */
  adopt(cells: Int32Array, at: number): void {
    const own = this.packed
    if (own !== INITIAL) Atomics.compareExchange(cells, at, INITIAL, own)
    this.#cells = cells as Int32Array<ArrayBuffer>
    this.#at = at
    if (isUsablePacked(own) !== isUsable(this)) this.tell()
  }

  /** Keeps what is known, apart from all threads. */
  detach(): void {
    this.#cells = Int32Array.of(this.packed)
    this.#at = 0
  }

  tell(): void {
    for (const watcher of this.watchers) watcher.healthChanged()
  }
}

/** In the order of their numbers; of the last two the second bit is set. */
const STATUSES: readonly HealthStatus[] = ['healthy', 'mostly_healthy', 'mostly_unhealthy', 'unhealthy']
const HEALTHY = 0
const MOSTLY_HEALTHY = 1
const MOSTLY_UNHEALTHY = 2
const UNHEALTHY = 3
const STATUS_BITS = 3
const UNUSABLE_BIT = 2
/** The counters are successes, in the place of the first failures. */
const SUCCESS_BIT = 4
const INITIAL = HEALTHY
/** Eight bits for each counter: their limits are at most 255. */
const SHIFTS = { httpFailures: 8, tcpFailures: 16, timeouts: 24 } as const
const SUCCESS_SHIFT = 8
const COUNTER_BITS = 0xff

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
  const { tcp_failures: tcpFailures, timeouts, http_failures: httpFailures } = passive.unhealthy
  return {
    isOn: hasProbes(active) || isSet(tcpFailures) || isSet(timeouts) || isSet(httpFailures),
    thresholdPercent: checks.threshold ?? 0,
    passive: compileRules(passive),
    active: compileRules(active),
  }
}

/** Whether the upstream's targets are probed. */
export function hasProbes({ healthy, unhealthy }: Healthchecks['active']): boolean {
  return isSet(healthy.interval) || isSet(unhealthy.interval)
}

export function isUsable(state: HealthState): boolean {
  return isUsablePacked(state.packed)
}

/** Counts how a request or probe ended. Says whether the address became usable or unusable by it, in this thread and no other. */
export function countOutcome(state: HealthState, rules: CheckRules, outcome: Outcome): boolean {
  for (;;) {
    const before = state.packed
    const after = counted(before, rules, outcome)
    if (after === before) return false
    if (state.replace(before, after)) return isUsablePacked(before) !== isUsablePacked(after)
  }
}

/** Sets the health by hand and begins to count anew. Says whether the address became usable or unusable by it. */
export function setHealth(state: HealthState, isHealthy: boolean): boolean {
  for (;;) {
    const before = state.packed
    if (state.replace(before, isHealthy ? HEALTHY : UNHEALTHY)) return isUsablePacked(before) !== isHealthy
  }
}

function isUsablePacked(packed: number): boolean {
  return (packed & UNUSABLE_BIT) === 0
}

function counted(packed: number, rules: CheckRules, outcome: Outcome): number {
  switch (outcome.type) {
    case 'success':
      return withSuccess(packed, rules.successes)
    case 'failure':
      return withFailure(packed, SHIFTS.httpFailures, rules.httpFailures)
    case 'tcp_failure':
      return withFailure(packed, SHIFTS.tcpFailures, rules.tcpFailures)
    case 'timeout':
      return withFailure(packed, SHIFTS.timeouts, rules.timeouts)
    case 'status':
      // A status in both lists is a success: Kong looks there first.
      if (rules.healthyStatuses.has(outcome.status)) return withSuccess(packed, rules.successes)
      if (!rules.unhealthyStatuses.has(outcome.status)) return packed
      return withFailure(packed, SHIFTS.httpFailures, rules.httpFailures)
  }
}

function withFailure(packed: number, shift: number, limit: number): number {
  const status = packed & STATUS_BITS
  if (limit === 0 || status === UNHEALTHY) return packed
  const counters = (packed & SUCCESS_BIT) === 0 ? packed & ~COUNTER_BITS : 0
  const count = ((counters >>> shift) & COUNTER_BITS) + 1
  const next = count >= limit ? UNHEALTHY : status === HEALTHY ? MOSTLY_HEALTHY : status
  return (counters & ~(COUNTER_BITS << shift)) | (Math.min(count, COUNTER_BITS) << shift) | next
}

function withSuccess(packed: number, limit: number): number {
  const status = packed & STATUS_BITS
  if (limit === 0 || status === HEALTHY) return packed
  const count = ((packed & SUCCESS_BIT) === 0 ? 0 : (packed >>> SUCCESS_SHIFT) & COUNTER_BITS) + 1
  const next = count >= limit ? HEALTHY : status === UNHEALTHY ? MOSTLY_UNHEALTHY : status
  return (Math.min(count, COUNTER_BITS) << SUCCESS_SHIFT) | SUCCESS_BIT | next
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
