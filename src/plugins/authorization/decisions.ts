/** What another service decides about requests: asked once at a time for the same question, remembered for a while, and what holds without it. */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { FieldName, type Exchange, type Exit, type MetricsSink, type PluginLog } from '#pdk'
import type { Outcome } from '#pdk/authentication.ts'
import { safeHeaderValue } from '#pdk/wire-text.ts'

export type HeaderPairs = readonly (readonly [name: string, value: string])[]

export type Decision =
  /** With headers for the upstream. */
  | { readonly is: 'allow'; readonly headers: HeaderPairs }
  /** With the answer for the client. */
  | {
      readonly is: 'deny'
      readonly status: number
      readonly body: string | object | null
      readonly headers: HeaderPairs
    }
  | { readonly is: 'failed'; readonly problem: string }

export interface DecisionOptions {
  readonly plugin: string
  /** Seconds that a decision is remembered; 0: never. */
  readonly ttlS: number
  /** Whether requests pass while the service can't be asked. */
  readonly failsOpen: boolean
  readonly log: PluginLog
  readonly metrics: MetricsSink
}

const MOST_REMEMBERED = 10_000
/** Questions under way; over that a request is answered as when the service can't be asked. */
const MOST_ASKING = 1000

export class Decisions {
  readonly #options: DecisionOptions
  readonly #remembered: LRUCache<string, Decision> | null
  readonly #asking = new Map<string, Promise<Decision>>()
  #asked = 0
  #isFailing = false

  constructor(options: DecisionOptions) {
    this.#options = options
    this.#remembered = options.ttlS > 0 ? new LRUCache({ max: MOST_REMEMBERED, ttl: options.ttlS * 1000 }) : null
  }

  /** @param question all that the service is told: a decision is for the very same question only. `ask` must not reject. */
  decide(exchange: Exchange, question: string, ask: () => Promise<Decision>): Outcome {
    const found = this.#find(question, ask)
    return found instanceof Promise ? found.then((one) => this.#apply(exchange, one)) : this.#apply(exchange, found)
  }

  #find(question: string, ask: () => Promise<Decision>): Decision | Promise<Decision> {
    if (this.#remembered === null) return this.#ask(ask)
    const key = hash('sha256', question, 'base64')
    const remembered = this.#remembered.get(key)
    if (remembered !== undefined) return remembered
    const asking = this.#asking.get(key)
    if (asking !== undefined) return asking
    const asked = Promise.resolve(this.#ask(ask))
      .then((decision) => {
        if (decision.is !== 'failed') this.#remembered!.set(key, decision)
        return decision
      })
      .finally(() => this.#asking.delete(key))
    this.#asking.set(key, asked)
    return asked
  }

  #ask(ask: () => Promise<Decision>): Decision | Promise<Decision> {
    if (this.#asked >= MOST_ASKING) return { is: 'failed', problem: `${MOST_ASKING} questions are under way` }
    this.#asked++
    return ask()
      .then((decision) => {
        const outcome = decision.is === 'failed' ? 'failed' : decision.is === 'deny' ? 'refused' : 'answered'
        this.#options.metrics.called(this.#options.plugin, 'decision', outcome)
        return decision
      })
      .finally(() => this.#asked--)
  }

  #apply(exchange: Exchange, decision: Decision): void | Exit {
    if (decision.is === 'failed') return this.#fail(exchange, decision.problem)
    this.#isFailing = false
    if (decision.is === 'allow') {
      for (const [name, value] of decision.headers)
        new FieldName(name).set(exchange.request.headers, safeHeaderValue(value))
      return
    }
    const { status, body, headers } = decision
    return exchange.exit(status, body, {
      headers: Object.fromEntries(headers.map(([name, value]) => [name, safeHeaderValue(value)])),
    })
  }

  #fail(exchange: Exchange, problem: string): void | Exit {
    const { failsOpen, log } = this.#options
    if (!this.#isFailing)
      log.error({ problem, passes: failsOpen }, 'the service that decides about requests cannot be asked')
    this.#isFailing = true
    if (!failsOpen) return exchange.fail(503, 'Service unavailable', { headers: { 'Retry-After': '5' } })
  }
}
