/**
 * Follows the log: gives each entry after a revision to its listener, strictly in order, and checks that each is the one that
 * follows the one before (hash chain). Woken when the store says that the head moved, and by a poll in case it does not.
 * A failure of the store or the listener is tried again with growing pauses; nothing is ever passed over.
 */
import type { Logger } from '#telemetry/logger.ts'
import { hasErasure, verifyEntry } from './chain.ts'
import type { ConfigStore, LogEntry } from './contract.ts'

export interface Position {
  readonly revision: number
  readonly hash: string
}

export interface FollowerOptions {
  readonly store: ConfigStore
  /** What is served already. */
  readonly from: Position
  /** Applies the entries; the next come when it is done. When it fails, the same entries come again. */
  readonly onEntries: (entries: readonly LogEntry[]) => Promise<void>
  /**
   * Called when the log can't be followed from here: it was cut, its store was restored to an earlier state, or an entry does not
   * fit the chain. Loads the state anew and says where it stands.
   */
  readonly reload: (reason: string) => Promise<Position>
  readonly log: Pick<Logger, 'info' | 'warn'>
  /** 0 to 1, for the jitter of retries. */
  readonly random: () => number
  readonly pollMs?: number
  readonly firstRetryMs?: number
  readonly longestRetryMs?: number
}

export interface Follower {
  /** What the listener has applied. */
  readonly position: Position
  /** Why following has stopped for now, or null while all is well. */
  readonly failure: Error | null
  /** True as soon as the listener has applied the revision, false when it has not in time. */
  reached(revision: number, timeoutMs: number): Promise<boolean>
  /** Stops; what the listener is applying is still applied. */
  close(): Promise<void>
}

/** Entries given at once at most. */
const BATCH = 100

export function createFollower(options: FollowerOptions): Follower {
  const follower = new LogFollower(options)
  follower.start()
  return follower
}

class LogFollower implements Follower {
  position: Position
  failure: Error | null = null
  readonly #options: FollowerOptions
  readonly #pollMs: number
  readonly #firstRetryMs: number
  readonly #longestRetryMs: number
  readonly #waiters = new Set<{ readonly revision: number; readonly settle: () => void }>()
  #unwatch = () => {}
  #running: Promise<void> = Promise.resolve()
  #isClosed = false
  /** A wake that came while entries were read: it is answered by another look, or it would be lost until the poll. */
  #isWoken = false
  #wake: () => void = () => {}

  constructor(options: FollowerOptions) {
    this.#options = options
    this.position = options.from
    this.#pollMs = options.pollMs ?? 1000
    this.#firstRetryMs = options.firstRetryMs ?? 100
    this.#longestRetryMs = options.longestRetryMs ?? 10_000
  }

  start(): void {
    this.#unwatch = this.#options.store.watch(() => this.#rouse())
    this.#running = this.#run()
  }

  reached(revision: number, timeoutMs: number): Promise<boolean> {
    if (this.position.revision >= revision) return Promise.resolve(true)
    if (this.#isClosed) return Promise.resolve(false)
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer)
        this.#waiters.delete(waiter)
        resolve(this.position.revision >= revision)
      }
      const timer = setTimeout(settle, timeoutMs)
      const waiter = { revision, settle }
      this.#waiters.add(waiter)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#unwatch()
    this.#rouse()
    await this.#running
    for (const { settle } of this.#waiters) settle()
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#isClosed) {
      try {
        await this.#catchUp()
        this.#recover()
        failures = 0
        await this.#sleep(this.#pollMs, true)
      } catch (error) {
        // Said once, when it begins; `failure` says it as long as it lasts.
        if (!this.failure)
          this.#options.log.warn(
            { err: error, revision: this.position.revision },
            'the configuration log can not be followed',
          )
        this.failure = error instanceof Error ? error : new Error(String(error))
        await this.#sleep(this.#retryMs(failures++), false)
      }
    }
  }

  async #catchUp(): Promise<void> {
    while (!this.#isClosed) {
      const reason = (await this.#divergence()) ?? (await this.#step())
      if (reason === 'at the head') return
      if (reason !== 'applied') await this.#reload(reason)
    }
  }

  /** Why the log is not the one that led here, if it is not: a store put back to an earlier state goes on from there. */
  async #divergence(): Promise<string | undefined> {
    const { revision, hash } = this.position
    const head = await this.#options.store.head()
    if (head.revision < revision) return `the head went back from revision ${revision} to ${head.revision}`
    if (head.revision === revision && head.hash !== hash)
      return `revision ${revision} has another hash than the one that was applied`
    return undefined
  }

  async #step(): Promise<string> {
    let entries: readonly LogEntry[]
    try {
      entries = await this.#options.store.changes(this.position.revision, BATCH)
    } catch (error) {
      if ((error as { code?: unknown }).code === 'LOG_TRUNCATED') return (error as Error).message
      throw error
    }
    const last = entries.at(-1)
    if (!last) return 'at the head'
    let before = this.position
    for (const entry of entries) {
      const verdict = verifyEntry(before, entry)
      if (!verdict.ok) return verdict.reason
      if (hasErasure(entry)) return `revision ${entry.revision}: a document was erased`
      before = entry
    }
    await this.#options.onEntries(entries)
    this.#moveTo({ revision: last.revision, hash: last.hash })
    return 'applied'
  }

  async #reload(reason: string): Promise<void> {
    this.#options.log.warn({ reason, revision: this.position.revision }, 'loading the configuration anew')
    this.#moveTo(await this.#options.reload(reason))
  }

  #moveTo({ revision, hash }: Position): void {
    this.position = { revision, hash }
    this.#recover()
    for (const { revision: wanted, settle } of this.#waiters) if (revision >= wanted) settle()
  }

  #recover(): void {
    if (!this.failure) return
    this.failure = null
    this.#options.log.info({ revision: this.position.revision }, 'following the configuration log again')
  }

  #rouse(): void {
    this.#isWoken = true
    this.#wake()
  }

  /** Until the time is over, or the store wakes it if that may end it; closing always does. */
  #sleep(ms: number, mayBeWoken: boolean): Promise<void> {
    if (this.#isClosed || (mayBeWoken && this.#isWoken)) {
      this.#isWoken = false
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        this.#wake = () => {}
        resolve()
      }
      const timer = setTimeout(end, ms)
      this.#wake = () => {
        if (!mayBeWoken && !this.#isClosed) return
        this.#isWoken = false
        end()
      }
    })
  }

  #retryMs(failures: number): number {
    const longest = Math.min(this.#longestRetryMs, this.#firstRetryMs * 2 ** failures)
    return longest * (0.5 + this.#options.random() / 2)
  }
}
