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
