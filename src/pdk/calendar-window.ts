/** The windows in which requests are counted: UTC calendar periods, as Kong's rate-limiting has them. */

export const PERIODS = ['second', 'minute', 'hour', 'day', 'month', 'year'] as const
export type Period = (typeof PERIODS)[number]

/** Seconds that Kong takes a window for when it tells the client how long to wait, whatever the month. */
export const WINDOW_SECONDS: Readonly<Record<Period, number>> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86_400,
  month: 2_592_000,
  year: 31_536_000,
}

/** First millisecond of the period around a moment. */
export function windowStart(period: Period, nowMs: number): number {
  if (period === 'month' || period === 'year') {
    const date = new Date(nowMs)
    return Date.UTC(date.getUTCFullYear(), period === 'month' ? date.getUTCMonth() : 0)
  }
  return nowMs - (nowMs % (WINDOW_SECONDS[period] * 1000))
}

/** First millisecond after the period. */
export function windowEnd(period: Period, startMs: number): number {
  if (period === 'month' || period === 'year') {
    const date = new Date(startMs)
    return period === 'month'
      ? Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1)
      : Date.UTC(date.getUTCFullYear() + 1)
  }
  return startMs + WINDOW_SECONDS[period] * 1000
}

/** A limit per period; what of it does not depend on the moment. */
export interface PeriodLimit {
  readonly period: Period
  readonly limit: number
  /** The most that is admitted: one more as long as the count is below the limit, also where that is not whole. */
  readonly most: number
}

/** A window of a limit: never changed, so that what waits for an answer still has the one that it asked about. */
export interface LimitWindow<L extends PeriodLimit = PeriodLimit> {
  readonly limit: L
  readonly most: number
  /** Says which window it is: put after the name of who is counted. */
  readonly keySuffix: string
  readonly startMs: number
  readonly endMs: number
}

/** Limits in the order of their periods, and the windows that they are in. */
export class CalendarLimits<L extends PeriodLimit> {
  readonly limits: readonly L[]
  readonly #named: string
  #windows: readonly LimitWindow<L>[] = []
  /** While the windows are these. */
  #fromMs = 0
  #untilMs = 0

  /** `named` keeps limits apart that count for the same name. */
  constructor(limits: readonly L[], named = '') {
    this.limits = limits
    this.#named = named
  }

  /** The windows around a moment; worked out once for each set of windows. */
  at(nowMs: number): readonly LimitWindow<L>[] {
    if (nowMs < this.#fromMs || nowMs >= this.#untilMs) this.#enter(nowMs)
    return this.#windows
  }

  #enter(nowMs: number): void {
    this.#fromMs = 0
    this.#untilMs = Infinity
    this.#windows = this.limits.map((limit) => {
      const startMs = windowStart(limit.period, nowMs)
      const endMs = windowEnd(limit.period, startMs)
      this.#fromMs = Math.max(this.#fromMs, startMs)
      this.#untilMs = Math.min(this.#untilMs, endMs)
      const keySuffix = `${this.#named}:${limit.period}${(startMs / 1000).toString(36)}`
      return { limit, most: limit.most, keySuffix, startMs, endMs }
    })
  }
}
