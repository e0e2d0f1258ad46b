/** What a request finds used of its limits, what its response uses, and the headers that say so. */
import { FieldName, type Exchange, type HeaderList } from '#pdk'
import { CalendarLimits, PERIODS, type LimitWindow, type Period, type PeriodLimit } from '#pdk/calendar-window.ts'

/** A limit of a period with its headers. */
export interface ShownPeriod extends PeriodLimit {
  readonly limitHeader: FieldName
  readonly limitText: string
  readonly remainingHeader: FieldName
}

/** What a response may use, such as `sms`. */
export interface NamedLimit {
  readonly name: string
  readonly calendar: CalendarLimits<ShownPeriod>
  /** Tells the upstream what is left. */
  readonly remainingHeader: FieldName
}

export type Windows = readonly LimitWindow<ShownPeriod>[]

export interface Usage {
  /** Who is counted. */
  readonly key: string
  /** By index of the named limit: its windows, and what is left in each. */
  readonly windows: readonly Windows[]
  readonly remaining: readonly (readonly number[])[]
  /** What the response uses, by index; set when its head is there. */
  increments: readonly number[]
  isRefused: boolean
}

export function namedLimit(name: string, periods: Readonly<Record<Period, number | null>>): NamedLimit {
  const limits = PERIODS.flatMap((period) => {
    const limit = periods[period]
    if (limit === null) return []
    return [
      {
        period,
        limit,
        most: Math.ceil(limit),
        limitHeader: new FieldName(`X-RateLimit-Limit-${name}-${period}`),
        limitText: String(limit),
        remainingHeader: new FieldName(`X-RateLimit-Remaining-${name}-${period}`),
      },
    ]
  })
  return {
    name,
    calendar: new CalendarLimits(limits, `:${name}`),
    remainingHeader: new FieldName(`X-RateLimit-Remaining-${name}`),
  }
}

/** `totals`: of the windows of all limits, one after the other. */
export function usageOf(key: string, windows: readonly Windows[], totals: readonly number[]): Usage {
  let at = 0
  const remaining = windows.map((ofLimit) => ofLimit.map(({ limit }) => Math.max(0, limit.limit - totals[at++]!)))
  return { key, windows, remaining, increments: [], isRefused: false }
}

/** `sms=1, mail=2`, in one field or several; of one that is named twice the last holds. What is no number from 0 on is left out. */
export function parseIncrements(values: readonly string[], limits: readonly NamedLimit[]): number[] {
  const increments = limits.map(() => 0)
  for (const part of values.flatMap((value) => value.split(','))) {
    const [name = '', amount = '', ...rest] = part.split('=').map((text) => text.trim())
    const index = limits.findIndex((limit) => limit.name === name)
    if (index >= 0 && rest.length === 0 && /^\d{1,12}(\.\d{1,6})?$/.test(amount)) increments[index] = Number(amount)
  }
  return increments
}

/** What is left of each limit, the least of its periods. */
export function tellUpstream({ request }: Exchange, limits: readonly NamedLimit[], { remaining }: Usage): void {
  for (const [index, { remainingHeader }] of limits.entries())
    remainingHeader.set(request.headers, String(Math.min(...remaining[index]!)))
}

export function tellClient(headers: HeaderList, { windows, remaining, increments }: Usage): void {
  for (const [index, ofLimit] of windows.entries()) {
    for (const [at, { limit }] of ofLimit.entries()) {
      limit.limitHeader.set(headers, limit.limitText)
      limit.remainingHeader.set(headers, String(Math.max(0, remaining[index]![at]! - (increments[index] ?? 0))))
    }
  }
}
