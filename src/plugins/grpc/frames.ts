/** Messages of gRPC as they stand in a body: a byte of flags, four of length, and the message (gRPC over HTTP/2, Length-Prefixed-Message). */

import type { HeaderList } from '#pdk'

const HEAD_BYTES = 5
/** Of the flags: the message is compressed. */
export const COMPRESSED = 1
/** Of gRPC-Web: what follows is no message but the trailers. */
export const TRAILERS = 0x80

export interface Frame {
  readonly flags: number
  readonly message: Buffer
}

export function frameOf(flags: number, message: Buffer): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  head[0] = flags
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** Takes a body in pieces of any size. Holds no more than one message. */
export class FrameReader {
  readonly #limitBytes: number
  #parts: Buffer[] = []
  #held = 0
  /** Bytes of the message under way, with its head; while that is not known, of the head. */
  #wanted = HEAD_BYTES

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Whether the body may end here. */
  get isAtBoundary(): boolean {
    return this.#held === 0
  }

  /** The frames that are whole now, or why none can be any more. The bytes may be overwritten afterwards. */
  push(bytes: Buffer): readonly Frame[] | string {
    this.#parts.push(Buffer.from(bytes))
    this.#held += bytes.length
    // Pieces are put together when they are enough, so that many small ones cost no more than one.
    if (this.#held < this.#wanted) return []
    let rest = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    const frames: Frame[] = []
    this.#wanted = HEAD_BYTES
    while (rest.length >= HEAD_BYTES) {
      const length = rest.readUInt32BE(1)
      if (length > this.#limitBytes) return `a message of ${length} bytes is over the limit of ${this.#limitBytes}`
      const whole = HEAD_BYTES + length
      if (rest.length < whole) {
        this.#wanted = whole
        break
      }
      frames.push({ flags: rest[0]!, message: rest.subarray(HEAD_BYTES, whole) })
      rest = rest.subarray(whole)
    }
    this.#parts = rest.length === 0 ? [] : [rest]
    this.#held = rest.length
    return frames
  }
}

/** For clients that are no clients of gRPC: they get none, though the request has `TE` for the upstream. */
export function dropTrailers(trailers: HeaderList | null): void {
  for (const [name] of trailers ?? []) trailers?.remove(name)
}

/** All frames of a body that is there as a whole, or what is wrong with it. */
export function framesOf(body: Buffer, limitBytes: number): readonly Frame[] | string {
  const reader = new FrameReader(limitBytes)
  const frames = reader.push(body)
  if (typeof frames === 'string') return frames
  return reader.isAtBoundary ? frames : 'the last message is cut off'
}
