/** What a peer may send on a stream, or on the whole connection (RFC 9113 5.2), and when it is told that it may send more. */
export class ReceiveWindow {
  readonly #size: number
  #left: number
  #taken = 0

  constructor(size: number) {
    this.#size = size
    this.#left = size
  }

  /** Bytes came; false when they are more than was allowed. */
  receive(count: number): boolean {
    this.#left -= count
    return this.#left >= 0
  }

  /** Bytes were taken; answers how many more the peer is now to be allowed, 0 while that can wait. */
  take(count: number): number {
    this.#taken += count
    const increment = this.#taken
    if (increment < this.#size / 2) return 0
    this.#left += increment
    this.#taken = 0
    return increment
  }
}
