/** A frame of which only a part has come, put together as the rest comes: nothing behind it is copied for its sake. */
import { FRAME_HEAD_BYTES, MAX_FRAME_BYTES } from './frames.ts'
import { SpareMemory } from './spare-memory.ts'

/** Up to so many bytes that came are kept in memory of their own, so that a peer pins little more than it sends. */
const SMALL_BYTES = 1024
const SMALLEST_BYTES = 64

/** For parts that are larger. */
const large = new SpareMemory(FRAME_HEAD_BYTES + MAX_FRAME_BYTES, 64)

export class PartialFrame {
  /** What came of it. */
  size = 0
  #bytes: Buffer | null = null
  #isLarge = false

  /** What came of it; valid until it is dropped. */
  get bytes(): Buffer {
    return this.#bytes!.subarray(0, this.size)
  }

  /** Whether all of it is there, or more than may be. */
  get isWhole(): boolean {
    return this.size >= FRAME_HEAD_BYTES && this.size === this.#wanted
  }

  /** Takes what it lacks out of these bytes, from `at` on; answers where that ends. */
  add(bytes: Buffer, at: number): number {
    while (at < bytes.length && !this.isWhole) {
      const end = Math.min(bytes.length, at + this.#wanted - this.size)
      const size = this.size + end - at
      this.#makeRoom(size).set(bytes.subarray(at, end), this.size)
      this.size = size
      at = end
    }
    return at
  }

  drop(): void {
    if (this.#isLarge) large.give(this.#bytes!)
    this.#isLarge = false
    this.#bytes = null
    this.size = 0
  }

  /** Its head alone while that is not there, and where that says more than there may be. */
  get #wanted(): number {
    if (this.size < FRAME_HEAD_BYTES) return FRAME_HEAD_BYTES
    const length = this.#bytes!.readUIntBE(0, 3)
    return length > MAX_FRAME_BYTES ? FRAME_HEAD_BYTES : FRAME_HEAD_BYTES + length
  }

  #makeRoom(size: number): Buffer {
    const before = this.#bytes
    if (before !== null && size <= before.length) return before
    this.#isLarge = size > SMALL_BYTES
    const room = this.#isLarge
      ? large.take()
      : Buffer.allocUnsafe(size <= SMALLEST_BYTES ? SMALLEST_BYTES : SMALL_BYTES)
    if (before !== null) room.set(before.subarray(0, this.size))
    return (this.#bytes = room)
  }
}
