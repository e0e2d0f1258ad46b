/**
 * Runs the plugins of the rewrite and access phases in order. Only what is really asynchronous is awaited. When a plugin says who the
 * client is, the rest runs with the configurations for that consumer and its groups.
 */
import type { Exchange, Exit } from '#pdk/exchange.ts'
import { PULSE_PLUGIN, PULSE_ROUTE } from '#core/pulse.ts'
import type { CompiledRoute, Plan, Snapshot, Step } from '#snapshot/snapshot.ts'
import type { WorkerContext } from './worker-context.ts'

type AccessStep = Step<void | Exit | Promise<void | Exit>>

/** The exchange that the phase belongs to. */
export interface PhaseHost {
  readonly exchange: Exchange
  readonly isOver: boolean
  /** A plugin answered, or failed. */
  exit(exit: Exit): void
  /** The plan changed with the consumer. */
  setPlan(plan: Plan): void
  /** Every plugin let the request through. */
  phaseDone(phase: 'rewrite' | 'access'): void
}

/** One of so many runs is timed. */
const SAMPLE = 64
let runs = 0

export class PhaseRunner {
  #host: PhaseHost
  #worker: WorkerContext
  #snapshot: Snapshot
  #compiled: CompiledRoute | null
  #phase: 'rewrite' | 'access'
  #steps: readonly AccessStep[]

  constructor(
    host: PhaseHost,
    worker: WorkerContext,
    snapshot: Snapshot,
    compiled: CompiledRoute | null,
    phase: 'rewrite' | 'access',
    steps: readonly AccessStep[],
  ) {
    this.#host = host
    this.#worker = worker
    this.#snapshot = snapshot
    this.#compiled = compiled
    this.#phase = phase
    this.#steps = steps
    worker.pulse[PULSE_ROUTE] = compiled === null ? 0 : compiled.idHash
  }

  run(from: number): void {
    const { exchange } = this.#host
    for (let i = from; i < this.#steps.length; i++) {
      const step = this.#steps[i]!
      const { consumer } = exchange
      let result: void | Exit | Promise<void | Exit>
      try {
        result = this.#runStep(step)
      } catch (error) {
        return this.#failed(step, error)
      }
      if (result !== undefined) {
        if (!isPromise(result)) return this.#host.exit(result)
        this.#wait(result, step, i, consumer)
        return
      }
      if (exchange.consumer !== consumer) {
        const next = this.#continueAfter(step, i)
        if (next < 0) return
        i = next - 1
      }
    }
    this.#worker.pulse[PULSE_PLUGIN] = 0
    this.#host.phaseDone(this.#phase)
  }

  #runStep(step: AccessStep): void | Exit | Promise<void | Exit> {
    this.#worker.pulse[PULSE_PLUGIN] = step.instance.idHash
    if (++runs % SAMPLE !== 0) return step.run(this.#host.exchange, step.instance.state)
    const beganMs = performance.now()
    const result = step.run(this.#host.exchange, step.instance.state)
    this.#worker.events.pluginTime(step.instance, this.#phase, performance.now() - beganMs, SAMPLE)
    return result
  }

  #wait(promise: Promise<void | Exit>, step: AccessStep, index: number, consumer: unknown): void {
    this.#worker.pulse[PULSE_PLUGIN] = 0
    // A plugin that has yet to answer uses its state also when the client has left.
    this.#snapshot.inFlight++
    promise.then(
      (exit) => {
        this.#snapshot.inFlight--
        if (this.#host.isOver) return
        if (exit !== undefined) return this.#host.exit(exit)
        if (this.#host.exchange.consumer === consumer) return this.run(index + 1)
        const next = this.#continueAfter(step, index)
        if (next >= 0) this.run(next)
      },
      (error: unknown) => {
        this.#snapshot.inFlight--
        if (!this.#host.isOver) this.#failed(step, error)
      },
    )
  }

  /** The consumer is known now: index of the next step, in the plan for that consumer; -1 when it goes on later. */
  #continueAfter(step: AccessStep, index: number): number {
    const compiled = this.#compiled
    if (compiled === null || !compiled.hasConsumerPlans) return index + 1
    const { exchange } = this.#host
    if (!compiled.hasGroupPlans || exchange.consumer === null) return this.#replan(compiled, step, index)
    const groups = this.#worker.groupsOf(exchange.consumer.id)
    if (!isPromise(groups)) {
      exchange.consumerGroups = groups
      return this.#replan(compiled, step, index)
    }
    groups.then(
      (found) => {
        if (this.#host.isOver) return
        exchange.consumerGroups = found
        this.run(this.#replan(compiled, step, index))
      },
      (error: unknown) => {
        if (!this.#host.isOver) this.#failed(step, error)
      },
    )
    return -1
  }

  #replan(compiled: CompiledRoute, step: AccessStep, index: number): number {
    const plan = this.#snapshot.consumerPlan(compiled, this.#host.exchange)
    const before = this.#steps
    if (plan.access === before) return index + 1
    const done = new Set(before.slice(0, index + 1).map(({ instance }) => instance.name))
    this.#steps = plan.access
    this.#host.setPlan(plan)
    let next = plan.access.findIndex(({ instance }) => instance.name === step.instance.name) + 1
    while (next < plan.access.length && done.has(plan.access[next]!.instance.name)) next++
    return next
  }

  /** An exception in a plugin refuses the request: a guard that broke must not let anybody in. */
  #failed(step: AccessStep, error: unknown): void {
    const { exchange } = this.#host
    this.#worker.events.pluginFailed(exchange, step.instance, this.#phase, error)
    exchange.error = error instanceof Error ? error : new Error(String(error))
    const isStore = (error as { code?: unknown } | null)?.code === 'STORE_UNAVAILABLE'
    this.#host.exit(
      isStore
        ? exchange.fail(503, 'The configuration store is unavailable', { headers: { 'Retry-After': '1' } })
        : exchange.fail(500, 'An unexpected error occurred'),
    )
  }
}

export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown }).then === 'function'
}
