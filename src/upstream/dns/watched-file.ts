/** The parsed content of a small file that others change while we run. */
import { readFileSync, statSync, type Stats } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'

/** Looking is one stat(2) off the request path; five seconds is what operators expect of an edited hosts file. */
const CHECK_EVERY_MS = 5000

export interface WatchedFileOptions<T> {
  readonly path: string
  readonly parse: (text: string) => T
  readonly nowMs: () => number
  /** Told once when the file can't be read, and again only after it could. */
  readonly onError: (error: unknown) => void
}

export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>
  #value: T
  #mark: string
  #nextCheckAtMs: number
  #isFailing = false
  #isChecking = false

  /** Reads the file at once; without it the value is that of an empty file. */
  constructor(options: WatchedFileOptions<T>) {
    this.#options = options
    this.#nextCheckAtMs = options.nowMs() + CHECK_EVERY_MS
    let text = ''
    this.#mark = ''
    try {
      // The mark is taken first: a change between the two is then seen at the next check instead of never.
      this.#mark = markOf(statSync(options.path))
      text = readFileSync(options.path, 'utf8')
    } catch (error) {
      this.#fail(error)
    }
    this.#value = options.parse(text)
  }

  /** The content as last read. A look at the file follows in the background when the last one is five seconds old. */
  get value(): T {
    const now = this.#options.nowMs()
    // A disk that hangs must not collect one more look every five seconds.
    if (now >= this.#nextCheckAtMs && !this.#isChecking) {
      this.#nextCheckAtMs = now + CHECK_EVERY_MS
      void this.check()
    }
    return this.#value
  }

  /** Reads the file again if it changed. A file that is missing or unreadable keeps its last content. */
  async check(): Promise<void> {
    const { path, parse } = this.#options
    this.#isChecking = true
    try {
      const mark = markOf(await stat(path))
      if (mark !== this.#mark || this.#isFailing) {
        this.#value = parse(await readFile(path, 'utf8'))
        this.#mark = mark
      }
      this.#isFailing = false
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isChecking = false
    }
  }

  #fail(error: unknown): void {
    if (!this.#isFailing) this.#options.onError(error)
    this.#isFailing = true
  }
}

function markOf(stats: Stats): string {
  return `${stats.ino}:${stats.size}:${stats.mtimeMs}:${stats.ctimeMs}`
}
