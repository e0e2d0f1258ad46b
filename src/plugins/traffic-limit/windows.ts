/** The limits of a configuration, and the windows that they are in at a moment. */
import { PERIODS, windowEnd, windowStart, type Period } from '#pdk/calendar-window.ts'
import { LATE_MS, MOST_OWED, type LimitAlgorithm, type LimitWindow } from '#pdk'

/** A limit as it is configured. */
export interface ConfiguredLimit {
  readonly limit: number
  readonly window: string
  readonly algorithm: LimitAlgorithm
  readonly burst: number | null
  readonly name: string | null
}

/** What of a limit does not depend on the moment. */
export interface NamedLimit {
  readonly name: string
  readonly algorithm: LimitAlgorithm
  /** What is said to clients as the limit. */
  readonly limit: number
  readonly most: number
  readonly unitMs: number
  /** Set where the window is one of the calendar; else its length. */
  readonly period: Period | null
  readonly lengthMs: number
  /** In which clients may use the limit once: for `w` of the header. */
  readonly windowSeconds: number
}

const LONGEST_S = 366 * 86_400
/** Shorter ones would only make keys. */
const SHORTEST_BUCKET_MS = 60_000
const LENGTHS_S: Readonly<Record<Period, number>> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86_400,
  month: 31 * 86_400,
  year: LONGEST_S,
}

/** What is wrong with a limit: the field, and why; null for nothing. */
export function problemOf({ window, algorithm, burst, name }: ConfiguredLimit): [string, string] | null {
  if (!isPeriod(window) && secondsOf(window) === null)
    return ['window', `expected ${PERIODS.join(', ')}, or seconds from 1s to ${LONGEST_S}s, got '${window}'`]
  if (burst !== null && algorithm !== 'bucket') return ['burst', `expected none with algorithm '${algorithm}'`]
  if (name !== null && !/^[A-Za-z][A-Za-z0-9-]*$/.test(name))
    return ['name', `expected letters, digits and -, beginning with a letter, got '${name}'`]
  return null
}

export function namedLimit({ limit, window, algorithm, burst, name }: ConfiguredLimit): NamedLimit {
  const period = isPeriod(window) ? window : null
  const seconds = period === null ? secondsOf(window)! : LENGTHS_S[period]
  const isBucket = algorithm === 'bucket'
  const most = isBucket ? (burst ?? limit) : limit
  const unitMs = isBucket ? (seconds * 1000) / limit : 0
  return {
    name: name ?? (period === null ? `window-${window}` : window),
    algorithm,
    limit,
    most,
    unitMs,
    period: isBucket ? null : period,
    // Two of them are longer than a bucket takes until nothing is missing or owed.
    lengthMs: isBucket ? Math.max(SHORTEST_BUCKET_MS, Math.ceil(MOST_OWED * most * unitMs)) : seconds * 1000,
    windowSeconds: seconds,
  }
}

/** Windows of several limits, worked out once for each set of windows. */
export class LimitWindows {
  readonly limits: readonly NamedLimit[]
  #windows: readonly LimitWindow[] = []
  #fromMs = 0
  /** While the windows are these. */
  #untilMs = 0

  constructor(limits: readonly ConfiguredLimit[]) {
    this.limits = limits.map(namedLimit)
  }

  at(nowMs: number): readonly LimitWindow[] {
    if (nowMs < this.#fromMs || nowMs >= this.#untilMs) {
      this.#windows = this.limits.map((limit) => windowAt(limit, nowMs))
      this.#fromMs = Math.max(...this.#windows.map(({ startMs }) => startMs))
      this.#untilMs = Math.min(...this.#windows.map(({ endMs }) => endMs))
    }
    return this.#windows
  }
}

function windowAt({ name, algorithm, most, unitMs, period, lengthMs }: NamedLimit, nowMs: number): LimitWindow {
  const startMs = period === null ? nowMs - (nowMs % lengthMs) : windowStart(period, nowMs)
  const endMs = period === null ? startMs + lengthMs : windowEnd(period, startMs)
  const beforeMs = period === null ? startMs - lengthMs : windowStart(period, startMs - 1)
  // What changes how counts are to be read begins anew.
  const limitSuffix = `:${algorithm.charAt(0)}${period ?? lengthMs.toString(36)}.${name}`
  const isFixed = algorithm === 'fixed'
  return {
    algorithm,
    most,
    unitMs,
    limitSuffix,
    keySuffix: `${limitSuffix}:${startMs.toString(36)}`,
    previousSuffix: isFixed ? '' : `${limitSuffix}:${beforeMs.toString(36)}`,
    startMs,
    endMs,
    keptUntilMs: LATE_MS + (isFixed ? endMs : period === null ? endMs + lengthMs : windowEnd(period, endMs)),
  }
}

function isPeriod(window: string): window is Period {
  return (PERIODS as readonly string[]).includes(window)
}

function secondsOf(window: string): number | null {
  const seconds = /^[1-9]\d{0,8}s$/.test(window) ? Number(window.slice(0, -1)) : 0
  return seconds > 0 && seconds <= LONGEST_S ? seconds : null
}
