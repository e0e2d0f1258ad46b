/** What a side of a split did lately: requests, errors and latencies over a sliding window, in counters that the node's workers share. */
import type { LocalCounters } from '#pdk'

/** The window moves by so many steps. */
const SLOTS = 10
/** Upper bounds of the bins of latencies, ms: each is 1.41 times the one before, from 1 ms to 66 s. */
const BOUNDS = Array.from({ length: 33 }, (_, i) => 2 ** (i / 2))
const ERRORS = 'e'

export interface WindowFigures {
  /** Errors included. */
  readonly requests: number
  readonly errors: number
  /** Requests without error by bin of their latency. */
  readonly bins: readonly number[]
}

export class SlidingWindow {
  readonly #counters: LocalCounters
  readonly #prefix: string
  readonly #slotMs: number

  /** @param prefix names the split, its configuration, and the side */
  constructor(counters: LocalCounters, prefix: string, windowMs: number) {
    this.#counters = counters
    this.#prefix = prefix
    this.#slotMs = windowMs / SLOTS
  }

  /** `latencyMs` null: an error. */
  record(latencyMs: number | null, nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs)
    const bin = latencyMs === null ? ERRORS : String(binOf(latencyMs))
    this.#counters.add(this.#key(slot, bin), 1, (slot + SLOTS + 1) * this.#slotMs)
  }

  read(nowMs: number): WindowFigures {
    const newest = Math.floor(nowMs / this.#slotMs)
    const bins = BOUNDS.map(() => 0)
    let errors = 0
    let requests = 0
    for (let slot = newest - SLOTS + 1; slot <= newest; slot++) {
      errors += this.#counters.read(this.#key(slot, ERRORS))
      for (let bin = 0; bin < bins.length; bin++) {
        const count = this.#counters.read(this.#key(slot, String(bin)))
        bins[bin]! += count
        requests += count
      }
    }
    return { requests: requests + errors, errors, bins }
  }

  /** What was counted until now no longer counts. */
  clear(nowMs: number): void {
    const newest = Math.floor(nowMs / this.#slotMs)
    for (let slot = newest - SLOTS + 1; slot <= newest; slot++) {
      for (const bin of [ERRORS, ...BOUNDS.keys()]) {
        const key = this.#key(slot, String(bin))
        this.#counters.add(key, -this.#counters.read(key), (slot + SLOTS + 1) * this.#slotMs)
      }
    }
  }

  #key(slot: number, bin: string): string {
    return `${this.#prefix}|${slot}|${bin}`
  }
}

function binOf(latencyMs: number): number {
  for (let i = 0; i < BOUNDS.length - 1; i++) if (latencyMs <= BOUNDS[i]!) return i
  return BOUNDS.length - 1
}

/** The latency that this part (percent) of the requests without error were within, ms, by interpolation in its bin; null without any. */
export function percentileOf({ bins }: WindowFigures, percent: number): number | null {
  const all = bins.reduce((sum, count) => sum + count, 0)
  if (all === 0) return null
  const rank = (percent / 100) * all
  let below = 0
  for (const [i, count] of bins.entries()) {
    if (below + count < rank || count === 0) {
      below += count
      continue
    }
    const low = i === 0 ? 0 : BOUNDS[i - 1]!
    return low + ((rank - below) / count) * (BOUNDS[i]! - low)
  }
  return BOUNDS.at(-1)!
}
