/** The parameters of a plugin's queue from its configuration, with Kong's older names, which win where they are set to anything but their old default. */
import type { QueueParameters } from '#telemetry/batch-queue.ts'

/** Kong's `queue` block; times are in seconds. */
type QueueConfig = { readonly [Name in keyof typeof DEFAULTS]: number | null }

/** Kong's, for a field that is explicitly null. */
const DEFAULTS = {
  max_batch_size: 1,
  max_coalescing_delay: 1,
  max_entries: 10_000,
  max_bytes: null,
  max_retry_time: 60,
  initial_retry_delay: 0.01,
  max_retry_delay: 60,
  concurrency_limit: 1,
} as const

interface Configured {
  readonly queue: QueueConfig
  readonly queue_size?: number | null
  readonly flush_timeout?: number | null
  readonly batch_span_count?: number | null
  readonly batch_flush_delay?: number | null
}

/** What `concurrency_limit: -1`, no limit, is here: a receiver that hangs must not collect connections. */
const MOST_AT_A_TIME = 64

export function queueParameters(config: Configured): QueueParameters {
  const { queue } = config
  const value = (name: Exclude<keyof typeof DEFAULTS, 'max_bytes'>): number => queue[name] ?? DEFAULTS[name]
  const concurrency = value('concurrency_limit')
  return {
    maxBatchSize: older(config.queue_size, 1) ?? older(config.batch_span_count, 200) ?? value('max_batch_size'),
    maxCoalescingMs:
      1000 * (older(config.flush_timeout, 2) ?? older(config.batch_flush_delay, 3) ?? value('max_coalescing_delay')),
    maxEntries: value('max_entries'),
    maxBytes: queue.max_bytes,
    initialRetryMs: value('initial_retry_delay') * 1000,
    maxRetryDelayMs: value('max_retry_delay') * 1000,
    maxRetryTimeMs: value('max_retry_time') * 1000,
    concurrency: concurrency === -1 ? MOST_AT_A_TIME : concurrency,
  }
}

/** For plugins to which Kong gives no queue: what comes within a moment goes together, and a receiver that is away is tried for some seconds. */
export const PLAIN_QUEUE: QueueParameters = {
  maxBatchSize: 100,
  maxCoalescingMs: 0,
  maxEntries: 10_000,
  maxBytes: null,
  initialRetryMs: 50,
  maxRetryDelayMs: 1000,
  maxRetryTimeMs: 5000,
  concurrency: 1,
}

function older(given: number | null | undefined, oldDefault: number): number | null {
  return given === undefined || given === null || given === oldDefault || given <= 0 ? null : given
}
