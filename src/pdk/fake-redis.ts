/** Redis for tests of plugins. */
import { FakeClock, FakeCounters } from './fake-counters.ts'
import { FakeLimiter } from './fake-limiter.ts'
import type { LimiterOptions } from '#model/limiter.ts'
import type { CounterWindow, RedisBlock, RedisCounters, StrictCounters, SyncedCounters } from './pdk.ts'

/** A Redis in memory, which a test makes answer or not. */
export class FakeRedis implements RedisCounters {
  /** Of those that were opened and not closed. */
  readonly open: { readonly block: RedisBlock; readonly seconds: number | null }[] = []
  readonly counters: FakeCounters
  readonly alone: FakeCounters
  /** False: nothing is sent any more. */
  isUp = true
  /** What is sent is not answered in time. */
  isSilent = false

  constructor(clock: FakeClock = new FakeClock()) {
    this.counters = new FakeCounters(clock)
    this.alone = new FakeCounters(clock)
  }

  strict(block: RedisBlock): StrictCounters {
    return new FakeStrictCounters(this, this.#opened(block, null))
  }

  synced(block: RedisBlock, seconds: number): SyncedCounters {
    return new FakeSyncedCounters(this, this.#opened(block, seconds))
  }

  /** Those that were opened, with what was asked for. */
  readonly limiters: { readonly options: LimiterOptions; readonly limiter: FakeLimiter }[] = []

  limiter(options: LimiterOptions): FakeLimiter {
    const limiter = new FakeLimiter()
    this.limiters.push({ options, limiter })
    return limiter
  }

  #opened(block: RedisBlock, seconds: number | null): () => void {
    const one = { block, seconds }
    this.open.push(one)
    return () => this.open.splice(this.open.indexOf(one), 1)
  }
}

type FakeAnswer = Promise<readonly number[] | null> | null

class FakeStrictCounters implements StrictCounters {
  readonly #redis: FakeRedis
  readonly close: () => void

  constructor(redis: FakeRedis, close: () => void) {
    this.#redis = redis
    this.close = close
  }

  get isUp(): boolean {
    return this.#redis.isUp
  }

  take(key: string, cost: number, windows: readonly CounterWindow[]): FakeAnswer {
    return this.#answer((counters) => takeFrom(counters, key, cost, windows, true))
  }

  read(key: string, windows: readonly CounterWindow[]): FakeAnswer {
    return this.#answer((counters) => takeFrom(counters, key, 0, windows, false))
  }

  add(key: string, amount: number, windows: readonly CounterWindow[]): FakeAnswer {
    return this.#answer((counters) => takeFrom(counters, key, amount, windows, false))
  }

  takeAlone(key: string, cost: number, windows: readonly CounterWindow[]): readonly number[] {
    return takeFrom(this.#redis.alone, key, cost, windows, true)
  }

  readAlone(key: string, windows: readonly CounterWindow[]): readonly number[] {
    return takeFrom(this.#redis.alone, key, 0, windows, false)
  }

  addAlone(key: string, amount: number, windows: readonly CounterWindow[]): void {
    takeFrom(this.#redis.alone, key, amount, windows, false)
  }

  #answer(run: (counters: FakeCounters) => readonly number[]): FakeAnswer {
    if (!this.#redis.isUp) return null
    return Promise.resolve(this.#redis.isSilent ? null : run(this.#redis.counters))
  }
}

function takeFrom(
  counters: FakeCounters,
  key: string,
  cost: number,
  windows: readonly CounterWindow[],
  isLimited: boolean,
): readonly number[] {
  const totals = windows.map((window) => counters.read(key + window.keySuffix))
  const refused = windows.findIndex(({ most }, index) => isLimited && totals[index]! + cost > most)
  if (refused >= 0) return [refused + 1, ...totals]
  return [0, ...windows.map(({ keySuffix, endMs }) => counters.add(key + keySuffix, cost, endMs))]
}

class FakeSyncedCounters implements SyncedCounters {
  readonly #redis: FakeRedis
  readonly close: () => void

  constructor(redis: FakeRedis, close: () => void) {
    this.#redis = redis
    this.close = close
  }

  get isSynced(): boolean {
    return this.#redis.isUp
  }

  add(key: string, amount: number, expiresAtMs: number): number {
    return this.#redis.counters.add(key, amount, expiresAtMs)
  }

  count(key: string, amount: number, expiresAtMs: number): number {
    return this.#redis.counters.add(key, amount, expiresAtMs)
  }

  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number): number {
    return this.#redis.counters.addUpTo(key, amount, limit, expiresAtMs)
  }

  read(key: string): number {
    return this.#redis.counters.read(key)
  }
}
