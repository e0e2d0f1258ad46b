/** The sum of what threads report. */
import { familyNamed, type FamilyName, type MetricFamily } from './families.ts'
import type { FiguresReport } from './figures.ts'
import type { HistogramReport, RouteReport, TrafficReport } from './request-metrics.ts'

/** What a worker answers when it is asked for its figures: plain data. */
export interface WorkerReport {
  readonly figures: FiguresReport
  readonly routes: readonly RouteReport[]
}

interface TrafficTotal {
  /** By `status:isOwn`. */
  readonly codes: Map<string, { readonly status: number; readonly isOwn: boolean; count: number }>
  bytesIn: number
  bytesOut: number
}

export interface RouteTotal {
  readonly service: string
  readonly route: string
  readonly workspace: string
  readonly kong: HistogramReport
  readonly upstream: HistogramReport
  readonly request: HistogramReport
  /** By consumer. */
  readonly traffic: Map<string, TrafficTotal>
}

interface SeriesTotal {
  readonly labels: readonly string[]
  value: number
}

export class Totals {
  /** Per family, by the JSON of the label values. */
  readonly series = new Map<string, Map<string, SeriesTotal>>()
  readonly routes = new Map<string, RouteTotal>()

  addWorker(report: WorkerReport, worker: string): void {
    this.addFigures(report.figures, worker)
    for (const route of report.routes) this.#addRoute(route)
  }

  /** Figures of one thread; families that are kept per worker get its name as their last label. */
  addFigures(report: FiguresReport, worker: string): void {
    for (const [name, series] of Object.entries(report)) {
      const family = familyNamed(name)
      if (family === undefined) continue
      for (const [labels, value] of series)
        this.#add(name, family.perWorker === true ? [...labels, worker] : labels, value)
    }
  }

  /** What of a worker that ended still counts: everything that only grows. */
  addRetired(report: WorkerReport): void {
    const figures: Record<string, FiguresReport[string]> = {}
    for (const [name, series] of Object.entries(report.figures)) {
      const family = familyNamed(name)
      if (family === undefined || family.perWorker === true) continue
      figures[name] = series.filter(([labels]) => growsFor(family, labels))
    }
    this.addFigures(figures, '')
    for (const route of report.routes) this.#addRoute(route)
  }

  addTotals(other: Totals): void {
    for (const [name, series] of other.series)
      for (const { labels, value } of series.values()) this.#add(name, labels, value)
    for (const route of other.routes.values()) {
      const traffic = [...route.traffic].map(([consumer, { codes, bytesIn, bytesOut }]): TrafficReport => {
        const counts = [...codes.values()].map(({ status, isOwn, count }) => [status, isOwn ? 1 : 0, count] as const)
        return { consumer, codes: counts, bytesIn, bytesOut }
      })
      this.#addRoute({ ...route, traffic })
    }
  }

  set(name: FamilyName, labels: readonly string[], value: number): void {
    this.#family(name).set(JSON.stringify(labels), { labels, value })
  }

  values(name: FamilyName): SeriesTotal[] {
    return [...(this.series.get(name)?.values() ?? [])]
  }

  #add(name: string, labels: readonly string[], value: number): void {
    const family = this.#family(name)
    const key = JSON.stringify(labels)
    const known = family.get(key)
    if (known === undefined) family.set(key, { labels, value })
    else known.value += value
  }

  #family(name: string): Map<string, SeriesTotal> {
    let family = this.series.get(name)
    if (family === undefined) this.series.set(name, (family = new Map()))
    return family
  }

  #addRoute(report: RouteReport): void {
    const key = JSON.stringify([report.service, report.route, report.workspace])
    let total = this.routes.get(key)
    if (total === undefined) {
      const { service, route, workspace } = report
      total = { service, route, workspace, kong: [], upstream: [], request: [], traffic: new Map() }
      this.routes.set(key, total)
    }
    addHistogram(total.kong, report.kong)
    addHistogram(total.upstream, report.upstream)
    addHistogram(total.request, report.request)
    for (const traffic of report.traffic) addTraffic(total.traffic, traffic)
  }
}

function growsFor(family: MetricFamily, labels: readonly string[]): boolean {
  if (family.type !== 'gauge' || family.grows === true) return true
  return family.grows?.includes(labels.at(-1) ?? '') === true
}

function addHistogram(total: HistogramReport, report: HistogramReport): void {
  for (let at = 0; at < report.length; at++) total[at] = (total[at] ?? 0) + report[at]!
}

function addTraffic(totals: Map<string, TrafficTotal>, { consumer, codes, bytesIn, bytesOut }: TrafficReport): void {
  let total = totals.get(consumer)
  if (total === undefined) totals.set(consumer, (total = { codes: new Map(), bytesIn: 0, bytesOut: 0 }))
  total.bytesIn += bytesIn
  total.bytesOut += bytesOut
  for (const [status, isOwn, count] of codes) {
    const key = `${status}:${isOwn}`
    const known = total.codes.get(key)
    if (known === undefined) total.codes.set(key, { status, isOwn: isOwn === 1, count })
    else known.count += count
  }
}
