/** What a request used of its limits, from the moment when it was counted to its response, and the headers that say so. */
import { FieldName, type HeaderList } from '#pdk'
import { WINDOW_SECONDS, type LimitWindow, type Period, type PeriodLimit } from '#pdk/calendar-window.ts'

/** A limit with its headers. */
export interface ShownLimit extends PeriodLimit {
  readonly limitHeader: FieldName
  readonly limitText: string
  readonly remainingHeader: FieldName
}

export interface Usage {
  readonly windows: readonly LimitWindow<ShownLimit>[]
  /** What is left in each window, by its index. */
  readonly remaining: readonly number[]
  /** Index of the limit with the fewest requests left, the longest window of several: the general headers speak of it. */
  readonly tightest: number
  /** Seconds until that window ends. */
  readonly resetSeconds: number
  readonly isRefused: boolean
}

const RATELIMIT_LIMIT = new FieldName('RateLimit-Limit')
const RATELIMIT_REMAINING = new FieldName('RateLimit-Remaining')
const RATELIMIT_RESET = new FieldName('RateLimit-Reset')
const RETRY_AFTER = new FieldName('Retry-After')

export function shownLimit(period: Period, limit: number): ShownLimit {
  const name = period.charAt(0).toUpperCase() + period.slice(1)
  return {
    period,
    limit,
    most: Math.ceil(limit),
    limitHeader: new FieldName(`X-RateLimit-Limit-${name}`),
    limitText: String(limit),
    remainingHeader: new FieldName(`X-RateLimit-Remaining-${name}`),
  }
}

export function usageOf(
  windows: readonly LimitWindow<ShownLimit>[],
  remaining: readonly number[],
  nowMs: number,
  isRefused: boolean,
): Usage {
  let tightest = 0
  for (let i = 1; i < windows.length; i++) if (remaining[i]! <= remaining[tightest]!) tightest = i
  const { limit, startMs } = windows[tightest]!
  const resetSeconds = Math.max(1, WINDOW_SECONDS[limit.period] - Math.floor((nowMs - startMs) / 1000))
  return { windows, remaining, tightest, resetSeconds, isRefused }
}

export function writeHeaders(
  headers: HeaderList,
  { windows, remaining, tightest, resetSeconds, isRefused }: Usage,
): void {
  for (let i = 0; i < windows.length; i++) {
    const { limitHeader, limitText, remainingHeader } = windows[i]!.limit
    limitHeader.set(headers, limitText)
    remainingHeader.set(headers, String(remaining[i]))
  }
  RATELIMIT_LIMIT.set(headers, windows[tightest]!.limit.limitText)
  RATELIMIT_REMAINING.set(headers, String(remaining[tightest]))
  RATELIMIT_RESET.set(headers, String(resetSeconds))
  if (isRefused) RETRY_AFTER.set(headers, String(resetSeconds))
}
