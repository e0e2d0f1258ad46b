/** Which part of the requests goes where. */
import { fnv1a } from '#core/fnv1a.ts'

/** Requests are told apart by a number below this. */
export const BUCKETS = 10_000

export interface Ramp {
  readonly startMs: number
  readonly durationMs: number
}

/** How far a ramp is at a moment (Unix ms): 0 before its start, 1 from its end on. */
export function progressOf(ramp: Ramp | null, nowMs: number): number {
  if (ramp === null) return 1
  const part = (nowMs - ramp.startMs) / ramp.durationMs
  return part <= 0 ? 0 : part >= 1 ? 1 : part
}

/**
 * Each target has a range of buckets as wide as its weight, and takes the first part of it, as far as the ramp is. So who came to a target
 * stays there while its share grows, and what becomes of one target moves nobody between the others.
 */
export class Shares {
  /** Where the range of each begins; the last ends where nothing follows. */
  readonly #starts: readonly number[]
  readonly #widths: readonly number[]

  constructor(weights: readonly number[]) {
    const starts: number[] = []
    let at = 0
    for (const weight of weights) {
      starts.push(at)
      at += (weight / 100) * BUCKETS
    }
    this.#starts = starts
    this.#widths = weights.map((weight) => (weight / 100) * BUCKETS)
  }

  /** The number of the target; -1 for the route's own service. */
  at(bucket: number, progress: number): number {
    for (let i = 0; i < this.#starts.length; i++) {
      const offset = bucket - this.#starts[i]!
      if (offset >= 0 && offset < this.#widths[i]!) return offset < this.#widths[i]! * progress ? i : -1
    }
    return -1
  }
}

/** A bucket for a text: the same on every node. */
export function bucketOf(salt: string, text: string): number {
  let hash = fnv1a(text, fnv1a(salt))
  // FNV leaves the high bits of short texts alike; this spreads them (the end of MurmurHash3).
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) % BUCKETS
}
