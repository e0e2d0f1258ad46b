/**
 * Appends lines to a file or stream without ever blocking the thread or growing without bound: lines are collected, written in
 * one piece, and dropped and counted when the disk or reader is slower than the gateway. Several threads may append to one
 * file: O_APPEND puts each write at the end, and a write holds whole lines. (sonic-boom measures its whole batch anew for each
 * line, which costs more per request than making the line.)
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, write, writeSync } from 'node:fs'
import path from 'node:path'
import type { LogPlace } from '#model/settings/composites.ts'

export interface LineWriterOptions {
  /** How long lines may wait to be written together. */
  readonly delayMs: number
  /** Characters that may wait; what comes on top is dropped. */
  readonly limitChars: number
  /** Permissions of a file that has to be made; 0640 when not given. */
  readonly mode?: number
  /** Opens the file anew for each batch, for one that others move away. */
  readonly reopensForBatches?: boolean
  /** Fails instead of waiting for the reader of a named pipe. */
  readonly mustNotWait?: boolean
  /** Told once when writing begins to fail, and again only after it worked. */
  readonly onError: (error: Error) => void
}

/** More than this is written without waiting for the delay. */
const FULL_BATCH_CHARS = 1 << 16
/** POSIX: a write to a pipe is not mixed with those of other threads up to this size (PIPE_BUF on Linux). */
const PIPE_ATOMIC_BYTES = 4096
/** A stream in non-blocking mode is full: its reader gets this long before the next try. */
const RETRY_MS = 10

export class LineWriter {
  /** Lines that were lost, by a full buffer or failing writes. */
  dropped = 0
  readonly #target: LogPlace
  readonly #options: LineWriterOptions
  #fd: number
  #isPipe: boolean
  #nextFd = -1
  #pending = ''
  /** What is being written; null when nothing is. */
  #batch: Buffer | null = null
  #batchOffset = 0
  #timer: NodeJS.Timeout | null = null
  #isFailing = false
  #isClosed = false
  #onIdle: (() => void)[] = []

  /** Opens the file, making its folder; throws when that is not possible. */
  constructor(target: LogPlace, options: LineWriterOptions) {
    this.#target = target
    this.#options = options
    this.#fd = openTarget(target, options)
    this.#isPipe = isPipe(this.#fd)
  }

  /** `line` ends with a line feed. */
  write(line: string): void {
    if (this.#isClosed || this.#pending.length + line.length > this.#options.limitChars) {
      this.dropped++
      return
    }
    this.#pending += line
    if (this.#batch !== null) return
    if (this.#pending.length >= FULL_BATCH_CHARS) this.#flush()
    else this.#timer ??= setTimeout(() => this.#flush(), this.#options.delayMs)
  }

  /** Goes on in a new file of the same name; for one that was moved away. Keeps the old one when that fails. */
  reopen(): void {
    if (this.#target.to !== 'file' || this.#isClosed) return
    try {
      const fd = openTarget(this.#target, this.#options)
      if (this.#nextFd >= 0) closeSync(this.#nextFd)
      this.#nextFd = fd
    } catch (error) {
      this.#fail(error as Error)
      return
    }
    if (this.#batch === null) this.#swap()
  }

  /** Resolves when all lines so far are written or lost. */
  async drain(): Promise<void> {
    if (this.#pending === '' && this.#batch === null) return
    await new Promise<void>((resolve) => {
      this.#onIdle.push(resolve)
      if (this.#batch === null) this.#flush()
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.drain()
    this.#closeFiles()
  }

  /** For the end of a process that can't wait: writes what is not yet on its way, blocking. */
  flushSync(): void {
    const text = this.#pending
    this.#pending = ''
    if (text === '') return
    try {
      writeSync(this.#fd, text)
    } catch {
      // The process ends; the count is all that can still be told.
      this.dropped += countLines(text)
    }
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#pending === '') {
      for (const resolve of this.#onIdle.splice(0)) resolve()
      return
    }
    if (this.#options.reopensForBatches === true) this.reopen()
    this.#batch = Buffer.from(this.#pending)
    this.#batchOffset = 0
    this.#pending = ''
    this.#writeBatch()
  }

  #writeBatch(): void {
    const batch = this.#batch!
    const end = this.#isPipe ? endOfLines(batch, this.#batchOffset) : batch.length
    write(this.#fd, batch, this.#batchOffset, end - this.#batchOffset, null, (error, written) =>
      this.#written(error, written),
    )
  }

  #written(error: NodeJS.ErrnoException | null, written: number): void {
    const batch = this.#batch!
    if (error?.code === 'EAGAIN') {
      setTimeout(() => this.#writeBatch(), RETRY_MS)
      return
    }
    if (error === null) {
      this.#isFailing = false
      this.#batchOffset += written
      if (this.#batchOffset < batch.length) {
        this.#writeBatch()
        return
      }
    } else {
      this.dropped += countLines(batch.toString('latin1', this.#batchOffset))
      this.#fail(error)
    }
    this.#batch = null
    this.#swap()
    // What came meanwhile has waited long enough.
    this.#flush()
  }

  #swap(): void {
    if (this.#nextFd < 0) return
    closeSync(this.#fd)
    this.#fd = this.#nextFd
    this.#isPipe = isPipe(this.#fd)
    this.#nextFd = -1
  }

  #fail(error: Error): void {
    if (this.#isFailing) return
    this.#isFailing = true
    this.#options.onError(error)
  }

  #closeFiles(): void {
    this.#swap()
    if (this.#target.to === 'file') closeSync(this.#fd)
  }
}

function openTarget(target: LogPlace, { mode, mustNotWait = false }: LineWriterOptions): number {
  if (target.to !== 'file') return target.to === 'stdout' ? 1 : 2
  mkdirSync(path.dirname(target.path), { recursive: true })
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (mustNotWait ? constants.O_NONBLOCK : 0)
  // Logs name clients and consumers: not for everybody on the machine.
  return openSync(target.path, flags, mode ?? 0o640)
}

function isPipe(fd: number): boolean {
  const stat = fstatSync(fd)
  return stat.isFIFO() || stat.isSocket()
}

/** Where to stop so that whole lines are written in one piece; a longer line is written alone, in any pieces. */
function endOfLines(bytes: Buffer, from: number): number {
  if (bytes.length - from <= PIPE_ATOMIC_BYTES) return bytes.length
  const last = bytes.lastIndexOf(10, from + PIPE_ATOMIC_BYTES - 1)
  if (last >= from) return last + 1
  const next = bytes.indexOf(10, from)
  return next < 0 ? bytes.length : next + 1
}

function countLines(text: string): number {
  return text.split('\n').length - 1
}
