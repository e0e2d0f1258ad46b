/** When an exchange and the tries in it began and ended, as spans tell it: Unix ms with fractions. */
import type { Exchange } from '#pdk'

export interface Times {
  readonly startMs: number
  readonly endMs: number
}

export interface ExchangeTimes extends Times {
  /** `performance.now()` at the start. */
  readonly beganMs: number
}

/** For the log phases, of HTTP and of sessions. */
export function timesOf({ startedAtMs, totalLatencyMs }: Exchange): ExchangeTimes {
  const tookMs = Math.max(0, totalLatencyMs)
  return { startMs: startedAtMs, endMs: startedAtMs + tookMs, beganMs: performance.now() - tookMs }
}

/** The Unix time of a moment that `performance.now()` gave during the exchange, and never outside of it. */
export function momentOf({ startMs, endMs, beganMs }: ExchangeTimes, atMs: number): number {
  return within(startMs + atMs - beganMs, startMs, endMs)
}

/** Of the try with this index: a try ends where the next one begins, the last one with the exchange. */
export function timesOfTry({ tries }: Exchange, at: number, { startMs, endMs }: Times): Times {
  const beganMs = within(tries[at]!.startedAtMs, startMs, endMs)
  const next = tries[at + 1]
  return { startMs: beganMs, endMs: next === undefined ? endMs : within(next.startedAtMs, beganMs, endMs) }
}

function within(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value))
}
