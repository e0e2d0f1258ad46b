import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/** A socket without a network: `receive` is what its peer sends, `sent` what was written to it. */
export class MemorySocket extends Duplex {
  sent = ''
  /** Where Node's sockets have their handle: without one, the gateway's connections use the stream. */
  readonly _handle = null

  override _read(): void {
    // Bytes come by `receive`.
  }
  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.sent += bytes.toString('latin1')
    done()
  }
  receive(bytes: Buffer): void {
    if (!this.destroyed) this.push(bytes)
  }
  receiveEnd(): void {
    if (!this.destroyed) this.push(null)
  }
  setTimeout(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
  get asSocket(): Socket {
    return this as unknown as Socket
  }
}
