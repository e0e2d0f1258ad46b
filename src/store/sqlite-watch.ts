/** Tells who wants to know that a file has changed: at once of this process's commits, soon of those of others. */
export class SqliteWatch {
  readonly #version: () => number
  readonly #everyMs: number
  readonly #listeners = new Set<() => void>()
  #watching: NodeJS.Timeout | null = null
  #seenVersion = 0

  /** `version` changes whenever a connection other than the asked one has committed. */
  constructor(version: () => number, everyMs: number) {
    this.#version = version
    this.#everyMs = everyMs
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener)
    if (!this.#watching) {
      this.#seenVersion = this.#version()
      this.#watching = setInterval(() => this.#look(), this.#everyMs).unref()
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stop()
    }
  }

  /** This process has committed. */
  notify(): void {
    this.#seenVersion = this.#version()
    for (const listener of this.#listeners) queueMicrotask(listener)
  }

  close(): void {
    this.#stop()
    this.#listeners.clear()
  }

  #look(): void {
    let version: number
    try {
      version = this.#version()
    } catch {
      // Who listens asks the store itself, meets the same failure, and has a way to deal with it; a timer has none.
      version = Number.NaN
    }
    if (version === this.#seenVersion) return
    this.#seenVersion = version
    for (const listener of this.#listeners) listener()
  }

  #stop(): void {
    if (this.#watching) clearInterval(this.#watching)
    this.#watching = null
  }
}
