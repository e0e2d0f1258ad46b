/**
 * Keeps the counters of this node and those of the others in step, on the main thread: in rounds it reads the rows of the counters
 * that grew, adds up those of other nodes, and overwrites this node's own. A row belongs to one start of one node and only grows,
 * so reading late, twice or in any order never counts anything twice, and a restart begins a row of its own beside the old one.
 */
import type { Logger } from '#telemetry/logger.ts'
import type { ClusterCounterBuffers, CountedKey } from './cluster-counters.ts'
import { sharedName } from './counter-name.ts'
import { createLocalCounters, type LocalCountersTable } from './local-counters.ts'

/** Where the nodes' rows are: Cassandra or Redis. */
export interface CounterRows {
  /**
   * Writes this node's row if it has more than the one that is there, and answers what there is. First the rows, then the own one:
   * when this node's table had to drop a counter, its row still has the count, which is not to go back. Rows end some time after
   * `expiresAtMs` by themselves; those of nodes that have ended since the window began count, too.
   */
  exchange(counter: CounterName, row: CounterRow, expiresAtMs: number): Promise<CounterTotals>
}

export interface CounterTotals {
  /** In this node's row. */
  readonly own: number
  /** Of all other rows. */
  readonly others: number
}

export interface CounterName {
  /** The same on all nodes; says nothing of who is counted. */
  readonly key: string
  readonly windowStartMs: number
}

export interface CounterRow {
  /** One start of one node. */
  readonly incarnation: string
  readonly count: number
}

export interface CounterSyncOptions {
  readonly buffers: ClusterCounterBuffers
  readonly rows: CounterRows
  readonly incarnation: string
  readonly log: Pick<Logger, 'warn' | 'info'>
  readonly now: () => number
  readonly monotonicMs: () => number
  /** Rejects when the signal gives it up. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>
  /** Counters that may wait for their turn; a test has fewer. */
  readonly waitingMax?: number
  /** Names a counter for all nodes; says nothing of who is counted. By default its digest. */
  readonly nameOf?: (key: string) => string
  /** Between the starts of two rounds; by default `SYNC_MS`. */
  readonly syncMs?: number
  /** Counters in a round; by default `ROUND_COUNTERS`. */
  readonly roundCounters?: number
}

/** Between the starts of two rounds. */
export const SYNC_MS = 200
/** Counters in a round, which ends earlier when its time is over: 1,250 a second with two statements each cost up to a quarter of a core. */
export const ROUND_COUNTERS = 250
/** Counters whose statements are under way at a time. */
const AT_ONCE = 64
/** A round that has not ended by then has failed; what it still has under way may arrive later and does no harm. */
const ROUND_MS = 1000
/** Without success for so long, or with a counter that waits for so long, the counts are out of step. */
export const OUT_OF_STEP_MS = 2000
/** Counters that wait, and counters that are looked at again, at most: some 10 MB each. */
const WAITING_MAX = 20_000
/** A counter that is not used is looked at again after twice this, then after twice as long each time, up to the longest. */
const LONGEST_PAUSE_MS = 60_000
/** Read to find out whether the rows can be read again while no counter waits. */
const NOBODY: CounterName = { key: 'nobody', windowStartMs: 0 }

interface Tracked extends CountedKey {
  readonly name: CounterName
  /** Since when its growth is not written; on the monotonic clock. */
  grewAtMs: number
  /** When an unused one is looked at again, and how long it pauses before. */
  dueAtMs: number
  pauseMs: number
}

interface Round {
  /** Of those that waited when it began. */
  left: number
  /** Those to look at again. */
  readonly due: Tracked[]
  readonly endsAtMs: number
  isOver: boolean
}

export class CounterSync {
  readonly buffers: ClusterCounterBuffers
  /** Rounds that failed, since the start. */
  failures = 0
  /** Counters that were not shared since too many waited. */
  dropped = 0
  readonly #options: CounterSyncOptions
  readonly #syncMs: number
  readonly #own: LocalCountersTable
  readonly #others: LocalCountersTable
  readonly #state: Int32Array
  /** Those that grew, the longest waiting first. */
  readonly #waiting = new Map<string, Tracked>()
  /** Those that did not grow lately, whose rows may. */
  readonly #idle = new Map<string, Tracked>()
  #failingSinceMs: number | null = null
  #running: Promise<void> = Promise.resolve()
  #isClosed = false
  readonly #closing = new AbortController()

  constructor(options: CounterSyncOptions) {
    this.#options = options
    this.#syncMs = options.syncMs ?? SYNC_MS
    this.buffers = options.buffers
    this.#own = createLocalCounters(options.buffers.own, { now: options.now })
    this.#others = createLocalCounters(options.buffers.others, { now: options.now })
    this.#state = new Int32Array(options.buffers.state)
  }

  get isSynced(): boolean {
    return Atomics.load(this.#state, 0) === 0
  }

  /** Counters that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Counters in memory, waiting or not. */
  get tracked(): number {
    return this.#waiting.size + this.#idle.size
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Ends with a last round, so that a restart does not lose what was just counted. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#closing.abort()
    await this.#running
    if (this.#failingSinceMs === null && this.#waiting.size > 0) await this.round()
  }

  /** Takes up what workers counted. */
  take(counted: readonly CountedKey[]): void {
    for (const one of counted) {
      if (this.#waiting.has(one.key)) continue
      const grewAtMs = this.#options.monotonicMs()
      const known = this.#idle.get(one.key)
      if (known !== undefined) {
        this.#idle.delete(one.key)
        this.#wait({ ...known, grewAtMs, pauseMs: this.#syncMs })
      } else if (this.#isFull()) this.dropped++
      else this.#waiting.set(one.key, { ...one, name: this.#nameOf(one), grewAtMs, dueAtMs: 0, pauseMs: this.#syncMs })
    }
  }

  /** Once through what waits, as far as a round goes. */
  async round(): Promise<void> {
    const round = this.#begin()
    try {
      await this.#inTime(this.#syncAll(round))
      this.#failingSinceMs = null
    } catch (error) {
      round.isOver = true
      this.failures++
      this.#failingSinceMs ??= this.#options.monotonicMs()
      this.#judge(error)
      return
    }
    this.#judge(null)
  }

  async #run(): Promise<void> {
    const { monotonicMs, delay } = this.#options
    while (!this.#isClosed) {
      const startedAtMs = monotonicMs()
      await this.round()
      const leftMs = Math.max(1, startedAtMs + this.#syncMs - monotonicMs())
      // Given up when this is closed.
      await delay(leftMs, this.#closing.signal).catch(() => undefined)
    }
  }

  #nameOf({ key, startsAtMs }: CountedKey): CounterName {
    const { nameOf = sharedName } = this.#options
    return { key: nameOf(key), windowStartMs: startsAtMs }
  }

  #wait(tracked: Tracked): void {
    if (this.#isFull()) this.dropped++
    else this.#waiting.set(tracked.key, tracked)
  }

  #isFull(): boolean {
    return this.#waiting.size >= (this.#options.waitingMax ?? WAITING_MAX)
  }

  /** While nothing works, a round is for one counter that tries. */
  #begin(): Round {
    const nowMs = this.#options.now()
    const steadyMs = this.#options.monotonicMs()
    const most = this.#failingSinceMs === null ? (this.#options.roundCounters ?? ROUND_COUNTERS) : 1
    const left = Math.min(most, this.#waiting.size)
    const due: Tracked[] = []
    for (const [key, tracked] of this.#idle) {
      if (tracked.expiresAtMs <= nowMs) this.#idle.delete(key)
      else if (tracked.dueAtMs <= steadyMs && left + due.length < most) due.push(tracked)
    }
    return { left, due, endsAtMs: steadyMs + this.#syncMs, isOver: false }
  }

  /** Takes out the longest waiting, then what to look at again; null when the round is over. */
  #next(round: Round): Tracked | null {
    const steadyMs = this.#options.monotonicMs()
    if (round.isOver || steadyMs >= round.endsAtMs) return null
    const nowMs = this.#options.now()
    while (round.left > 0) {
      const [tracked] = this.#waiting.values()
      if (tracked === undefined) break
      this.#waiting.delete(tracked.key)
      // Its window has ended, and nobody needs to know any more.
      if (tracked.expiresAtMs <= nowMs) continue
      round.left--
      return tracked
    }
    for (let tracked = round.due.pop(); tracked !== undefined; tracked = round.due.pop()) {
      // It may have grown meanwhile, and waits.
      if (this.#idle.get(tracked.key) !== tracked) continue
      this.#idle.delete(tracked.key)
      tracked.grewAtMs = steadyMs
      return tracked
    }
    return null
  }

  async #syncAll(round: Round): Promise<void> {
    const count = round.left + round.due.length
    let hasAsked = false
    let failure: { readonly error: unknown } | null = null
    const run = async (): Promise<void> => {
      for (let tracked = this.#next(round); tracked !== null; tracked = this.#next(round)) {
        hasAsked = true
        try {
          await this.#sync(tracked)
          this.#rest(tracked)
        } catch (error) {
          failure = { error }
          round.isOver = true
          this.#again(tracked)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, run))
    if (failure !== null) throw (failure as { readonly error: unknown }).error
    // Only an answer says that rows can be reached again, and what waited may have ended.
    if (!hasAsked && this.#failingSinceMs !== null) await this.#exchange(NOBODY, 0, this.#options.now())
  }

  /** What is known never gets less: totals as of some moment may come late. */
  async #sync({ key, name, expiresAtMs }: Tracked): Promise<void> {
    const { own, others } = await this.#exchange(name, this.#own.read(key), expiresAtMs)
    this.#others.raiseTo(key, others, expiresAtMs)
    this.#own.raiseTo(key, own, expiresAtMs)
  }

  #exchange(name: CounterName, count: number, expiresAtMs: number): Promise<CounterTotals> {
    const { rows, incarnation } = this.#options
    return rows.exchange(name, { incarnation, count }, expiresAtMs)
  }

  /** Its rows are known. It is looked at some more times, so that the next request finds what others counted meanwhile. */
  #rest(tracked: Tracked): void {
    if (this.#waiting.has(tracked.key)) return
    tracked.pauseMs *= 2
    if (tracked.pauseMs > LONGEST_PAUSE_MS) return
    tracked.dueAtMs = this.#options.monotonicMs() + tracked.pauseMs
    const [oldest] = this.#idle.keys()
    if (oldest !== undefined && this.#idle.size >= (this.#options.waitingMax ?? WAITING_MAX)) this.#idle.delete(oldest)
    this.#idle.set(tracked.key, tracked)
  }

  #again(tracked: Tracked): void {
    if (!this.#waiting.has(tracked.key)) this.#wait(tracked)
  }

  /** Tells workers and log when the counts get out of step, and when they are in step again. */
  #judge(error: unknown): void {
    const nowMs = this.#options.monotonicMs()
    let oldestMs = this.#failingSinceMs ?? nowMs
    for (const { grewAtMs } of this.#waiting.values()) oldestMs = Math.min(oldestMs, grewAtMs)
    const isLate = nowMs - oldestMs > Math.max(OUT_OF_STEP_MS, 3 * this.#syncMs)
    if (this.isSynced && isLate) {
      Atomics.store(this.#state, 0, 1)
      this.#options.log.warn(
        { err: error ?? undefined, waiting: this.#waiting.size },
        'the counts of rate limits are not exchanged with the other nodes, this node limits by what it knows',
      )
    } else if (!this.isSynced && !isLate && this.#failingSinceMs === null) {
      Atomics.store(this.#state, 0, 0)
      this.#options.log.info('the counts of rate limits are exchanged with the other nodes again')
    }
  }

  async #inTime(work: Promise<void>): Promise<void> {
    const timer = new AbortController()
    const late = this.#options.delay(ROUND_MS, timer.signal).then(
      () => {
        throw new Error(`no answer within ${ROUND_MS} ms`)
      },
      // Nobody waits any more.
      () => new Promise<never>(() => {}),
    )
    try {
      await Promise.race([work, late])
    } finally {
      timer.abort()
      // When the round was late: what comes of it then is told by the next one.
      work.catch(() => undefined)
      late.catch(() => undefined)
    }
  }
}
