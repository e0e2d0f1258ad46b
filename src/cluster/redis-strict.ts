/**
 * Counters that are in Redis alone: each decision is one script there, over all windows of a limit. Besides, the node's memory has
 * what the node itself admitted and the total that is known. By both it limits while Redis does not answer, and both are told to
 * Redis with each decision, so that it learns what was admitted without it, and what it has lost.
 */
import { shareOf, sharedName, shortName } from './counter-name.ts'
import { UNTOLD_MAX, type RedisCountingOptions } from './redis-counting.ts'
import { RedisFailure, type RedisLink } from './redis-link.ts'
import { TAKE } from './redis-scripts.ts'

/** A window of a limit at a moment. */
export interface CounterWindow {
  /** Says which window it is; put after the name of who is counted. */
  readonly keySuffix: string
  /** The most that is admitted. */
  readonly most: number
  readonly endMs: number
}

export interface StrictCountersOptions extends RedisCountingOptions {
  readonly link: Pick<RedisLink, 'run' | 'isUp' | 'answersFor' | 'onUp'>
}

/** A request that came in a window may be counted when the next one has begun. */
const LATE_MS = 2000
const UNLIMITED = -1

export class StrictCounters {
  readonly #options: StrictCountersOptions
  /** What was decided without Redis, by its name. */
  readonly #untold = new Map<string, { readonly key: string; readonly windows: readonly CounterWindow[] }>()
  readonly #forgetLink: () => void

  constructor(options: StrictCountersOptions) {
    this.#options = options
    this.#forgetLink = options.link.onUp(() => this.#tell())
  }

  get isUp(): boolean {
    return this.#options.link.isUp
  }

  /**
   * Adds the cost to every window if all have room, else to none. Answers 0 or the number of the window that refused, from 1, and
   * then the totals (what follows is of no use to others); null when Redis did not answer in time. Never rejects.
   */
  take(key: string, cost: number, windows: readonly CounterWindow[]): Promise<readonly number[] | null> | null {
    return this.#run(key, cost, windows, true)
  }

  /** The totals, without adding anything; answered as by `take`. */
  read(key: string, windows: readonly CounterWindow[]): Promise<readonly number[] | null> | null {
    return this.#run(key, 0, windows, false)
  }

  /** Adds, whatever the limits. */
  add(key: string, amount: number, windows: readonly CounterWindow[]): Promise<readonly number[] | null> | null {
    return this.#run(key, amount, windows, false)
  }

  /** Without Redis: adds within this node's share, and within what was known to be left. Answers as `take` does. */
  takeAlone(key: string, cost: number, windows: readonly CounterWindow[]): readonly number[] {
    Atomics.add(this.#options.timesAlone, 0, 1)
    for (const [index, window] of windows.entries()) {
      if (this.#addAlone(key, cost, window)) continue
      for (const earlier of windows.slice(0, index)) this.#takeBack(key, cost, earlier)
      return [index + 1, ...windows.map((each) => this.#usedAlone(key, each))]
    }
    this.#noteUntold(key, windows)
    return [0, ...windows.map((window) => this.#usedAlone(key, window))]
  }

  /** Without Redis: what is used up for this node. */
  readAlone(key: string, windows: readonly CounterWindow[]): readonly number[] {
    return [0, ...windows.map((window) => this.#usedAlone(key, window))]
  }

  /** Without Redis: adds, whatever the limits. */
  addAlone(key: string, amount: number, windows: readonly CounterWindow[]): void {
    Atomics.add(this.#options.timesAlone, 0, 1)
    for (const window of windows) {
      const name = this.#tableName(key, window)
      this.#options.own.add(name, amount, window.endMs + LATE_MS)
      this.#options.known.add(name, amount, window.endMs + LATE_MS)
    }
    this.#noteUntold(key, windows)
  }

  close(): void {
    this.#forgetLink()
    this.#options.release()
  }

  #run(
    key: string,
    cost: number,
    windows: readonly CounterWindow[],
    isLimited: boolean,
  ): Promise<readonly number[] | null> | null {
    const { link, keyPrefix, own, known, timesAlone, incarnation, now, note } = this.#options
    const tag = `${keyPrefix}{${sharedName(key)}}`
    if (!link.answersFor(tag)) return null
    const nowMs = now()
    const timesBefore = Atomics.load(timesAlone, 0)
    const keys: string[] = []
    const args: (string | number)[] = [incarnation, cost]
    for (const window of windows) {
      const name = this.#tableName(key, window)
      keys.push(tag + window.keySuffix)
      args.push(
        isLimited ? window.most : UNLIMITED,
        Math.max(1, Math.ceil(window.endMs + LATE_MS - nowMs)),
        known.read(name),
        own.read(name),
      )
    }
    return link.run(TAKE, keys, args).then((answer) => {
      if (answer instanceof RedisFailure) return null
      if ((answer as readonly number[])[0] === 0) for (const each of keys) note(each)
      const isExact = Atomics.load(timesAlone, 0) === timesBefore
      this.#remember(key, cost, windows, answer as readonly number[], isExact)
      return answer as readonly number[]
    })
  }

  /**
   * What Redis says this node admitted does not have what it admitted alone while the answer was under way: then this one comes on
   * top, which counts too much rather than too little.
   */
  #remember(
    key: string,
    cost: number,
    windows: readonly CounterWindow[],
    answer: readonly number[],
    isExact: boolean,
  ): void {
    const { own, known } = this.#options
    for (let i = 0; i < windows.length; i++) {
      const window = windows[i]!
      const name = this.#tableName(key, window)
      const expiresAtMs = window.endMs + LATE_MS
      known.raiseTo(name, answer[1 + i]!, expiresAtMs)
      if (isExact) own.raiseTo(name, answer[1 + windows.length + i]!, expiresAtMs)
      else if (answer[0] === 0) own.add(name, cost, expiresAtMs)
    }
  }

  #noteUntold(key: string, windows: readonly CounterWindow[]): void {
    if (this.#untold.size < UNTOLD_MAX) this.#untold.set(key + windows[0]!.keySuffix, { key, windows })
  }

  /** Redis is there again: what was admitted alone is told at once, so that the other nodes hear of it before they decide. */
  #tell(): void {
    const untold = [...this.#untold.values()]
    this.#untold.clear()
    for (const { key, windows } of untold) void this.read(key, windows)
  }

  #addAlone(key: string, cost: number, window: CounterWindow): boolean {
    const { own, known, nodes } = this.#options
    const name = this.#tableName(key, window)
    const expiresAtMs = window.endMs + LATE_MS
    if (known.addUpTo(name, cost, window.most, expiresAtMs) > window.most) return false
    const share = shareOf(window.most, nodes())
    if (own.addUpTo(name, cost, share, expiresAtMs) <= share) return true
    known.add(name, -cost, expiresAtMs)
    return false
  }

  #takeBack(key: string, cost: number, window: CounterWindow): void {
    const { own, known } = this.#options
    const name = this.#tableName(key, window)
    own.add(name, -cost, window.endMs + LATE_MS)
    known.add(name, -cost, window.endMs + LATE_MS)
  }

  /** What is used up for this node: what is not left of its share is used up by others. */
  #usedAlone(key: string, window: CounterWindow): number {
    const { own, known, nodes } = this.#options
    const name = this.#tableName(key, window)
    const left = Math.min(window.most - known.read(name), shareOf(window.most, nodes()) - own.read(name))
    return window.most - Math.max(0, left)
  }

  #tableName(key: string, window: CounterWindow): string {
    return this.#options.name + shortName(key) + window.keySuffix
  }
}
