/** A header block that comes in several frames (RFC 9113 6.10), put together. */
import { copyBytes } from '../copy-bytes.ts'

/** Frames that one block may take. */
const MOST_FRAMES = 64

export class HeaderBlock {
  /** The stream whose block is not complete; 0 while there is none. */
  stream = 0
  /** The flags of its HEADERS. */
  flags = 0
  #parts: Buffer[] = []
  #size = 0
  readonly #mostBytes: number

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  begin(stream: number, flags: number, part: Buffer): void {
    this.stream = stream
    this.flags = flags
    this.#parts = [copyBytes(part)]
    this.#size = part.length
  }

  /** False when it is over its limit. */
  add(part: Buffer): boolean {
    this.#size += part.length
    if (this.#size > this.#mostBytes || this.#parts.length >= MOST_FRAMES) return false
    this.#parts.push(copyBytes(part))
    return true
  }

  /** The whole; from now on there is none. */
  take(): Buffer {
    const block = Buffer.concat(this.#parts)
    this.drop()
    return block
  }

  drop(): void {
    this.stream = 0
    this.#parts = []
  }
}
