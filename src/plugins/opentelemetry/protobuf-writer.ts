/**
 * Writes messages in the wire format of Protocol Buffers: the four kinds of fields that OTLP has, straight into one buffer that the
 * thread keeps. Spans are written while their request ends, so what this costs every traced request pays.
 */

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

const FIRST_BYTES = 16 * 1024
/** A buffer that one large entry made is not kept. */
const KEPT_BYTES = 1024 * 1024
/** Bytes of UTF-8 for one UTF-16 unit. */
const MOST_PER_UNIT = 3
const TWO_32 = 2 ** 32

export class ProtobufWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #at = 0

  /** What was written since the last time, as bytes of its own. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#at))
    this.#at = 0
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafe(FIRST_BYTES)
    return taken
  }

  /** Forgets what was written, after an exception. */
  reset(): void {
    this.#at = 0
  }

  /** A non-negative whole number. */
  uint(field: number, value: number): void {
    this.#tag(field, VARINT)
    this.#varint(value)
  }

  bool(field: number, value: boolean): void {
    this.uint(field, value ? 1 : 0)
  }

  double(field: number, value: number): void {
    this.#tag(field, FIXED64)
    this.#room(8)
    this.#at = this.#bytes.writeDoubleLE(value, this.#at)
  }

  fixed32(field: number, value: number): void {
    this.#tag(field, FIXED32)
    this.#room(4)
    this.#at = this.#bytes.writeUInt32LE(value >>> 0, this.#at)
  }

  /** A moment in Unix ms, as the nanoseconds that OTLP has; whole microseconds are kept. */
  nanos(field: number, unixMs: number): void {
    const micros = Math.round(unixMs * 1000)
    // In halves: the product has more bits than a number keeps.
    const low = (micros % TWO_32) * 1000
    const high = Math.floor(micros / TWO_32) * 1000 + Math.floor(low / TWO_32)
    this.#tag(field, FIXED64)
    this.#room(8)
    this.#at = this.#bytes.writeUInt32LE(low % TWO_32, this.#at)
    this.#at = this.#bytes.writeUInt32LE(high, this.#at)
  }

  text(field: number, value: string): void {
    this.#tag(field, LENGTH)
    const length = value.length * MOST_PER_UNIT < 128 ? -1 : Buffer.byteLength(value)
    this.#room(length < 0 ? 128 : length + 5)
    if (length >= 0) this.#varint(length)
    else this.#at++
    const lengthAt = this.#at - 1
    const written = this.#bytes.write(value, this.#at)
    if (length < 0) this.#bytes[lengthAt] = written
    this.#at += written
  }

  /** Bytes that are given in hexadecimal. */
  hex(field: number, value: string): void {
    this.#tag(field, LENGTH)
    this.#varint(value.length >> 1)
    this.#room(value.length >> 1)
    this.#at += this.#bytes.write(value, this.#at, 'hex')
  }

  bytes(field: number, value: Buffer): void {
    this.#tag(field, LENGTH)
    this.#varint(value.length)
    this.#room(value.length)
    this.#at += value.copy(this.#bytes, this.#at)
  }

  /** Begins a message inside; what it answers is for `end`. */
  begin(field: number): number {
    this.#tag(field, LENGTH)
    this.#room(1)
    return ++this.#at
  }

  end(beganAt: number): void {
    const length = this.#at - beganAt
    let lengthBytes = 1
    for (let rest = length; rest >= 128; rest = Math.floor(rest / 128)) lengthBytes++
    if (lengthBytes > 1) {
      // One byte was left for the length of most.
      this.#room(lengthBytes)
      this.#bytes.copyWithin(beganAt + lengthBytes - 1, beganAt, this.#at)
    }
    const endAt = this.#at + lengthBytes - 1
    this.#at = beganAt - 1
    this.#put(length)
    this.#at = endAt
  }

  #tag(field: number, kind: number): void {
    this.#varint((field << 3) | kind)
  }

  #varint(value: number): void {
    this.#room(10)
    this.#put(value)
  }

  /** For where there is room. */
  #put(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#at++] = rest
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }
}
