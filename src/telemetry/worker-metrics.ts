/** All figures of one worker, and what it answers when the main thread asks for them. */
import { Figures } from './figures.ts'
import type { LoopDelay } from './loop-delay.ts'
import { RequestMetrics } from './request-metrics.ts'
import type { WorkerReport } from './totals.ts'

export interface ConnectionCounts {
  /** Since the start. */
  readonly accepted: number
  /** Open now. */
  readonly active: number
  /** Of those, with a request that is being proxied. */
  readonly busy: number
  /** Of those, with a part of a request head. */
  readonly reading: number
}

export interface WorkerMetricsOptions {
  readonly nodeId: string
  /** Id of the thread, for the metrics that Kong has per process. */
  readonly threadId: number
  readonly maxRoutes: number
  readonly loopDelay: LoopDelay
  /** Bytes of the JavaScript heap in use. */
  readonly heapUsed: () => number
}

/** Consumers with series of their own, over all routes, when a plugin counts by consumer. */
const MAX_CONSUMERS = 10_000

export class WorkerMetrics {
  readonly figures = new Figures()
  readonly requests: RequestMetrics
  /** Requests of any kind, those that were refused included. */
  requestCount = 0
  readonly #nodeId: string
  #connections: (() => ConnectionCounts) | null = null

  constructor({ nodeId, threadId, maxRoutes, loopDelay, heapUsed }: WorkerMetricsOptions) {
    this.#nodeId = nodeId
    this.requests = new RequestMetrics({ maxRoutes, maxConsumers: MAX_CONSUMERS })
    const { figures } = this
    figures.gauge('kong_nginx_requests_total', { node_id: nodeId, subsystem: 'http' }, () => this.requestCount)
    figures.gauge(
      'kong_memory_workers_lua_vms_bytes',
      { node_id: nodeId, pid: String(threadId), kong_subsystem: 'http' },
      heapUsed,
    )
    figures.gauge('kong_nginx_metric_errors_total', {}, () => this.requests.overflows)
    figures.gauge('meridian_event_loop_delay_seconds', { quantile: '0.5' }, () => loopDelay.quantiles().p50)
    figures.gauge('meridian_event_loop_delay_seconds', { quantile: '0.99' }, () => loopDelay.quantiles().p99)
    figures.gauge('meridian_event_loop_delay_seconds', { quantile: '1' }, () => loopDelay.quantiles().max)
  }

  /** Says where the counts of client connections are. */
  watchConnections(read: () => ConnectionCounts): void {
    const states: readonly (readonly [state: string, of: (counts: ConnectionCounts) => number])[] = [
      ['accepted', ({ accepted }) => accepted],
      ['handled', ({ accepted }) => accepted],
      ['total', () => this.requestCount],
      ['active', ({ active }) => active],
      ['reading', ({ reading }) => reading],
      ['writing', ({ busy }) => busy],
      ['waiting', ({ active, busy, reading }) => Math.max(0, active - busy - reading)],
    ]
    if (this.#connections !== null) throw new Error('watchConnections: expected one call')
    this.#connections = read
    for (const [state, of] of states) {
      this.figures.gauge('kong_nginx_connections_total', { node_id: this.#nodeId, subsystem: 'http', state }, () =>
        of(read()),
      )
    }
  }

  report(): WorkerReport {
    return { figures: this.figures.report(), routes: this.requests.report() }
  }
}
