/** What log and tracing plugins of one thread deliver by: the log record, queues, files. Bounds their memory, counts, and flushes them all when the thread ends. */
import { BatchQueue, type ByteBudget, type QueueCounters, type QueueParameters, type SendBatch } from './batch-queue.ts'
import type { Figures } from './figures.ts'
import type { LoggedExchange } from './logged-exchange.ts'
import type { Masking } from './masking.ts'
import { serializeExchange, type LogRecord } from './serializer.ts'
import { SharedLineFile } from './shared-line-file.ts'

export interface QueueOptions<T> {
  readonly parameters: QueueParameters
  readonly send: SendBatch<T>
  /** Told after the last batch: closes what `send` uses. */
  readonly onClosed?: () => void
  /** Larger entries are dropped: the receiver's form has no room for them. */
  readonly largestBytes?: number
  /** What the log calls the queue, where a plugin has several. */
  readonly name?: string
}

export interface DeliveryQueue<T> {
  /** Takes an entry; the oldest ones give way when there is no room. `bytes` is what it holds in memory, about. */
  push(value: T, bytes: number): void
  /** Takes nothing more; what there is gets some seconds to be delivered. */
  close(): void
}

export interface LineFile {
  /** `line` ends with a line feed. */
  write(line: string): void
  close(): void
}

/** What one plugin configuration delivers by. */
export interface PluginDelivery {
  /** The log record in Kong's form, without what the settings `log_mask_*` hide; the caller's own. */
  record(exchange: LoggedExchange): LogRecord
  /** What the same settings hide, for those who tell of requests in another form. */
  readonly masking: Masking
  openQueue<T>(options: QueueOptions<T>): DeliveryQueue<T>
  openFile(path: string, reopens: boolean): LineFile
}

export interface LogDeliveryOptions {
  readonly masking: Masking
  readonly figures: Figures
  readonly limitBytes: number
  readonly log: {
    error(fields: object, message: string): void
    warn(fields: object, message: string): void
    info(fields: object, message: string): void
  }
}

/** What a configuration that was replaced still has to deliver by. */
const CLOSE_DEADLINE_MS = 10_000

export class LogDelivery {
  readonly #options: LogDeliveryOptions
  readonly #budget: ByteBudget
  readonly #queues = new Map<BatchQueue<any>, string>()
  readonly #files = new Map<string, SharedLineFile>()
  readonly #counters = new Map<string, QueueCounters>()
  #lostLines = 0

  constructor(options: LogDeliveryOptions) {
    this.#options = options
    this.#budget = { bytes: 0, limitBytes: options.limitBytes }
    options.figures.gauge('meridian_log_lines_dropped_total', { log: 'file-log' }, () => {
      let dropped = this.#lostLines
      for (const file of this.#files.values()) dropped += file.dropped
      return dropped
    })
  }

  forPlugin(plugin: string, pluginId: string): PluginDelivery {
    const { masking } = this.#options
    return {
      record: (exchange) => serializeExchange(exchange, masking),
      masking,
      openQueue: (options) => this.#openQueue(plugin, pluginId, options),
      openFile: (path, reopens) => this.#openFile(path, reopens),
    }
  }

  /** Files that were moved away are made anew. */
  reopen(): void {
    for (const file of this.#files.values()) file.reopen()
  }

  /** For the end of the thread: resolves when everything is delivered, or given up at the deadline. */
  async flush(deadlineMs: number): Promise<void> {
    await Promise.all([
      ...[...this.#queues.keys()].map((queue) => queue.close(deadlineMs)),
      ...[...this.#files.values()].map((file) => file.close()),
    ])
  }

  #openQueue<T>(plugin: string, pluginId: string, options: QueueOptions<T>): DeliveryQueue<T> {
    const { name, parameters, send, onClosed, largestBytes } = options
    const queue: BatchQueue<T> = new BatchQueue<T>({
      parameters,
      send,
      onClosed: () => {
        this.#queues.delete(queue)
        onClosed?.()
      },
      ...(largestBytes !== undefined && { largestBytes }),
      budget: this.#budget,
      counters: this.#countersOf(plugin),
      log: this.#options.log,
      labels: { plugin, plugin_id: pluginId, ...(name !== undefined && { queue: name }) },
    })
    this.#queues.set(queue, plugin)
    return {
      push: (value, bytes) => queue.push(value, bytes),
      close: () => void queue.close(CLOSE_DEADLINE_MS),
    }
  }

  #openFile(path: string, reopens: boolean): LineFile {
    const key = `${reopens ? 'reopened' : 'kept'} ${path}`
    let file = this.#files.get(key)
    if (file === undefined) {
      const { log } = this.#options
      file = new SharedLineFile({
        path,
        reopens,
        onError: (error) => log.error({ plugin: 'file-log', path, err: error }, 'a log file cannot be written'),
      })
      this.#files.set(key, file)
    }
    const shared = file
    shared.users++
    let isOpen = true
    return {
      write: (line) => shared.write(line),
      close: () => {
        if (!isOpen) return
        isOpen = false
        if (--shared.users > 0) return
        this.#files.delete(key)
        void shared.close().then(() => {
          this.#lostLines += shared.dropped
        })
      },
    }
  }

  #countersOf(plugin: string): QueueCounters {
    const known = this.#counters.get(plugin)
    if (known !== undefined) return known
    const { figures } = this.#options
    const queues = () => [...this.#queues].flatMap(([queue, owner]) => (owner === plugin ? [queue] : []))
    figures.gauge('meridian_log_queue_entries', { plugin }, () => queues().reduce((sum, { length }) => sum + length, 0))
    figures.gauge('meridian_log_queue_bytes', { plugin }, () => queues().reduce((sum, { bytes }) => sum + bytes, 0))
    const counters: QueueCounters = {
      delivered: figures.counter('meridian_log_entries_delivered_total', { plugin }),
      failures: figures.counter('meridian_log_delivery_failures_total', { plugin }),
      dropped: (reason) => figures.counter('meridian_log_entries_dropped_total', { plugin, reason }),
    }
    this.#counters.set(plugin, counters)
    return counters
  }
}
