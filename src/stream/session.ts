/**
 * What a TCP, TLS or UDP session has in common from its first byte to its line in the log: route, plugins, service, tries.
 * Unlike an exchange over HTTP it has no answer of the gateway's own: who is refused, or can't be passed on, is cut.
 */
import type { PickedTarget } from '#balancer/contract.ts'
import { isPromise } from '#proxy/access-phase.ts'
import { startTry } from '#proxy/tries.ts'
import type { Exchange, Exit } from '#pdk/exchange.ts'
import type { CompiledRoute, CompiledService, Snapshot, Step } from '#snapshot/snapshot.ts'
import type { StreamFacts, StreamRouter } from './stream-router.ts'

/** nginx's statuses of stream sessions, which Kong logs: 200 done, 403 refused, 500 no route or an error, 502 no target, 503 no service. */
export type SessionStatus = 200 | 400 | 403 | 500 | 502 | 503

export interface SessionRecord {
  readonly facts: StreamFacts
  readonly status: SessionStatus
  readonly bytesReceived: number
  readonly bytesSent: number
  readonly startedAtMs: number
  readonly durationMs: number
}

/** What sessions of one worker share. */
export interface StreamContext {
  readonly router: StreamRouter
  readonly snapshot: Snapshot
  newExchange(facts: StreamFacts): Exchange
  ended(record: SessionRecord): void
  pluginFailed(exchange: Exchange, step: Step<unknown>, phase: 'preread' | 'log', error: unknown): void
}

export type Prepared =
  | { readonly ok: true; readonly service: CompiledService }
  | { readonly ok: false; readonly status: SessionStatus }

export class Session {
  readonly facts: StreamFacts
  readonly exchange: Exchange
  readonly #context: StreamContext
  readonly #snapshot: Snapshot
  readonly #startedAtMs = Date.now()
  readonly #beganMs = performance.now()
  #compiled: CompiledRoute | null = null
  bytesReceived = 0
  bytesSent = 0
  #isEnded = false

  constructor(context: StreamContext, facts: StreamFacts) {
    this.#context = context
    this.#snapshot = context.snapshot
    this.facts = facts
    this.exchange = context.newExchange(facts)
    // Plugin instances live as long as what uses them.
    this.#snapshot.inFlight++
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Finds the route and lets its plugins decide. */
  async prepare(): Promise<Prepared> {
    const { exchange } = this
    const route = this.#context.router.match(this.facts)
    if (route === null) return { ok: false, status: 500 }
    const compiled = (this.#compiled = this.#snapshot.compiled(route))
    exchange.route = route
    exchange.workspace = compiled.workspace
    exchange.service = compiled.service?.service ?? null
    for (const step of compiled.plan.preread) {
      let exit: void | Exit
      try {
        const result = step.run(exchange, step.instance.state)
        exit = result !== undefined && isPromise(result) ? await result : result
      } catch (error) {
        // A guard that broke lets nobody in.
        this.#context.pluginFailed(exchange, step, 'preread', error)
        return { ok: false, status: 500 }
      }
      if (exit !== undefined) return { ok: false, status: statusOf(exit) }
    }
    return compiled.service === null ? { ok: false, status: 503 } : { ok: true, service: compiled.service }
  }

  /** Chooses the next target; null when there is none. */
  async pick(service: CompiledService, tried: readonly PickedTarget[]): Promise<PickedTarget | null> {
    const { balancer, hashInput } = service
    const picked = await balancer.pick(hashInput === null ? null : hashInput(this.exchange), tried)
    const before = this.exchange.tries.at(-1)
    // Another target is only asked for when one has failed.
    if (before !== undefined) before.state = picked.ok ? 'next' : 'failed'
    if (!picked.ok) return null
    startTry(this.exchange, picked.target, performance.now())
    return picked.target
  }

  /** Once; what is counted and logged of it. */
  end(status: SessionStatus): void {
    if (this.#isEnded) return
    this.#isEnded = true
    const { exchange } = this
    exchange.response.status = status
    exchange.request.bytesReceived = this.bytesReceived
    exchange.response.bytesSent = this.bytesSent
    exchange.totalLatencyMs = performance.now() - this.#beganMs
    for (const step of this.#compiled?.plan.sessionLog ?? []) {
      try {
        step.run(exchange, step.instance.state)
      } catch (error) {
        this.#context.pluginFailed(exchange, step, 'log', error)
      }
    }
    this.#snapshot.inFlight--
    this.#context.ended({
      facts: this.facts,
      status,
      bytesReceived: this.bytesReceived,
      bytesSent: this.bytesSent,
      startedAtMs: this.#startedAtMs,
      durationMs: exchange.totalLatencyMs,
    })
  }
}

function statusOf({ status }: Exit): SessionStatus {
  return status === 403 || status === 400 || status === 503 ? status : status < 400 ? 200 : 500
}
