/**
 * Fills a copy in the background, one part after the other. It takes no more than half of the time: what the node serves, and the
 * entries that it has to take over, come first. A failure is said once when it begins; the next try follows.
 */
import type { Logger } from '#telemetry/logger.ts'
import type { CassandraStore } from './cassandra-store.ts'

export interface FillLoopOptions {
  readonly store: Pick<CassandraStore, 'filling' | 'fillNext'>
  /** It begins when the node serves, which all else of the start is needed for. */
  readonly isReady: () => boolean
  readonly log: Pick<Logger, 'info' | 'warn'>
  readonly monotonicMs: () => number
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>
}

const READY_LOOK_MS = 100
const RETRY_MS = 1_000

export class FillLoop {
  readonly #options: FillLoopOptions
  readonly #ending = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(options: FillLoopOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { store, isReady, log, monotonicMs } = this.#options
    const { signal } = this.#ending
    if (store.filling === null) return
    while (!signal.aborted && !isReady()) await this.#pause(READY_LOOK_MS)
    if (signal.aborted) return
    const startMs = monotonicMs()
    log.info({ parts: store.filling.parts, done: store.filling.done }, 'the copy of the configuration is being filled')
    for (let isFailing = false; !signal.aborted;) {
      const beganMs = monotonicMs()
      try {
        if (!(await store.fillNext())) {
          const seconds = Math.round((monotonicMs() - startMs) / 1000)
          log.info({ seconds }, 'the copy of the configuration is whole')
          return
        }
        isFailing = false
        await this.#pause(monotonicMs() - beganMs)
      } catch (error) {
        if (!isFailing) log.warn({ err: error }, 'the copy of the configuration can not be filled now')
        isFailing = true
        await this.#pause(RETRY_MS)
      }
    }
  }

  /** The end cuts it short. */
  async #pause(ms: number): Promise<void> {
    await this.#options.delay(ms, this.#ending.signal).catch(() => undefined)
  }
}
