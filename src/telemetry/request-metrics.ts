/**
 * Figures of requests, per service and route: counters and histograms in plain arrays that one worker adds to. A recorder is
 * handed out when the snapshot is compiled; recording a request is some array additions, no look-up by name.
 */
/** Upper bounds in ms, as Kong's plugin has them; a last bucket takes the rest. */
export const KONG_BUCKETS_MS = [1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000] as const
export const UPSTREAM_BUCKETS_MS = [25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10_000, 30_000, 60_000] as const

/** Counts per bucket (not cumulated), the rest, then the sum of all values. */
export type HistogramReport = number[]

/** Requests and bytes of one consumer; '' for all that are not counted by consumer. */
export interface TrafficReport {
  readonly consumer: string
  /** Status, 1 when the gateway answered itself, count. */
  readonly codes: readonly (readonly [status: number, isOwn: 0 | 1, count: number])[]
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface RouteReport {
  readonly service: string
  readonly route: string
  readonly workspace: string
  readonly kong: HistogramReport
  readonly upstream: HistogramReport
  readonly request: HistogramReport
  readonly traffic: readonly TrafficReport[]
}

export interface RequestMetricsOptions {
  /** Recorders at most; further routes share one. */
  readonly maxRoutes: number
  /** Consumers with figures of their own at most, over all routes; further ones share one for each route. */
  readonly maxConsumers: number
}

/** Name of what is summed up when there are too many. */
export const OTHER = 'other'

export class RequestMetrics {
  readonly #options: RequestMetricsOptions
  readonly #recorders = new Map<string, RouteRecorder>()
  readonly #budget: ConsumerBudget
  #overflow: RouteRecorder | null = null
  /** Times that a route or consumer found no place of its own. */
  overflows = 0

  constructor(options: RequestMetricsOptions) {
    this.#options = options
    this.#budget = { left: options.maxConsumers }
  }

  /**
   * The recorder of a route; the same one for the same names, so that figures go on when the configuration changes. `service`
   * is the name, else the host, '' for none; `route` the name, else the id; `workspace` the name.
   */
  forRoute(service: string, route: string, workspace: string): RouteRecorder {
    const key = JSON.stringify([service, route, workspace])
    const known = this.#recorders.get(key)
    if (known !== undefined) return known
    if (this.#recorders.size >= this.#options.maxRoutes) {
      this.overflows++
      return (this.#overflow ??= new RouteRecorder(OTHER, OTHER, OTHER, this.#budget))
    }
    const recorder = new RouteRecorder(service, route, workspace, this.#budget)
    this.#recorders.set(key, recorder)
    return recorder
  }

  /** Those that counted something. */
  report(): RouteReport[] {
    const reports: RouteReport[] = []
    for (const recorder of this.#recorders.values()) if (recorder.hasCounted) reports.push(recorder.report())
    if (this.#overflow?.hasCounted === true) reports.push(this.#overflow.report())
    return reports
  }
}

interface ConsumerBudget {
  left: number
}

export class RouteRecorder {
  readonly service: string
  readonly route: string
  readonly workspace: string
  hasCounted = false
  readonly #budget: ConsumerBudget
  readonly #kong = new Histogram(KONG_BUCKETS_MS)
  readonly #upstream = new Histogram(UPSTREAM_BUCKETS_MS)
  readonly #request = new Histogram(UPSTREAM_BUCKETS_MS)
  readonly #traffic = new Traffic()
  #consumers: Map<string, Traffic> | null = null

  constructor(service: string, route: string, workspace: string, budget: ConsumerBudget) {
    this.service = service
    this.route = route
    this.workspace = workspace
    this.#budget = budget
  }

  /**
   * Counts one request. `kongMs` is the time within the gateway; `upstreamMs` the wait for the upstream's head, negative when none
   * was asked; `isOwn` says that the gateway or a plugin made the answer; `consumer` is a name only where it is counted by consumer.
   */
  record(
    status: number,
    isOwn: boolean,
    kongMs: number,
    upstreamMs: number,
    requestMs: number,
    bytesIn: number,
    bytesOut: number,
    consumer: string,
  ): void {
    this.hasCounted = true
    this.#kong.add(kongMs)
    if (upstreamMs >= 0) this.#upstream.add(upstreamMs)
    this.#request.add(requestMs)
    const traffic = consumer === '' ? this.#traffic : this.#ofConsumer(consumer)
    traffic.add(status, isOwn, bytesIn, bytesOut)
  }

  report(): RouteReport {
    const traffic: TrafficReport[] = []
    if (this.#traffic.hasCounted) traffic.push(this.#traffic.report(''))
    if (this.#consumers !== null) {
      for (const [consumer, one] of this.#consumers) if (one.hasCounted) traffic.push(one.report(consumer))
    }
    return {
      service: this.service,
      route: this.route,
      workspace: this.workspace,
      kong: this.#kong.report(),
      upstream: this.#upstream.report(),
      request: this.#request.report(),
      traffic,
    }
  }

  #ofConsumer(consumer: string): Traffic {
    const consumers = (this.#consumers ??= new Map<string, Traffic>())
    const known = consumers.get(consumer)
    if (known !== undefined) return known
    const traffic = new Traffic()
    if (this.#budget.left > 0) {
      this.#budget.left--
      consumers.set(consumer, traffic)
      return traffic
    }
    const other = consumers.get(OTHER)
    if (other !== undefined) return other
    consumers.set(OTHER, traffic)
    return traffic
  }
}

class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  add(value: number): void {
    const bounds = this.#bounds
    let bucket = 0
    // Most values fall into the first buckets, where a search by halves would take longer.
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++
    this.#counts[bucket]!++
    this.#sum += value
  }

  report(): HistogramReport {
    return [...this.#counts, this.#sum]
  }
}

class Traffic {
  /** status * 2 + isOwn; a route has few different ones. */
  readonly #codes: number[] = []
  readonly #counts: number[] = []
  #bytesIn = 0
  #bytesOut = 0

  get hasCounted(): boolean {
    return this.#codes.length > 0
  }

  add(status: number, isOwn: boolean, bytesIn: number, bytesOut: number): void {
    const code = status * 2 + (isOwn ? 1 : 0)
    const codes = this.#codes
    let at = 0
    while (at < codes.length && codes[at] !== code) at++
    if (at === codes.length) {
      codes.push(code)
      this.#counts.push(0)
    }
    this.#counts[at]!++
    this.#bytesIn += bytesIn
    this.#bytesOut += bytesOut
  }

  report(consumer: string): TrafficReport {
    const codes = this.#codes.map((code, at) => [code >> 1, (code & 1) as 0 | 1, this.#counts[at]!] as const)
    return { consumer, codes, bytesIn: this.#bytesIn, bytesOut: this.#bytesOut }
  }
}
