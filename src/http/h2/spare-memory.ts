/**
 * Memory of one size that serves again. Fresh memory for what peers make us keep for a moment, many times in a second, has the collector
 * look at all that is alive again and again, and everybody wait for it.
 */
export class SpareMemory {
  readonly #bytes: number
  readonly #most: number
  readonly #spares: Buffer[] = []

  /** @param most how many are kept for later. */
  constructor(bytes: number, most: number) {
    this.#bytes = bytes
    this.#most = most
  }

  /** What is in it is somebody else's. */
  take(): Buffer {
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(this.#bytes)
  }

  /** Nobody may look at it any more. */
  give(memory: Buffer): void {
    if (this.#spares.length < this.#most) this.#spares.push(memory)
  }
}
