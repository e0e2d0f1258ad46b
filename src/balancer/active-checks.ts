/**
 * When targets are probed: each address by itself, at the interval for its state, never twice at a time, with a bound for each
 * upstream and one for the node. One tick drives it all, and nothing that a probe does or fails to do can stop it: a probe that
 * does not answer is given up by the tick. Pure: sockets and time come from outside.
 */
import type { Address } from './address.ts'
import type { Outcome, PickedTarget } from './contract.ts'
import type { AddressWatch } from './upstream-balancer.ts'

export interface CheckPlan {
  /** Time from the beginning of a probe of a healthy address to that of the next; 0 never. */
  readonly healthyMs: number
  readonly unhealthyMs: number
  readonly timeoutMs: number
  /** Probes of the upstream at a time. */
  readonly concurrency: number
  readonly probe: (target: PickedTarget, signal: AbortSignal) => Promise<Outcome>
}

export interface ActiveChecksOptions {
  /** A clock that only goes forward. */
  readonly nowMs: () => number
  /** 0 up to but not including 1: spreads the first probes. */
  readonly random: () => number
  /** Probes of the node at a time. */
  readonly concurrency: number
  /** Told of each probe that ended; null when the probe itself is broken, which says nothing about the target. */
  readonly onProbed: (outcome: Outcome | null, error: unknown) => void
}

/** A probe that has not answered so long after its own time-out is given up. */
const GRACE_MS = 1000
/** A new address is probed within this time. */
const FIRST_WITHIN_MS = 1000

interface Check {
  readonly address: Address
  dueMs: number
  running: Running | null
}

interface Running {
  readonly check: Check
  readonly upstream: UpstreamChecks
  readonly abort: AbortController
  readonly giveUpMs: number
  readonly wasHealthy: boolean
}

export class ActiveChecks {
  readonly options: ActiveChecksOptions
  /** When a probe last brought a result. */
  lastRunMs = 0
  readonly running = new Set<Running>()
  readonly #upstreams = new Set<UpstreamChecks>()

  constructor(options: ActiveChecksOptions) {
    this.options = options
  }

  /** The checks of one upstream, to be told of its addresses; `probed` gets what a probe found. */
  upstream(plan: CheckPlan, probed: (address: Address, outcome: Outcome) => void): UpstreamChecks {
    const checks = new UpstreamChecks(this, plan, probed, () => this.#upstreams.delete(checks))
    this.#upstreams.add(checks)
    return checks
  }

  /** To be called several times a second. */
  tick(): void {
    const now = this.options.nowMs()
    for (const running of this.running) if (running.giveUpMs <= now) running.upstream.giveUp(running)
    this.run(now)
  }

  /** Begins what is due. When the node's places are all taken, who got the last is the last to get one again. */
  run(now: number): void {
    for (const upstream of this.#upstreams) {
      upstream.run(now)
      if (this.isFull) {
        this.#upstreams.delete(upstream)
        this.#upstreams.add(upstream)
        return
      }
    }
  }

  get isFull(): boolean {
    return this.running.size >= this.options.concurrency
  }

  /** How late the probe is that waits longest; 0 when all are in time. */
  overdueMs(): number {
    const now = this.options.nowMs()
    let latest = 0
    for (const upstream of this.#upstreams) latest = Math.max(latest, upstream.overdueMs(now))
    return latest
  }

  /** Probes that run are cut off. */
  close(): void {
    for (const upstream of this.#upstreams) upstream.close()
  }
}

export class UpstreamChecks implements AddressWatch {
  readonly #all: ActiveChecks
  readonly #checks = new Map<Address, Check>()
  readonly #probed: (address: Address, outcome: Outcome) => void
  readonly #onClosed: () => void
  #plan: CheckPlan
  #running = 0
  /** No check is due before. */
  #nextMs = Infinity
  #isClosed = false

  constructor(
    all: ActiveChecks,
    plan: CheckPlan,
    probed: (address: Address, outcome: Outcome) => void,
    onClosed: () => void,
  ) {
    this.#all = all
    this.#plan = plan
    this.#probed = probed
    this.#onClosed = onClosed
  }

  /** Another plan for the same addresses. */
  set plan(plan: CheckPlan) {
    this.#plan = plan
    for (const check of this.#checks.values()) if (check.running === null) this.#schedule(check, FIRST_WITHIN_MS)
  }

  added(address: Address): void {
    const check: Check = { address, dueMs: Infinity, running: null }
    this.#checks.set(address, check)
    this.#schedule(check, FIRST_WITHIN_MS)
  }

  removed(address: Address): void {
    const check = this.#checks.get(address)
    if (check === undefined) return
    this.#checks.delete(address)
    if (check.running !== null) this.#end(check.running)
  }

  healthChanged(address: Address): void {
    const check = this.#checks.get(address)
    if (check !== undefined && check.running === null) this.#schedule(check, Infinity)
  }

  /** Begins the probes that are due, as many as may run. */
  run(now: number): void {
    if (now < this.#nextMs || this.#isClosed) return
    this.#nextMs = Infinity
    for (const check of this.#checks.values()) {
      if (check.running !== null) continue
      if (check.dueMs <= now && this.#running < this.#plan.concurrency && !this.#all.isFull) {
        // Those that had their turn stand behind those that wait for it.
        this.#checks.delete(check.address)
        this.#checks.set(check.address, check)
        this.#begin(check, now)
      } else this.#nextMs = Math.min(this.#nextMs, check.dueMs)
    }
  }

  overdueMs(now: number): number {
    let latest = 0
    for (const { dueMs, running } of this.#checks.values())
      if (running === null && dueMs < now) latest = Math.max(latest, now - dueMs)
    return latest
  }

  /** The probe should have answered long ago. */
  giveUp(running: Running): void {
    this.#finish(running, { type: 'timeout' }, null)
  }

  close(): void {
    this.#isClosed = true
    for (const { running } of this.#checks.values()) if (running !== null) this.#end(running)
    this.#checks.clear()
    this.#onClosed()
  }

  #begin(check: Check, now: number): void {
    const { probe, timeoutMs, healthyMs, unhealthyMs } = this.#plan
    const abort = new AbortController()
    const wasHealthy = check.address.isHealthy
    const running: Running = { check, upstream: this, abort, giveUpMs: now + timeoutMs + GRACE_MS, wasHealthy }
    // From the beginning: a target that takes its time is probed as often as others.
    check.dueMs = now + (wasHealthy ? healthyMs : unhealthyMs)
    check.running = running
    this.#running++
    this.#all.running.add(running)
    let answer: Promise<Outcome>
    try {
      answer = probe(check.address, abort.signal)
    } catch (error) {
      this.#finish(running, null, error)
      return
    }
    answer.then(
      (outcome) => this.#finish(running, outcome, null),
      (error: unknown) => this.#finish(running, null, error),
    )
  }

  #finish(running: Running, outcome: Outcome | null, error: unknown): void {
    const { check } = running
    // Given up, or its address is gone: nobody asks any more.
    if (check.running !== running) return
    const wasFull = this.#all.isFull
    this.#end(running)
    const { options } = this.#all
    const now = options.nowMs()
    options.onProbed(outcome, error)
    if (outcome !== null) {
      this.#all.lastRunMs = now
      this.#probed(check.address, outcome)
    }
    if (check.address.isHealthy !== running.wasHealthy) this.#schedule(check, Infinity)
    else if (this.#intervalOf(check.address) === 0) check.dueMs = Infinity
    this.#nextMs = Math.min(this.#nextMs, check.dueMs)
    if (wasFull) this.#all.run(now)
    else this.run(now)
  }

  #end(running: Running): void {
    running.check.running = null
    running.abort.abort()
    this.#running--
    this.#all.running.delete(running)
  }

  #intervalOf(address: Address): number {
    return address.isHealthy ? this.#plan.healthyMs : this.#plan.unhealthyMs
  }

  /** Sets the next probe from now on: an interval away, or earlier when it is the first. */
  #schedule(check: Check, withinMs: number): void {
    const intervalMs = this.#intervalOf(check.address)
    const { nowMs, random } = this.#all.options
    const waitMs = withinMs === Infinity ? intervalMs : Math.min(intervalMs, withinMs) * random()
    check.dueMs = intervalMs === 0 ? Infinity : nowMs() + waitMs
    this.#nextMs = Math.min(this.#nextMs, check.dueMs)
  }
}
