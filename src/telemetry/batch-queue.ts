/**
 * Entries on their way to a receiver elsewhere, with the parameters of Kong's `queue` block: collected into batches, sent again with
 * growing delays when that fails, dropped and counted when there are too many or the receiver stays away. Nothing waits for it.
 */

export interface QueueParameters {
  /** Entries in one batch at most. */
  readonly maxBatchSize: number
  /** How long the first entry of a batch waits for others. */
  readonly maxCoalescingMs: number
  /** Entries that wait at most; the oldest give way. */
  readonly maxEntries: number
  /** Bytes of all entries that wait or are being sent; null for `DEFAULT_BYTES`. */
  readonly maxBytes: number | null
  readonly initialRetryMs: number
  readonly maxRetryDelayMs: number
  /** How long a batch is tried from its first failure on before it is dropped. */
  readonly maxRetryTimeMs: number
  /** Batches that are sent at a time. */
  readonly concurrency: number
}

/** Without `max_bytes`: a receiver that is away must not fill the memory. */
export const DEFAULT_BYTES = 64 * 1024 ** 2

/** Null when the receiver has the batch, else why not: it is then sent again. A rejection counts as its message. */
export type SendBatch<T> = (batch: readonly T[], signal: AbortSignal) => Promise<string | null>

export type DropReason = 'full' | 'undeliverable' | 'too_large' | 'closed'

/** Bytes that all queues of a thread hold together. */
export interface ByteBudget {
  bytes: number
  readonly limitBytes: number
}

export interface QueueCounters {
  readonly delivered: { value: number }
  readonly failures: { value: number }
  dropped(reason: DropReason): { value: number }
}

export interface BatchQueueOptions<T> {
  readonly parameters: QueueParameters
  readonly send: SendBatch<T>
  /** Told after the last batch: closes what `send` uses. */
  readonly onClosed: () => void
  /** Larger entries are dropped: the receiver's form has no room for them. */
  readonly largestBytes?: number
  readonly budget: ByteBudget
  readonly counters: QueueCounters
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void }
  /** What the log says of this queue. */
  readonly labels: Readonly<Record<string, unknown>>
}

interface Entry<T> {
  readonly value: T
  readonly bytes: number
  readonly atMs: number
}

/** Longest delay that Node's timers take. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export class BatchQueue<T> {
  readonly #parameters: QueueParameters
  readonly #options: BatchQueueOptions<T>
  readonly #maxBytes: number
  readonly #largestBytes: number
  #entries: Entry<T>[] = []
  /** Where the oldest entry stands: taking from the front of an array costs as much as it is long. */
  #head = 0
  /** Bytes of what waits and of what is being sent. */
  #bytes = 0
  #sending = 0
  #timer: NodeJS.Timeout | null = null
  readonly #retries = new Map<NodeJS.Timeout, () => void>()
  readonly #failing = new Trouble()
  readonly #dropping = new Trouble()
  /** Drops that the log has no number of yet. */
  #untold = 0
  #closing: Promise<void> | null = null
  #closeBy = Infinity
  readonly #abort = new AbortController()
  #onDone: (() => void) | null = null

  constructor(options: BatchQueueOptions<T>) {
    this.#options = options
    this.#parameters = options.parameters
    this.#maxBytes = Math.min(options.parameters.maxBytes ?? DEFAULT_BYTES, options.budget.limitBytes)
    this.#largestBytes = Math.min(options.largestBytes ?? Infinity, this.#maxBytes)
  }

  /** Entries that wait. */
  get length(): number {
    return this.#entries.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Takes an entry; the oldest ones give way to it. `bytes` is what it holds in memory, about. */
  push(value: T, bytes: number): void {
    if (this.#closing !== null) return this.#drop(1, 'closed')
    if (bytes > this.#largestBytes) return this.#drop(1, 'too_large')
    while (this.length >= this.#parameters.maxEntries || !this.#hasRoom(bytes)) {
      // What is being sent can't give way.
      if (this.length === 0) return this.#drop(1, 'full')
      this.#release(this.#take())
      this.#drop(1, 'full')
    }
    this.#entries.push({ value, bytes, atMs: Date.now() })
    this.#bytes += bytes
    this.#options.budget.bytes += bytes
    this.#schedule()
  }

  /**
   * Takes nothing more, sends what there is without waiting for more, and drops what is not delivered after `deadlineMs`. Resolves then.
   */
  close(deadlineMs: number): Promise<void> {
    const by = Date.now() + deadlineMs
    if (this.#closing !== null) {
      if (by < this.#closeBy) this.#endBy(by)
      return this.#closing
    }
    this.#closing = new Promise((resolve) => {
      this.#onDone = resolve
    })
    this.#endBy(by)
    for (const [timer, again] of this.#retries) {
      clearTimeout(timer)
      again()
    }
    this.#retries.clear()
    this.#schedule()
    this.#endIfDone()
    return this.#closing
  }

  #endBy(atMs: number): void {
    this.#closeBy = atMs
    setTimeout(() => this.#abort.abort(), Math.max(0, atMs - Date.now())).unref()
  }

  #hasRoom(bytes: number): boolean {
    const { budget } = this.#options
    return this.#bytes + bytes <= this.#maxBytes && budget.bytes + bytes <= budget.limitBytes
  }

  #take(): Entry<T> {
    const entry = this.#entries[this.#head]!
    this.#head++
    if (this.#head === this.#entries.length) {
      this.#entries = []
      this.#head = 0
    } else if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
    return entry
  }

  #release({ bytes }: Entry<T>): void {
    this.#bytes -= bytes
    this.#options.budget.bytes -= bytes
  }

  /** Starts the next batch, now or when its first entry has waited long enough. */
  #schedule(): void {
    const { maxBatchSize, maxCoalescingMs, concurrency } = this.#parameters
    while (this.length > 0 && this.#sending < concurrency) {
      const waitedMs = Date.now() - this.#entries[this.#head]!.atMs
      const isDue = this.length >= maxBatchSize || waitedMs >= maxCoalescingMs || this.#closing !== null
      if (!isDue) {
        this.#timer ??= setTimeout(() => {
          this.#timer = null
          this.#schedule()
        }, maxCoalescingMs - waitedMs).unref()
        return
      }
      if (this.#timer !== null) clearTimeout(this.#timer)
      this.#timer = null
      const batch: Entry<T>[] = []
      while (batch.length < maxBatchSize && this.length > 0) batch.push(this.#take())
      this.#sending++
      void this.#deliver(batch)
    }
  }

  /** Sends one batch until it is delivered or given up. Never rejects. */
  async #deliver(batch: readonly Entry<T>[]): Promise<void> {
    const { send, counters } = this.#options
    const { initialRetryMs, maxRetryDelayMs, maxRetryTimeMs } = this.#parameters
    const values = batch.map(({ value }) => value)
    let firstFailureMs = 0
    for (let attempt = 0; ; attempt++) {
      let reason: string | null
      try {
        reason = this.#abort.signal.aborted ? 'closed' : await send(values, this.#abort.signal)
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error)
      }
      if (reason === null) {
        counters.delivered.value += batch.length
        this.#delivered()
        break
      }
      counters.failures.value++
      this.#failed(reason)
      const nowMs = Date.now()
      if (attempt === 0) firstFailureMs = nowMs
      const isOver = this.#abort.signal.aborted || nowMs >= this.#closeBy
      if (isOver || nowMs - firstFailureMs >= maxRetryTimeMs) {
        this.#drop(batch.length, this.#closing === null ? 'undeliverable' : 'closed')
        break
      }
      const delayMs = Math.min(maxRetryDelayMs, initialRetryMs * 2 ** Math.min(attempt, 60), LONGEST_TIMER_MS)
      await this.#pause(Math.min(delayMs, Math.max(0, this.#closeBy - nowMs)))
    }
    for (const entry of batch) this.#release(entry)
    this.#sending--
    this.#schedule()
    this.#endIfDone()
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#retries.delete(timer)
        resolve()
      }, ms)
      timer.unref()
      this.#retries.set(timer, resolve)
    })
  }

  #endIfDone(): void {
    if (this.#onDone === null || this.#sending > 0 || this.length > 0) return
    const done = this.#onDone
    this.#onDone = null
    this.#abort.abort()
    this.#options.onClosed()
    done()
  }

  #failed(reason: string): void {
    const { log, labels } = this.#options
    if (this.#failing.begins()) log.warn({ ...labels, reason }, 'entries cannot be delivered, they are sent again')
  }

  #delivered(): void {
    const hasFailed = this.#failing.ends()
    const hasDropped = this.#dropping.ends()
    if (!hasFailed && !hasDropped) return
    const { log, labels } = this.#options
    log.info({ ...labels, dropped: this.#untold }, 'entries are delivered again')
    this.#untold = 0
  }

  #drop(count: number, reason: DropReason): void {
    this.#options.counters.dropped(reason).value += count
    this.#untold += count
    const { log, labels } = this.#options
    if (this.#dropping.begins())
      log.warn({ ...labels, reason, waiting: this.length, bytes: this.#bytes }, 'entries are dropped')
  }
}

/** A receiver that is there and away by turns is told of once in so long. */
const TROUBLE_EVERY_MS = 5000

/** A state that the log is told of when it begins and when it ends. */
class Trouble {
  #isOn = false
  #toldAtMs = -Infinity

  /** Whether that is to be told. */
  begins(): boolean {
    const nowMs = Date.now()
    if (this.#isOn || nowMs - this.#toldAtMs < TROUBLE_EVERY_MS) return false
    this.#isOn = true
    this.#toldAtMs = nowMs
    return true
  }

  /** Whether there was one that was told. */
  ends(): boolean {
    const wasOn = this.#isOn
    this.#isOn = false
    return wasOn
  }
}
