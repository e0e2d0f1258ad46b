/**
 * Keeps a node's copy and its data center's projection up to date: looks into the log again and again, and at once when woken.
 * A failure is said once when it begins and once when it is over; it never ends the loop.
 */
import type { Logger } from '#telemetry/logger.ts'
import { CassandraFailure } from './port.ts'
import type { ProjectionScope } from './projection-tables.ts'
import type { CassandraStore } from './cassandra-store.ts'

export interface KeeperOptions {
  readonly store: CassandraStore
  /** From the start of one look to that of the next, at most, while looks are not slower than this and nothing wakes it. */
  readonly updateMs: number
  /** Between two serial reads of the log's end, by the node that projects. */
  readonly settleEveryMs?: number
  /** Whether this node projects for its data center; when two do, it costs more and harms nothing. */
  readonly isProjector: () => boolean
  /** Whether it does so for all data centers, while they can be reached. */
  readonly isFirstProjector: () => boolean
  /** The newest revision that a node is known to have: this one's data center may have missed it. */
  readonly newestKnown?: () => number
  readonly log: Pick<Logger, 'info' | 'warn'>
  readonly random: () => number
  /** Milliseconds that only go forward. */
  readonly monotonicMs: () => number
}

/** Parts of the time between two looks: how much earlier one may be, so that nodes do not ask in step; and the least rest. */
const JITTER = 0.25
const SHORTEST_REST = 0.1
const SETTLE_EVERY_MS = 30_000
/** Every node looks for another epoch, which only a restore begins. */
const EPOCH_EVERY_MS = 10_000
/**
 * An entry that is there elsewhere, or after which another one is there: replication takes a trip between data centers, and is slower
 * than this only when something is wrong. Shorter than a look is apart from the next, so the second one that lacks it asks the others.
 */
const BEHIND_MS = 350
/**
 * From the end of one projection to the start of the next. A write of a partition costs the same whether one row is in it or thirty,
 * and nobody waits for it. A slow cluster is left alone for longer.
 */
const SHORTEST_PROJECT_REST_MS = 30_000
const LONGEST_PROJECT_REST_MS = 60_000
const PROJECT_REST = 5
/** When the watermark here has not moved for so long, this data center projects for itself. */
const PATIENCE_MS = 90_000
/** After not all data centers could be reached. */
const OWN_ONLY_MS = 60_000

export class Keeper {
  readonly #options: KeeperOptions
  #running: Promise<void> = Promise.resolve()
  #projecting: Promise<void> = Promise.resolve()
  #isProjecting = false
  #projectAtMs = -Infinity
  #ownOnlyUntilMs = -Infinity
  /** How far the projection was when it was last seen to move. */
  #unmoved: { readonly revision: number; readonly sinceMs: number } | null = null
  #isClosed = false
  #isWoken = false
  #wake = () => {}
  #behindSinceMs: number | null = null
  #settledAtMs: number
  #lookedAtMs: number
  /** Why the cluster can't be asked now; null while it answers. */
  failure: Error | null = null

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#settledAtMs = this.#lookedAtMs = options.monotonicMs()
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Looks at once: somebody has said that the log has moved. */
  wake(): void {
    this.#isWoken = true
    this.#wake()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.wake()
    await this.#running
    await this.#projecting
  }

  async #run(): Promise<void> {
    const { monotonicMs } = this.#options
    while (!this.#isClosed) {
      const startMs = monotonicMs()
      try {
        await this.#look()
        this.#recover()
      } catch (error) {
        this.#fail(error)
      }
      await this.#sleep(this.#pauseMs(monotonicMs() - startMs))
    }
  }

  /** A change is seen by the end of the next look, so what a look takes counts; a slow Cassandra still gets a rest between two. */
  #pauseMs(tookMs: number): number {
    const { updateMs, random } = this.#options
    return Math.max(updateMs * SHORTEST_REST, updateMs * (1 - JITTER * random()) - tookMs)
  }

  async #look(): Promise<void> {
    const { store, monotonicMs, isProjector, settleEveryMs = SETTLE_EVERY_MS } = this.#options
    await store.poll()
    const nowMs = monotonicMs()
    if (!(await this.#isBehind())) this.#behindSinceMs = null
    else this.#behindSinceMs ??= nowMs
    const isStuck = this.#behindSinceMs !== null && nowMs - this.#behindSinceMs >= BEHIND_MS
    if (isStuck || (isProjector() && nowMs - this.#settledAtMs >= settleEveryMs)) {
      this.#settledAtMs = this.#lookedAtMs = nowMs
      this.#behindSinceMs = null
      await store.settle()
    } else if (nowMs - this.#lookedAtMs >= EPOCH_EVERY_MS) {
      this.#lookedAtMs = nowMs
      await store.lookForEpoch()
    }
    if ((store.owesState || isProjector()) && !this.#isProjecting && (store.owesState || nowMs >= this.#projectAtMs)) {
      // Beside the next looks: a large projection must not hold up what this node serves.
      this.#projecting = this.#project(nowMs).catch((error: unknown) => this.#fail(error))
    }
  }

  async #project(startMs: number): Promise<void> {
    const { monotonicMs } = this.#options
    this.#isProjecting = true
    try {
      const scope = await this.#projectionScope(startMs)
      if (scope === null) return
      if (scope === 'all') await this.#projectForAll(startMs)
      else await this.#options.store.project('own')
    } finally {
      const endMs = monotonicMs()
      const restMs = Math.max(SHORTEST_PROJECT_REST_MS, (endMs - startMs) * PROJECT_REST)
      this.#projectAtMs = endMs + Math.min(LONGEST_PROJECT_REST_MS, restMs)
      this.#isProjecting = false
    }
  }

  /** Null while there is nothing to write, or the node that projects for all is likely to be at it. */
  async #projectionScope(nowMs: number): Promise<ProjectionScope | null> {
    const { store, isFirstProjector } = this.#options
    // Nobody else can.
    if (store.owesState) return 'own'
    const { revision } = await store.head()
    if (store.projected >= revision) {
      this.#unmoved = null
      return null
    }
    if (isFirstProjector()) return nowMs < this.#ownOnlyUntilMs ? 'own' : 'all'
    await store.lookAtProjection()
    if (store.projected >= revision || this.#unmoved?.revision !== store.projected)
      this.#unmoved = { revision: store.projected, sinceMs: nowMs }
    return nowMs - this.#unmoved.sinceMs < PATIENCE_MS ? null : 'own'
  }

  async #projectForAll(nowMs: number): Promise<void> {
    const { store, log } = this.#options
    try {
      await store.project('all')
    } catch (error) {
      if (!(error instanceof CassandraFailure)) throw error
      log.info({ err: error }, 'not every data center can be reached, the projection of this one is written')
      this.#ownOnlyUntilMs = nowMs + OWN_ONLY_MS
      await store.project('own')
    }
  }

  /** A later entry is there, or another node has it, and this node lacks one. */
  async #isBehind(): Promise<boolean> {
    const { store, newestKnown } = this.#options
    return store.hasHole || (newestKnown !== undefined && newestKnown() > (await store.head()).revision)
  }

  #fail(error: unknown): void {
    if (this.failure === null)
      this.#options.log.warn({ err: error }, 'Cassandra can not be asked, the copy of this node is served')
    this.failure = error instanceof Error ? error : new Error(String(error))
  }

  #recover(): void {
    if (this.failure === null) return
    this.failure = null
    this.#options.log.info('Cassandra answers again')
  }

  #sleep(ms: number): Promise<void> {
    if (this.#isWoken || this.#isClosed) {
      this.#isWoken = false
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        this.#wake = () => {}
        this.#isWoken = false
        resolve()
      }
      const timer = setTimeout(end, ms)
      this.#wake = end
    })
  }
}
