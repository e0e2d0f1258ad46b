/** A file that plugins append lines to: one for all configurations with that path. Opened by the first line, and again later when that failed. */
import type { LogPlace } from '#model/settings/composites.ts'
import { LineWriter } from './line-writer.ts'

export interface SharedLineFileOptions {
  readonly path: string
  readonly reopens: boolean
  readonly onError: (error: Error) => void
}

/** As Kong makes it: rw-r--r--. */
const MODE = 0o644
/** Long enough for many lines in one write, short enough for somebody who watches the file. */
const DELAY_MS = 20
const LIMIT_CHARS = 16 << 20
/** How long a file that can't be opened is left alone. */
const RETRY_MS = 1000

const STREAMS: Readonly<Record<string, LogPlace>> = {
  '/dev/stdout': { to: 'stdout', format: null },
  '/dev/stderr': { to: 'stderr', format: null },
}

export class SharedLineFile {
  readonly #options: SharedLineFileOptions
  #writer: LineWriter | null = null
  #triedAtMs = -Infinity
  #hasFailed = false
  #lost = 0
  users = 0

  constructor(options: SharedLineFileOptions) {
    this.#options = options
  }

  /** Lines that were lost. */
  get dropped(): number {
    return this.#lost + (this.#writer?.dropped ?? 0)
  }

  /** `line` ends with a line feed. Never throws: a file that can't be written costs its lines and no request. */
  write(line: string): void {
    const writer = this.#writer ?? this.#open()
    if (writer === null) this.#lost++
    else writer.write(line)
  }

  reopen(): void {
    this.#writer?.reopen()
  }

  async close(): Promise<void> {
    await this.#writer?.close()
  }

  #open(): LineWriter | null {
    const nowMs = Date.now()
    if (nowMs - this.#triedAtMs < RETRY_MS) return null
    this.#triedAtMs = nowMs
    const { path, reopens, onError } = this.#options
    try {
      this.#writer = new LineWriter(STREAMS[path] ?? { to: 'file', path, format: null }, {
        delayMs: DELAY_MS,
        limitChars: LIMIT_CHARS,
        mode: MODE,
        reopensForBatches: reopens,
        mustNotWait: true,
        onError,
      })
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed) onError(error as Error)
      this.#hasFailed = true
    }
    return this.#writer
  }
}
