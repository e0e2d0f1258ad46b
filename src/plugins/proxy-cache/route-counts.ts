import type { CacheCounts, Exchange, MetricsSink } from '#pdk'

/** Routes whose counts are at hand: more than one configuration usually has. */
const MOST = 1000

/** What the cache did, by route: a configuration may be for many. */
export class RouteCounts {
  readonly #metrics: MetricsSink
  readonly #byRoute = new Map<string, CacheCounts>()

  constructor(metrics: MetricsSink) {
    this.#metrics = metrics
  }

  add(exchange: Exchange, status: keyof CacheCounts): void {
    const id = exchange.route === null ? '' : exchange.route.id
    const counts = this.#byRoute.get(id) ?? this.#open(exchange, id)
    counts[status].value++
  }

  #open(exchange: Exchange, id: string): CacheCounts {
    if (this.#byRoute.size >= MOST) this.#byRoute.clear()
    const counts = this.#metrics.cacheCounts(exchange)
    this.#byRoute.set(id, counts)
    return counts
  }
}
