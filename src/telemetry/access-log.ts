/** The access log of one listener in one thread: a line for each exchange, off the request's path. */
import { GatewayError } from '#core/errors.ts'
import type { LogTarget } from '#model/settings/composites.ts'
import { createAccessFormatter, unknownVariables } from './access-format.ts'
import { LineWriter } from './line-writer.ts'
import type { LoggedExchange } from './logged-exchange.ts'
import { maskedExchange } from './masked-exchange.ts'
import type { Masking } from './masking.ts'

export interface AccessLogOptions {
  readonly target: LogTarget
  /** `access_log_format`, for the format `custom`. */
  readonly customFormat: string | null
  /** Null where nothing is to be hidden. */
  readonly masking?: Masking | null
  /** Told once when writing begins to fail. */
  readonly onError: (error: Error) => void
}

export interface AccessLog {
  write(exchange: LoggedExchange): void
  /** Lines that were lost. */
  readonly dropped: number
  reopen(): void
  close(): Promise<void>
}

/** Long enough to write many lines at once, short enough for somebody who watches the file. */
const DELAY_MS = 200
const LIMIT_CHARS = 8 << 20

/** Null when the log is off. Throws when the file can't be opened, or the format names variables that do not exist. */
export function openAccessLog({ target, customFormat, masking = null, onError }: AccessLogOptions): AccessLog | null {
  if (target.to === 'off') return null
  const unknown = target.format === 'custom' && customFormat !== null ? unknownVariables(customFormat) : []
  if (unknown.length > 0) {
    throw new GatewayError(
      'SETTINGS_INVALID',
      `access_log_format: expected variables that docs/logging.md lists, got $${unknown.join(', $')}`,
    )
  }
  const writer = new LineWriter(target, { delayMs: DELAY_MS, limitChars: LIMIT_CHARS, onError })
  const format = createAccessFormatter(target.format, customFormat)
  return {
    write:
      masking?.isConfigured === true
        ? (exchange) => writer.write(format(maskedExchange(exchange, masking)))
        : (exchange) => writer.write(format(exchange)),
    get dropped() {
      return writer.dropped
    },
    reopen: () => writer.reopen(),
    close: () => writer.close(),
  }
}
