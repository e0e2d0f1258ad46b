/**
 * What goes out on one HTTP/2 connection: frames of one turn of the event loop together, bodies as the windows of the peer allow, and
 * nothing but them held back while its socket takes no more.
 */
import type { Socket } from 'node:net'
import { copyBytes } from '../copy-bytes.ts'
import type { Outbox, OutboxEntry } from '../outbox.ts'
import { writeMessage } from '../socket-writer.ts'
import type { FloodGuard } from './flood-guard.ts'
import { DATA, DEFAULT_WINDOW, END_STREAM, frameHead, headersFrames, MAX_FRAME_BYTES } from './frames.ts'
import { NO_TABLE } from './hpack-encoder.ts'
import type { Http2Stream } from './stream.ts'

/** Text up to this size is cheaper than bytes. */
const TEXT_BYTES = 2048
/** Collected writes go out at the latest when they are so many. */
const FLUSH_BYTES = 262_144
/** What may wait for a peer that reads nothing, besides bodies: answers to pings and settings, heads. */
const MOST_UNREAD_BYTES = 4_194_304
/** What a stream sends in its turn, when others wait, too. */
const TURN_BYTES = 16_384

export class FrameWriter implements OutboxEntry {
  /** The socket takes no more: 'drain' will say when it does. */
  isBlocked = false
  /** Bytes of bodies that the peer takes on the connection. */
  window = DEFAULT_WINDOW
  /** The next header block has to begin by saying that our table is empty (RFC 7541 4.2). */
  mustSayNoTable = true
  readonly #socket: Socket
  readonly #outbox: Outbox
  readonly #guard: FloodGuard
  /** The last moment to add to what goes out in a turn. */
  readonly #beforeFlush: () => void
  /** Collected writes: text, and before it parts that are not text alone. */
  #text = ''
  #parts: (string | Buffer)[] = []
  #collected = 0
  #isQueued = false
  /** Streams with bytes that wait for a window, in the order of their turns. */
  #waiting = new Set<Http2Stream>()
  #isSendingWaiting = false

  constructor(socket: Socket, outbox: Outbox, guard: FloodGuard, beforeFlush: () => void) {
    this.#socket = socket
    this.#outbox = outbox
    this.#guard = guard
    this.#beforeFlush = beforeFlush
  }

  write(text: string): void {
    this.#text += text
    this.#collect(text.length)
  }

  /** A header block in as many frames as it needs. */
  writeBlock(stream: Http2Stream, block: string, isEnd: boolean): void {
    if (this.mustSayNoTable) {
      this.mustSayNoTable = false
      block = NO_TABLE + block
    }
    this.write(headersFrames(stream.id, block, isEnd, MAX_FRAME_BYTES))
    if (isEnd) stream.isLocalDone = true
  }

  /** Bytes for which there is room; they count against the windows. Shared ones are copied. */
  writeData(stream: Http2Stream, bytes: Buffer, areShared: boolean, isEnd: boolean): void {
    const { length } = bytes
    stream.sendWindow -= length
    this.window -= length
    if (isEnd) stream.isLocalDone = true
    let at = 0
    do {
      const size = Math.min(length - at, MAX_FRAME_BYTES)
      this.#guard.dataSent()
      this.write(frameHead(size, DATA, isEnd && at + size === length ? END_STREAM : 0, stream.id))
      if (size <= TEXT_BYTES) this.write(bytes.latin1Slice(at, at + size))
      else {
        const part = size === length ? bytes : bytes.subarray(at, at + size)
        this.#writeBytes(areShared ? copyBytes(part) : part)
      }
      at += size
    } while (at < length)
  }

  #writeBytes(bytes: Buffer): void {
    if (this.#text !== '') this.#parts.push(this.#text)
    this.#text = ''
    this.#parts.push(bytes)
    this.#collect(bytes.length)
  }

  #collect(size: number): void {
    this.#collected += size
    if (!this.#isQueued) {
      this.#isQueued = true
      this.#outbox.add(this)
    } else if (this.#collected > FLUSH_BYTES && !this.#isSendingWaiting) this.#flush()
  }

  /** Called by the outbox at the end of a turn. */
  flushQueued(): void {
    this.#isQueued = false
    this.#beforeFlush()
    this.#flush()
  }

  #flush(): void {
    if (this.#collected === 0 || this.#socket.destroyed) return
    if (this.isBlocked) {
      if (this.#collected > MOST_UNREAD_BYTES) this.#socket.destroy()
      return
    }
    const text = this.#text
    const parts = this.#parts
    this.#text = ''
    this.#collected = 0
    if (parts.length === 0) {
      this.isBlocked = !writeMessage(this.#socket, text)
      return
    }
    this.#parts = []
    if (text !== '') parts.push(text)
    let isFlowing = true
    this.#socket.cork()
    for (const part of parts)
      isFlowing = typeof part === 'string' ? this.#socket.write(part, 'latin1') : this.#socket.write(part)
    this.#socket.uncork()
    this.isBlocked = !isFlowing
  }

  /** The socket takes bytes again. */
  drained(): void {
    this.isBlocked = false
    this.#flush()
    this.sendWaiting()
  }

  /** Everything that was collected goes out, whether the socket wants it or not: it is the last. */
  end(): void {
    this.isBlocked = false
    this.flushQueued()
    this.#socket.end()
  }

  /** Bytes that the stream may send now. */
  roomFor(stream: Http2Stream): number {
    return this.isBlocked ? 0 : Math.min(stream.sendWindow, this.window)
  }

  /** Gives the stream turns until nothing of it waits. */
  addWaiting(stream: Http2Stream): void {
    this.#waiting.add(stream)
  }

  forget(stream: Http2Stream): void {
    this.#waiting.delete(stream)
  }

  /** Everybody who waits gets a turn, and again, while there is room. */
  sendWaiting(): void {
    if (this.#isSendingWaiting) return
    this.#isSendingWaiting = true
    for (let hasSent = true; hasSent && this.#waiting.size > 0 && !this.isBlocked;) {
      hasSent = false
      for (const stream of this.#waiting) {
        if (this.roomFor(stream) <= 0) continue
        hasSent = true
        stream.sendWaiting(TURN_BYTES)
        // Asked only now: it may have been given more meanwhile.
        if (!stream.hasWaiting) this.#waiting.delete(stream)
      }
      if (this.#collected > FLUSH_BYTES) this.#flush()
    }
    this.#isSendingWaiting = false
  }
}
