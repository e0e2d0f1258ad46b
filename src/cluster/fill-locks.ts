/**
 * Who fetches what is missing, over all threads of a node: a lock per key in shared memory with a deadline, so that a fill that dies holds
 * up nobody for long. Two keys may share a lock; then one waits for the other, at most until its deadline.
 */
const LOCKS = 8192

export function createFillLockBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer(LOCKS * 4)
}

/** What `take` answers when somebody else fetches. */
export const TAKEN = 0

export class FillLocks {
  readonly #words: Int32Array
  readonly #nowMs: () => number
  /** Waiters in this thread share one wait. */
  readonly #waits = new Map<number, Promise<void>>()

  constructor(buffer: SharedArrayBuffer, nowMs: () => number = Date.now) {
    this.#words = new Int32Array(buffer)
    this.#nowMs = nowMs
  }

  /** Takes the lock for so long: a token for `release`, or `TAKEN`. */
  take(key: Buffer, forMs: number): number {
    const at = lockOf(key)
    const held = Atomics.load(this.#words, at)
    if (held !== 0 && !this.#isOver(held)) return TAKEN
    const token = this.#stamp(forMs)
    return Atomics.compareExchange(this.#words, at, held, token) === held ? token : TAKEN
  }

  /** Holds the lock for so long from now on: another token, or `TAKEN` by somebody else since. Who waits goes on waiting. */
  keep(key: Buffer, token: number, forMs: number): number {
    const kept = this.#stamp(forMs)
    return Atomics.compareExchange(this.#words, lockOf(key), token, kept) === token ? kept : TAKEN
  }

  /** Lets the waiters go. A lock that somebody else has taken since is left alone. */
  release(key: Buffer, token: number): void {
    const at = lockOf(key)
    if (Atomics.compareExchange(this.#words, at, token, 0) === token) Atomics.notify(this.#words, at)
  }

  /** Resolves when the lock is free or over, or after the time. */
  wait(key: Buffer, atMostMs: number): Promise<void> {
    const at = lockOf(key)
    const waiting = this.#waits.get(at)
    if (waiting !== undefined) return waiting
    const held = Atomics.load(this.#words, at)
    if (held === 0 || this.#isOver(held)) return Promise.resolve()
    const result = Atomics.waitAsync(this.#words, at, held, atMostMs)
    if (!result.async) return Promise.resolve()
    const wait = result.value.then(() => {
      this.#waits.delete(at)
    })
    this.#waits.set(at, wait)
    return wait
  }

  /** A moment in ms, in 32 bits: it comes round after seven weeks, and a lock is held for seconds. */
  #stamp(laterMs: number): number {
    return Math.ceil(this.#nowMs() + laterMs) | 0 || 1
  }

  #isOver(token: number): boolean {
    return ((token - this.#stamp(0)) | 0) <= 0
  }
}

function lockOf(key: Buffer): number {
  return key.readUInt32LE(8) % LOCKS
}
