/**
 * The gateway's own log: events with fields, as JSON lines, written without blocking. Kong's level names are kept in settings and
 * answers; the log itself has five levels (`notice` is `info`; `crit`, `alert` and `emerg` are `fatal`).
 */
import { pino, type Logger } from 'pino'
import type { LogPlace } from '#model/settings/composites.ts'
import type { LogLevel } from '#model/settings/node.ts'
import { LineWriter } from './line-writer.ts'

export type { Logger } from 'pino'

export interface LogOptions {
  readonly target: LogPlace
  readonly level: LogLevel
  /** Fields of every line: `{ worker: 2 }`. */
  readonly base?: Readonly<Record<string, unknown>>
  /** From `redaction.ts`. */
  readonly redact?: readonly string[]
}

export interface GatewayLog {
  readonly log: Logger
  /** The level that counts now, in Kong's words. */
  readonly level: LogLevel
  /**
   * Changes the level until the next start or call; with a time, back to the one that held without a time. A second temporary
   * change replaces the first.
   */
  setLevel(level: LogLevel, forMs?: number): void
  /** Lines that were not written because the log's reader is too slow or its disk full. */
  readonly dropped: number
  /** Opens the file anew, after it was moved away (SIGUSR1). */
  reopen(): void
  /** Writes what is pending; later lines are lost. */
  close(): Promise<void>
  /** For the end of a process that can't wait. */
  flushSync(): void
}

const PINO_LEVELS: Readonly<Record<LogLevel, string>> = {
  debug: 'debug',
  info: 'info',
  notice: 'info',
  warn: 'warn',
  error: 'error',
  crit: 'fatal',
  alert: 'fatal',
  emerg: 'fatal',
}

/** What may wait for a slow reader; further lines are dropped and counted. */
const PENDING_CHARS = 1 << 20
const MAX_TIMEOUT_MS = 2 ** 31 - 1

export function openLog({ target, level, base = {}, redact = [] }: LogOptions): GatewayLog {
  // Where the log itself can't be written there is no place to tell it; what is lost is counted.
  const writer = new LineWriter(target, { delayMs: 0, limitChars: PENDING_CHARS, onError: () => {} })
  const log = pino(
    {
      level: PINO_LEVELS[level],
      base,
      serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...redact], censor: 'REDACTED' },
    },
    writer,
  )

  let lasting = level
  let current = level
  let timer: NodeJS.Timeout | null = null
  function use(next: LogLevel): void {
    current = next
    log.level = PINO_LEVELS[next]
  }

  return {
    log,
    get level() {
      return current
    },
    get dropped() {
      return writer.dropped
    },
    setLevel(next, forMs) {
      if (timer !== null) clearTimeout(timer)
      timer = null
      if (forMs === undefined) lasting = next
      else timer = setTimeout(() => use(lasting), Math.min(forMs, MAX_TIMEOUT_MS)).unref()
      use(next)
    },
    reopen: () => writer.reopen(),
    async close() {
      if (timer !== null) clearTimeout(timer)
      await writer.close()
    },
    flushSync: () => writer.flushSync(),
  }
}
