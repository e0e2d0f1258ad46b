/**
 * The page /metrics: asks every worker for its figures, sums them up with those of the main thread, and writes Prometheus text.
 * A worker that does not answer in time is marked and stands with what it reported last; what a worker that was replaced had
 * counted stays in the sums, so that counters never go back.
 */
import { setImmediate } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import { exposition } from './exposition.ts'
import type { Figures } from './figures.ts'
import { Totals, type WorkerReport } from './totals.ts'

export interface WorkerSource {
  /** Stays the same while the thread lives; the label `worker` is its name. */
  readonly id: string
  /** Asks the thread for its report. May never answer: the collector has a deadline. */
  collect(): Promise<WorkerReport>
}

export interface CollectorOptions {
  readonly nodeId: string
  readonly version: string
  /** Figures of the main thread itself. */
  readonly main: Figures
  /** The workers that live now. */
  readonly workers: () => readonly WorkerSource[]
  readonly deadlineMs: number
  /** The state of every address of every target, when somebody asked for such figures; null when nobody did or there is no answer. */
  readonly targetStates?: () => Promise<TargetStatesReport | null>
}

export interface TargetStatesReport {
  readonly rows: readonly (readonly [upstream: string, target: string, address: string, state: string])[]
  /** Addresses beyond what one page may hold. */
  readonly left: number
}

export class MetricsCollector {
  readonly #options: CollectorOptions
  /** Last report of each living worker. */
  readonly #last = new Map<string, WorkerReport>()
  readonly #retired = new Totals()
  #running: Promise<Totals> | null = null
  #registry: Registry | null = null

  constructor(options: CollectorOptions) {
    this.#options = options
  }

  /** To be called when a worker has ended: keeps what it had counted when it was last asked. */
  retire(id: string): void {
    const report = this.#last.get(id)
    if (report === undefined) return
    this.#last.delete(id)
    this.#retired.addRetired(report)
  }

  /** Sums of all figures. Requests at the same time share one collection. */
  collect(): Promise<Totals> {
    this.#running ??= this.#collect().finally(() => (this.#running = null))
    return this.#running
  }

  /** The whole page in pieces; lets other work run between them. */
  async *page(): AsyncGenerator<string> {
    for (const piece of exposition(await this.collect())) {
      if (piece !== '') yield piece
      await setImmediate()
    }
    yield await this.#processMetrics()
  }

  async #collect(): Promise<Totals> {
    const { workers, main, nodeId, version, targetStates = async () => null } = this.#options
    const totals = new Totals()
    totals.set('kong_node_info', [nodeId, version], 1)
    totals.addTotals(this.#retired)
    totals.addFigures(main.report(), 'main')
    const sources = workers()
    const [states, ...reports] = await Promise.all([targetStates(), ...sources.map((source) => this.#ask(source))])
    if (states !== null) addTargetStates(totals, states)
    for (const [at, { id }] of sources.entries()) {
      const report = reports[at] ?? null
      if (report !== null) this.#last.set(id, report)
      const known = report ?? this.#last.get(id)
      if (known !== undefined) totals.addWorker(known, id)
      totals.set('meridian_worker_up', [id], report === null ? 0 : 1)
    }
    derive(totals)
    return totals
  }

  async #ask(source: WorkerSource): Promise<WorkerReport | null> {
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), this.#options.deadlineMs)
    })
    try {
      return await Promise.race([source.collect(), deadline])
    } catch {
      // The thread ended while it was asked; its successor answers the next time.
      return null
    } finally {
      clearTimeout(timer)
    }
  }

  /** CPU, memory and garbage collection of the process, by prom-client; loaded when first asked for, to keep the start short. */
  async #processMetrics(): Promise<string> {
    if (this.#registry === null) {
      const { Registry, collectDefaultMetrics } = await import('prom-client')
      this.#registry = new Registry()
      collectDefaultMetrics({ register: this.#registry })
    }
    return await this.#registry.metrics()
  }
}

const TARGET_STATES = ['healthchecks_off', 'healthy', 'unhealthy', 'dns_error'] as const

/** As Kong's prometheus plugin: a series for each state that there is, 1 for the one that holds. */
function addTargetStates(totals: Totals, { rows, left }: TargetStatesReport): void {
  for (const [upstream, target, address, held] of rows)
    for (const state of TARGET_STATES)
      totals.set('kong_upstream_target_health', [upstream, target, address, state, 'http'], Number(state === held))
  totals.set('meridian_unlisted_target_addresses', [], left)
}

/** Figures that follow from sums, and would be wrong as a sum of what workers say. */
function derive(totals: Totals): void {
  for (const hits of totals.values('meridian_cache_hits_total')) {
    const [cache = ''] = hits.labels
    const misses = totals.values('meridian_cache_misses_total').find(({ labels }) => labels[0] === cache)?.value ?? 0
    const all = hits.value + misses
    if (all > 0) totals.set('meridian_cache_hit_ratio', [cache], hits.value / all)
  }
  const head = totals.values('meridian_config_head_revision')[0]?.value
  const served = totals.values('meridian_config_revision').map(({ value }) => value)
  if (head !== undefined && served.length > 0)
    totals.set('meridian_config_lag_revisions', [], Math.max(0, head - Math.min(...served)))
}
