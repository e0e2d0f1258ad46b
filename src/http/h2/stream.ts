/** One stream of an HTTP/2 connection (RFC 9113 5): its windows, and what waits for them in either direction. */
import type { DeadlineHolder } from '#core/deadlines.ts'
import { copyBytes } from '../copy-bytes.ts'
import type { HeaderList } from '../header-list.ts'
import { ReceiveWindow } from './receive-window.ts'
import { STREAM_WINDOW } from './frames.ts'
import type { Http2Session } from './session.ts'
import { encodeFields } from './hpack-encoder.ts'
import type { Field } from './hpack-fields.ts'

export abstract class Http2Stream implements DeadlineHolder {
  /** 0 while it waits to be begun. */
  id: number
  deadlineMs = 0
  deadlineTick = 0
  /** Bytes that the peer takes. */
  sendWindow: number
  readonly window = new ReceiveWindow(STREAM_WINDOW)
  /** END_STREAM went out, or a reset went one way or the other. */
  isLocalDone = false
  /** END_STREAM came in. */
  isRemoteDone = false
  /** Whether the bytes now handed on are only valid until the callback returns. */
  readsAreShared = false
  isPaused = false
  protected readonly session: Http2Session
  /** What the windows, or the socket, do not let out yet. */
  #out: Buffer[] = []
  #isEndWaiting = false
  #trailers: HeaderList | null = null
  /** What came while nobody wanted it: never more than the window. */
  #in: Buffer[] = []
  #isEndHeld = false
  #heldTrailers: readonly Field[] | null = null

  constructor(session: Http2Session, id: number) {
    this.session = session
    this.id = id
    this.sendWindow = session.initialSendWindow
  }

  abstract onDeadline(): void
  /** Bytes of the peer's message, valid until this returns when `readsAreShared`. */
  protected abstract onBody(bytes: Buffer): void
  /** The peer's message is complete; false when it can't be. */
  protected abstract onBodyEnd(trailers: readonly Field[] | null): void
  /** The peer takes bytes again after a write said stop. */
  protected abstract onSendDrain(): void
  /** A write waits: the time for it begins, or goes on after some progress. */
  protected abstract onSendBlocked(): void
  /** The peer reset the stream, or the connection is gone. `code` is that of RFC 9113 7; -1 for a connection that closed. */
  abstract onGone(code: number): void

  get hasWaiting(): boolean {
    return this.#out.length > 0
  }

  /** Whether something that came is still to be taken. */
  get isHolding(): boolean {
    return this.#in.length > 0 || this.#isEndHeld
  }

  // ---- in

  receive(bytes: Buffer): void {
    if (this.isPaused || this.#in.length > 0) {
      if (bytes.length > 0) this.#in.push(this.session.readsAreShared ? copyBytes(bytes) : bytes)
      return
    }
    this.readsAreShared = this.session.readsAreShared
    this.session.credit(this, bytes.length)
    if (bytes.length > 0) this.onBody(bytes)
  }

  receiveEnd(trailers: readonly Field[] | null): void {
    this.isRemoteDone = true
    if (this.isPaused || this.#in.length > 0) {
      this.#isEndHeld = true
      this.#heldTrailers = trailers
    } else this.onBodyEnd(trailers)
  }

  protected pause(): void {
    this.isPaused = true
  }

  protected resume(): void {
    this.isPaused = false
    while (this.#in.length > 0) {
      const bytes = this.#in.shift()!
      this.readsAreShared = false
      this.session.credit(this, bytes.length)
      this.onBody(bytes)
      if (this.isPaused) return
    }
    if (!this.#isEndHeld) return
    this.#isEndHeld = false
    this.onBodyEnd(this.#heldTrailers)
  }

  /** Lets go of what is held, so that it no longer counts against the connection. */
  dropIncoming(): void {
    for (const bytes of this.#in) this.session.credit(this, bytes.length)
    this.#in = []
    this.#isEndHeld = false
    this.isPaused = false
  }

  // ---- out

  /** False: wait for `onSendDrain`. */
  protected sendData(bytes: Buffer, areShared: boolean): boolean {
    if (this.isLocalDone) return true
    let rest = bytes
    if (this.#out.length === 0) {
      const room = this.session.out.roomFor(this)
      if (room >= bytes.length) {
        this.session.out.writeData(this, bytes, areShared, false)
        return true
      }
      if (room > 0) {
        this.session.out.writeData(this, bytes.subarray(0, room), areShared, false)
        rest = bytes.subarray(room)
      }
    }
    this.#out.push(areShared || rest !== bytes ? copyBytes(rest) : rest)
    this.session.out.addWaiting(this)
    this.onSendBlocked()
    return false
  }

  /** After what waits, the end. */
  protected sendEnd(trailers: HeaderList | null): void {
    if (this.isLocalDone) return
    if (this.#out.length > 0) {
      this.#isEndWaiting = true
      this.#trailers = trailers
    } else this.#writeEnd(trailers)
  }

  #writeEnd(trailers: HeaderList | null): void {
    if (trailers === null) this.session.out.writeData(this, NOTHING, false, true)
    else this.session.out.writeBlock(this, encodeFields(trailers), true)
    this.isLocalDone = true
    this.onSent()
  }

  /** The whole message went out. */
  protected abstract onSent(): void

  /** Sends at most `most` bytes of what waits. */
  sendWaiting(most: number): void {
    const room = Math.min(most, this.session.out.roomFor(this))
    const first = this.#out[0]
    if (first === undefined || room <= 0) return
    if (first.length <= room) {
      this.#out.shift()
      this.session.out.writeData(this, first, false, false)
    } else {
      this.#out[0] = first.subarray(room)
      this.session.out.writeData(this, first.subarray(0, room), false, false)
    }
    if (this.#out.length > 0) this.onSendBlocked()
    else if (this.#isEndWaiting) this.#writeEnd(this.#trailers)
    else this.onSendDrain()
  }

  dropOutgoing(): void {
    this.#out = []
  }
}

const NOTHING = Buffer.alloc(0)
