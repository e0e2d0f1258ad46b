/** Counters, gauges and histograms of one thread: what the parts of the gateway count into, and what goes to the main thread as plain data. */
import { families, type FamilyName, type HistogramName, type LabelsOf, type MetricFamily } from './families.ts'

/** A series: adding to it is one addition. */
export interface Counter {
  value: number
}

/** The series of a histogram that stands after those of its buckets: the sum of all values. */
export const SUM = 'sum'
/** The bucket of what is above all bounds. */
export const REST = '+Inf'

/** One series: the values of its family's labels in their order, and its value. Of a histogram the bound of the bucket comes last. */
export type SeriesReport = readonly [labels: readonly string[], value: number]

export type FiguresReport = Readonly<Record<string, readonly SeriesReport[]>>

/** More series than this in one family are a mistake; what comes on top is counted in one. */
const SERIES_LIMIT = 1000
const OTHER = 'other'

interface Family {
  readonly counters: Map<string, { readonly labels: readonly string[]; readonly counter: Counter }>
  readonly gauges: { readonly labels: readonly string[]; readonly read: () => number }[]
}

export class Figures {
  readonly #families = new Map<FamilyName, Family>()

  /** The counter with these labels; the same object each time, so keep it. */
  counter<Name extends FamilyName>(name: Name, labels: LabelsOf<Name>): Counter {
    return this.#counter(name, labelValues(name, labels))
  }

  /** What counts a value into the histogram with these labels. */
  histogram<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>): (value: number) => void {
    const bounds: readonly number[] = families[name].bounds
    const common = this.#roomFor(name, labelValues(name, labels), bounds.length + 2)
    // One counter for each bucket, not cumulated, so that reports add up.
    const buckets = [...bounds.map(String), REST].map((bound) => this.#counter(name, [...common, bound]))
    const sum = this.#counter(name, [...common, SUM])
    return (value) => {
      const at = bounds.findIndex((bound) => value <= bound)
      buckets.at(at)!.value++
      sum.value += value
    }
  }

  /** A value that is read when somebody asks for the metrics. */
  gauge<Name extends FamilyName>(name: Name, labels: LabelsOf<Name>, read: () => number): void {
    this.#family(name).gauges.push({ labels: labelValues(name, labels), read })
  }

  /** Plain data, for another thread. */
  report(): FiguresReport {
    const report: Record<string, SeriesReport[]> = {}
    for (const [name, { counters, gauges }] of this.#families) {
      const series: SeriesReport[] = []
      for (const { labels, counter } of counters.values()) series.push([labels, counter.value])
      for (const { labels, read } of gauges) series.push([labels, read()])
      report[name] = series
    }
    return report
  }

  /** The labels of a histogram, or those of the one for all that find no room: its series stay together. */
  #roomFor(name: HistogramName, values: readonly string[], count: number): readonly string[] {
    const { counters } = this.#family(name)
    if (counters.has(JSON.stringify([...values, SUM])) || counters.size + 2 * count <= SERIES_LIMIT) return values
    this.counter('kong_nginx_metric_errors_total', {}).value++
    return values.map(() => OTHER)
  }

  #counter(name: FamilyName, values: readonly string[]): Counter {
    const { counters } = this.#family(name)
    const key = JSON.stringify(values)
    const known = counters.get(key)
    if (known !== undefined) return known.counter
    if (counters.size >= SERIES_LIMIT) {
      if (name !== 'kong_nginx_metric_errors_total') this.counter('kong_nginx_metric_errors_total', {}).value++
      return otherOf(counters, values.length)
    }
    const counter = { value: 0 }
    counters.set(key, { labels: values, counter })
    return counter
  }

  #family(name: FamilyName): Family {
    let family = this.#families.get(name)
    if (family === undefined) this.#families.set(name, (family = { counters: new Map(), gauges: [] }))
    return family
  }
}

function otherOf(counters: Family['counters'], labelCount: number): Counter {
  let other = counters.get(OTHER)
  if (other === undefined) {
    other = { labels: Array.from({ length: labelCount }, () => OTHER), counter: { value: 0 } }
    counters.set(OTHER, other)
  }
  return other.counter
}

/** In the order of the family. */
function labelValues<Name extends FamilyName>(name: Name, labels: LabelsOf<Name>): string[] {
  const family: MetricFamily = families[name]
  return family.labels.map((label) => (labels as Readonly<Record<string, string>>)[label] ?? '')
}
