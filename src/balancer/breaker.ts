/**
 * The circuit breaker of one address, in one worker: opens when too many of the requests in a sliding window fail or are slow,
 * lets a few through after a while, and closes when those are well.
 */
import type { Outcome } from './contract.ts'

export type CircuitState = 'closed' | 'open' | 'half_open'

export interface BreakerRules {
  /** Of the requests in the window, in percent; 0 does not count. */
  readonly errorPercent: number
  readonly slowPercent: number
  /** A request that takes longer is slow. */
  readonly slowMs: number
  readonly windowMs: number
  /** Fewer requests in the window say nothing. */
  readonly minRequests: number
  readonly openMs: number
  /** Requests that are let through at first after `openMs`, all of which must be well. */
  readonly trials: number
}

/** The client went away: says nothing about the address. */
const CLIENT_CLOSED = 499
/** Parts of the window: one falls out of it at a time. */
const PARTS = 10

interface Part {
  at: number
  requests: number
  errors: number
  slow: number
}

export class Breaker {
  state: CircuitState = 'closed'
  readonly #rules: BreakerRules
  readonly #parts: readonly Part[] = Array.from({ length: PARTS }, () => ({ at: -1, requests: 0, errors: 0, slow: 0 }))
  #openUntilMs = 0
  #trialsBegun = 0
  #trialsWell = 0

  constructor(rules: BreakerRules) {
    this.#rules = rules
  }

  /** Whether a request may go there. */
  get isPassable(): boolean {
    return this.state === 'closed' || (this.state === 'half_open' && this.#trialsBegun < this.#rules.trials)
  }

  /** A request begins. */
  started(): void {
    if (this.state === 'half_open') this.#trialsBegun++
  }

  /** A request ended. Requests that began before the circuit opened, and end while it is open, say nothing new. */
  ended(outcome: Outcome, latencyMs: number, nowMs: number): void {
    if (outcome.type === 'status' && outcome.status === CLIENT_CLOSED) {
      // The trial is somebody else's to make.
      if (this.state === 'half_open' && this.#trialsBegun > 0) this.#trialsBegun--
      return
    }
    const { slowPercent, slowMs, trials } = this.#rules
    const isError = outcome.type !== 'status' || outcome.status >= 500
    const isSlow = slowPercent > 0 && latencyMs > slowMs
    if (this.state === 'half_open') {
      if (isError || isSlow) this.#open(nowMs)
      else if (++this.#trialsWell >= trials) this.#close()
    } else if (this.state === 'closed') {
      const part = this.#partAt(nowMs)
      part.requests++
      if (isError) part.errors++
      if (isSlow) part.slow++
      if ((isError || isSlow) && this.#isTooMuch(nowMs)) this.#open(nowMs)
    }
  }

  /** To be called now and then: lets trials through when the circuit was open long enough, and others when those do not end. */
  tick(nowMs: number): void {
    if (this.state === 'closed' || nowMs < this.#openUntilMs) return
    this.state = 'half_open'
    this.#openUntilMs = nowMs + this.#rules.openMs
    this.#trialsBegun = 0
    this.#trialsWell = 0
  }

  #open(nowMs: number): void {
    this.state = 'open'
    this.#openUntilMs = nowMs + this.#rules.openMs
  }

  #close(): void {
    this.state = 'closed'
    for (const part of this.#parts) part.at = -1
  }

  #partAt(nowMs: number): Part {
    const at = Math.floor(nowMs / (this.#rules.windowMs / PARTS))
    const part = this.#parts[at % PARTS]!
    if (part.at !== at) Object.assign(part, { at, requests: 0, errors: 0, slow: 0 })
    return part
  }

  #isTooMuch(nowMs: number): boolean {
    const { windowMs, minRequests, errorPercent, slowPercent } = this.#rules
    const oldest = Math.floor(nowMs / (windowMs / PARTS)) - PARTS + 1
    let requests = 0
    let errors = 0
    let slow = 0
    for (const part of this.#parts) {
      if (part.at < oldest) continue
      requests += part.requests
      errors += part.errors
      slow += part.slow
    }
    if (requests < minRequests) return false
    const exceeds = (count: number, percent: number) => percent > 0 && (count / requests) * 100 >= percent
    return exceeds(errors, errorPercent) || exceeds(slow, slowPercent)
  }
}
