/**
 * A limit at a moment, and what is used of it: the rules that hold alike where a node decides by its memory and where Redis does.
 * Counters only grow; what of them is used follows from the time.
 *
 * - `fixed`: what was counted in the window.
 * - `sliding`: that, and of the window before the part that a window ending now would still have of it, as if its requests had come
 *   evenly.
 * - `bucket`: it holds `most`, and a unit comes in every `unitMs`. Kept is the moment at which it is full again. What is taken out of
 *   it is counted in windows, too, so that others who take out of it can be told; those windows end nothing.
 */
export type LimitAlgorithm = 'fixed' | 'sliding' | 'bucket'

export interface LimitWindow {
  readonly algorithm: LimitAlgorithm
  /** The most that is admitted; what a bucket holds. */
  readonly most: number
  /** Of a bucket: ms until a unit has come in; else 0. */
  readonly unitMs: number
  /** Says which limit it is, in every window. */
  readonly limitSuffix: string
  /** Say which window it is, and which was before it; put after the name of who is counted. `fixed` has none before. */
  readonly keySuffix: string
  readonly previousSuffix: string
  /** Unix ms. */
  readonly startMs: number
  readonly endMs: number
  /** Until when somebody may ask for it: the next window looks at the one before. */
  readonly keptUntilMs: number
}

export interface LimitDecision {
  /** 0, or the number of the limit that refused, from 1. */
  readonly refusedBy: number
  /** What is used of each limit now. */
  readonly used: readonly number[]
  /** Where a data center has a share only: whether others have some left, so that it may soon be given more. */
  readonly hasMoreElsewhere: boolean
}

/** A request that came in a window may be counted when the next one has begun. */
export const LATE_MS = 2000
/** What others took out of a bucket is owed, up to what it holds: a long partition is not made up for by a long refusal. */
export const MOST_OWED = 2
/** Sums of fractions that are equal but for rounding. */
export const ROUNDING = 1e-9

/** The part of the window before that counts at a moment. */
export function previousWeight({ startMs, endMs }: LimitWindow, nowMs: number): number {
  return Math.min(1, Math.max(0, (endMs - nowMs) / (endMs - startMs)))
}

/** What is missing in a bucket that is full again at `fullAtMs`. */
export function usedOfBucket({ unitMs }: LimitWindow, fullAtMs: number, nowMs: number): number {
  return Math.max(0, fullAtMs - nowMs) / unitMs
}

/** Until all of the limit may be used again, if nobody uses it. */
export function resetMs({ algorithm, unitMs, endMs }: LimitWindow, used: number, nowMs: number): number {
  return algorithm === 'bucket' ? used * unitMs : endMs - nowMs
}

/** Until a cost that was refused may have room: for `sliding` at the latest, as what counts of the window before gets less all the time. */
export function waitMs(window: LimitWindow, used: number, cost: number, nowMs: number): number {
  const { algorithm, most, unitMs, endMs } = window
  return algorithm === 'bucket' ? (used + cost - most) * unitMs : endMs - nowMs
}
