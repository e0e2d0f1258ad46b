/** A clock and counters for tests of plugins. */
import type { ClusterCounters, LocalCounters } from './pdk.ts'

const A_DAY = '2030-01-01T00:00:00Z'

/** Time that stands still until it is told to pass. */
export class FakeClock {
  nowMs: number
  constructor(now: number | string = A_DAY) {
    this.nowMs = typeof now === 'number' ? now : Date.parse(now)
  }
  readonly now = (): number => this.nowMs
  advance(ms: number): void {
    this.nowMs += ms
  }
}

/** Counters in a map. */
export class FakeCounters implements LocalCounters, ClusterCounters {
  isSynced = true

  #totals = new Map<string, { total: number; expiresAtMs: number }>()
  #now: () => number

  constructor(clock: FakeClock = new FakeClock()) {
    this.#now = clock.now
  }

  get keys(): string[] {
    return [...this.#totals.keys()]
  }

  add(key: string, amount: number, expiresAtMs: number): number {
    return this.addUpTo(key, amount, Infinity, expiresAtMs)
  }

  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number): number {
    const total = Math.max(0, this.read(key) + amount)
    if (total <= limit) this.#totals.set(key, { total, expiresAtMs })
    return total
  }

  count(key: string, amount: number, expiresAtMs: number): number {
    return this.add(key, amount, expiresAtMs)
  }

  read(key: string): number {
    const counter = this.#totals.get(key)
    return counter === undefined || counter.expiresAtMs <= this.#now() ? 0 : counter.total
  }
}
