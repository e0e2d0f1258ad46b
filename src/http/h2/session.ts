/**
 * One HTTP/2 connection as both sides see it (RFC 9113): reads frames, keeps the windows, writes what the streams have to say. What a
 * head means is up to those who extend it: `server-session.ts` for clients, `upstream/h2-session.ts` for upstreams.
 */
import type { Socket } from 'node:net'
import type { DeadlineHolder, Deadlines } from '#core/deadlines.ts'
import type { Outbox } from '../outbox.ts'
import { releaseSocket } from '../socket-reader.ts'
import { FLOOD_TOKENS, FloodGuard } from './flood-guard.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import * as h2 from './frames.ts'
import { HpackDecoder, IS_BOMB } from './hpack-decoder.ts'
import { HeaderBlock } from './header-block.ts'
import { TOO_MANY, type Field } from './hpack-fields.ts'
import type { Http2Limits } from './limits.ts'
import { PeerSettings } from './peer-settings.ts'
import { ReceiveWindow } from './receive-window.ts'
import { RecentResets } from './recent-resets.ts'
import type { Http2Stream } from './stream.ts'

/** Bytes of the bodies of all streams that may be on their way. */
const CONNECTION_WINDOW = 524_288
/** So many bytes of SETTINGS take a further token: a frame may have thousands of them, and six are known. */
const SETTINGS_BYTES = 48

export abstract class Http2Session implements FrameSink, DeadlineHolder {
  readonly socket: Socket
  readonly isTls: boolean
  readonly streams = new Map<number, Http2Stream>()
  readonly deadlines: Deadlines
  deadlineMs = 0
  deadlineTick = 0
  /** Whether the bytes now handed on are only valid until the callback returns. */
  readsAreShared = false
  isClosed = false
  /** The highest stream of the peer's that was begun. */
  lastPeerStream = 0
  /** We end: no new streams. */
  isEnding = false
  protected readonly limits: Http2Limits
  protected readonly guard: FloodGuard
  protected readonly peer: PeerSettings
  readonly out: FrameWriter
  readonly #isServer: boolean
  readonly #decoder = new HpackDecoder()
  readonly #window = new ReceiveWindow(CONNECTION_WINDOW)
  readonly #reader: FrameReader
  readonly #block: HeaderBlock
  readonly #resets = new RecentResets()

  constructor(
    socket: Socket,
    isTls: boolean,
    isServer: boolean,
    limits: Http2Limits,
    deadlines: Deadlines,
    outbox: Outbox,
  ) {
    this.socket = socket
    this.isTls = isTls
    this.#isServer = isServer
    this.limits = limits
    this.guard = new FloodGuard(limits.tokens)
    this.deadlines = deadlines
    this.#block = new HeaderBlock(limits.headBytes)
    this.peer = new PeerSettings(isServer)
    this.#reader = new FrameReader(socket, this, this.guard, LINGER_BYTES)
    this.out = new FrameWriter(socket, outbox, this.guard, () => this.beforeFlush())
    socket.on('drain', () => !this.isClosed && this.out.drained())
    socket.on('end', () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#onClose())
  }

  /** Says our settings and reads from now on. */
  protected start(settings: readonly (readonly [id: number, value: number])[]): void {
    this.out.write(
      h2.settingsFrame([...settings, [h2.SETTING_INITIAL_WINDOW_SIZE, h2.STREAM_WINDOW]]) +
        h2.windowUpdate(0, CONNECTION_WINDOW - h2.DEFAULT_WINDOW),
    )
    this.#reader.start()
  }

  // ---- what those who extend it make of it

  /** A header block of a stream that is not open; the fields are to be checked. */
  protected abstract onNewStream(id: number, fields: readonly Field[], blockBytes: number, isEnd: boolean): void
  /** A further block of an open stream: a response, or trailers. */
  protected abstract onStreamFields(stream: Http2Stream, fields: readonly Field[], isEnd: boolean): void
  /** Bytes before they count as its body; false when the message is malformed by them. */
  protected abstract mayReceive(stream: Http2Stream, size: number, isEnd: boolean): boolean
  protected abstract onPeerGoaway(lastStream: number, code: number): void
  protected abstract onPong(): void
  /** What was read is done with: what waited for more of it may begin. */
  onFramesRead(): void {}
  /** The last stream is gone. */
  protected abstract onNoStreams(): void
  protected abstract onClosed(): void
  /** The peer broke the protocol, or flooded us (ENHANCE_YOUR_CALM): the connection ends. */
  protected abstract onBroken(detail: string, code: number): void
  abstract onDeadline(): void

  // ---- in

  /** What came before this was told to read. */
  onBytes(bytes: Buffer, isShared: boolean): void {
    this.#reader.onBytes(bytes, isShared)
  }

  /** Where the frames begin; -1 while it can't be told. */
  abstract readPreface(bytes: Buffer): number

  readFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.#block.stream !== 0 && (type !== h2.CONTINUATION || id !== this.#block.stream))
      return this.fail(h2.PROTOCOL_ERROR, 'a frame between the parts of a header block')
    if (!this.peer.areKnown && (type !== h2.SETTINGS || (flags & h2.ACK) !== 0))
      return this.fail(h2.PROTOCOL_ERROR, 'the first frame is not SETTINGS')
    switch (type) {
      case h2.DATA:
        return this.#readData(flags, id, bytes, start, end)
      case h2.HEADERS:
        return this.#readHeaders(flags, id, bytes, start, end)
      case h2.CONTINUATION:
        return this.#readContinuation(flags, bytes, start, end)
      case h2.WINDOW_UPDATE:
        return this.#readWindowUpdate(id, bytes, start, end)
      case h2.RST_STREAM:
        return this.#readReset(id, bytes, start, end)
      case h2.SETTINGS:
        return this.#readSettings(flags, id, bytes, start, end)
      case h2.PING:
        return this.#readPing(flags, id, bytes, start, end)
      case h2.GOAWAY:
        if (id !== 0) return this.fail(h2.PROTOCOL_ERROR, 'GOAWAY on a stream')
        if (end - start < 8) return this.fail(h2.FRAME_SIZE_ERROR, 'a short GOAWAY')
        return this.onPeerGoaway(bytes.readUInt32BE(start) & h2.MAX_STREAM_ID, bytes.readUInt32BE(start + 4))
      case h2.PRIORITY:
        // RFC 9113 5.3: it says nothing any more, but is checked.
        if (id === 0) return this.fail(h2.PROTOCOL_ERROR, 'PRIORITY without a stream')
        if (end - start !== 5) return this.#failStream(id, h2.FRAME_SIZE_ERROR)
        return h2.isOwnParent(id, bytes, start) ? this.#failStream(id, h2.PROTOCOL_ERROR) : this.spend()
      case h2.PUSH_PROMISE:
        return this.fail(h2.PROTOCOL_ERROR, 'PUSH_PROMISE')
      default:
        // RFC 9113 4.1: frames of types that are not known are passed over.
        return this.spend()
    }
  }

  /** Takes tokens of the flood guard; the connection ends when there are none. */
  protected spend(count = 1): void {
    if (!this.guard.take(count)) this.fail(h2.ENHANCE_YOUR_CALM, 'a flood of frames that do nothing')
  }

  #readData(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const size = end - start
    if (id === 0) return this.fail(h2.PROTOCOL_ERROR, 'DATA without a stream')
    let from = start
    let to = end
    if ((flags & h2.PADDED) !== 0) {
      const padding = size === 0 ? 1 : bytes[start]! + 1
      if (padding > size) return this.fail(h2.PROTOCOL_ERROR, 'more padding than frame')
      from++
      to -= padding - 1
    }
    if (!this.#window.receive(size)) return this.fail(h2.FLOW_CONTROL_ERROR, 'more than the window of the connection')
    const isEnd = (flags & h2.END_STREAM) !== 0
    const stream = this.streams.get(id)
    if (stream === undefined || stream.isRemoteDone) {
      this.#creditConnection(size)
      if (stream !== undefined) return this.#failStream(id, h2.STREAM_CLOSED)
      if (this.#isIdle(id)) return this.fail(h2.PROTOCOL_ERROR, 'DATA on a stream that was not begun')
      if (!this.#resets.has(id)) return this.fail(h2.STREAM_CLOSED, 'DATA on a closed stream')
      return this.spend()
    }
    if (!stream.window.receive(size)) {
      this.#creditConnection(size)
      return this.#failStream(id, h2.FLOW_CONTROL_ERROR)
    }
    if (!this.mayReceive(stream, to - from, isEnd)) {
      this.#creditConnection(size)
      return this.#failStream(id, h2.PROTOCOL_ERROR)
    }
    const overhead = size - (to - from)
    if (overhead > 0) this.credit(stream, overhead)
    if (to > from) stream.receive(bytes.subarray(from, to))
    else if (!isEnd) return this.spend()
    if (isEnd && this.streams.get(id) === stream) {
      stream.receiveEnd(null)
      this.finish(stream)
    }
  }

  #readHeaders(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) return this.fail(h2.PROTOCOL_ERROR, 'HEADERS without a stream')
    let from = start
    let to = end
    if ((flags & h2.PADDED) !== 0) {
      if (from === to) return this.fail(h2.PROTOCOL_ERROR, 'more padding than frame')
      to -= bytes[from++]!
    }
    let isSelfDependent = false
    if ((flags & h2.HAS_PRIORITY) !== 0) {
      if (to - from < 5) return this.fail(h2.PROTOCOL_ERROR, 'HEADERS too short for its flags')
      isSelfDependent = h2.isOwnParent(id, bytes, from)
      from += 5
    }
    if (to < from) return this.fail(h2.PROTOCOL_ERROR, 'more padding than frame')
    if (isSelfDependent) return this.fail(h2.PROTOCOL_ERROR, 'a stream that depends on itself')
    if ((flags & h2.END_HEADERS) !== 0) this.#readBlock(id, flags, bytes, from, to)
    else this.#block.begin(id, flags, bytes.subarray(from, to))
  }

  #readContinuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const { stream, flags: firstFlags } = this.#block
    if (stream === 0) return this.fail(h2.PROTOCOL_ERROR, 'CONTINUATION without HEADERS')
    if (!this.#block.add(bytes.subarray(start, end)))
      return this.fail(h2.ENHANCE_YOUR_CALM, 'a header block over its limit')
    if ((flags & h2.END_HEADERS) === 0) return
    const block = this.#block.take()
    this.#readBlock(stream, firstFlags, block, 0, block.length)
  }

  #readBlock(id: number, flags: number, bytes: Buffer, start: number, end: number): void {
    const fields: Field[] = []
    const { headBytes, fields: maxFields } = this.limits
    // Pseudo-fields are not counted where HTTP/1.1 has its request line.
    const problem = this.#decoder.decode(bytes, start, end, fields, maxFields + 4, headBytes, TOO_MANY)
    if (problem === IS_BOMB) return this.fail(h2.ENHANCE_YOUR_CALM, 'a header block that names far more than it sends')
    if (problem !== 0) return this.fail(h2.COMPRESSION_ERROR, 'a header block that can not be read')
    const isEnd = (flags & h2.END_STREAM) !== 0
    const stream = this.streams.get(id)
    if (stream !== undefined) {
      if (stream.isRemoteDone) return this.#failStream(id, h2.STREAM_CLOSED)
      this.onStreamFields(stream, fields, isEnd)
      if (isEnd) this.finish(stream)
      return
    }
    if (this.#isIdle(id)) {
      if (!this.#isServer) return this.fail(h2.PROTOCOL_ERROR, 'HEADERS on a stream that was not begun')
      this.lastPeerStream = id
      return this.onNewStream(id, fields, end - start, isEnd)
    }
    if (this.#isServer && id % 2 === 0) return this.fail(h2.PROTOCOL_ERROR, "a client's stream with an even number")
    if (!this.#resets.has(id)) return this.fail(h2.STREAM_CLOSED, 'HEADERS on a closed stream')
    this.spend()
  }

  #readWindowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.fail(h2.FRAME_SIZE_ERROR, 'WINDOW_UPDATE has not four bytes')
    if (!this.guard.updateReceived()) return this.fail(h2.ENHANCE_YOUR_CALM, 'a flood of window updates')
    const increment = bytes.readUInt32BE(start) & h2.MAX_WINDOW
    if (id === 0) {
      if (increment === 0) return this.fail(h2.PROTOCOL_ERROR, 'a window update of nothing')
      this.out.window += increment
      if (this.out.window > h2.MAX_WINDOW) return this.fail(h2.FLOW_CONTROL_ERROR, 'a window over 2^31-1')
      return this.out.sendWaiting()
    }
    const stream = this.streams.get(id)
    if (stream === undefined) {
      if (this.#isIdle(id)) this.fail(h2.PROTOCOL_ERROR, 'WINDOW_UPDATE on a stream that was not begun')
      return
    }
    if (increment === 0) return this.#failStream(id, h2.PROTOCOL_ERROR)
    stream.sendWindow += increment
    if (stream.sendWindow > h2.MAX_WINDOW) return this.#failStream(id, h2.FLOW_CONTROL_ERROR)
    if (stream.hasWaiting) this.out.sendWaiting()
  }

  #readReset(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) return this.fail(h2.PROTOCOL_ERROR, 'RST_STREAM without a stream')
    if (end - start !== 4) return this.fail(h2.FRAME_SIZE_ERROR, 'RST_STREAM has not four bytes')
    if (this.#isIdle(id)) return this.fail(h2.PROTOCOL_ERROR, 'RST_STREAM on a stream that was not begun')
    const stream = this.streams.get(id)
    if (stream !== undefined) {
      this.#forget(stream)
      stream.onGone(bytes.readUInt32BE(start))
      if (this.streams.size === 0) this.onNoStreams()
    }
    this.spend()
  }

  #readSettings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const size = end - start
    if (id !== 0) return this.fail(h2.PROTOCOL_ERROR, 'SETTINGS on a stream')
    if ((flags & h2.ACK) !== 0) {
      if (size !== 0) return this.fail(h2.FRAME_SIZE_ERROR, 'SETTINGS that acknowledge and say something')
      return this.spend()
    }
    if (size % 6 !== 0) return this.fail(h2.FRAME_SIZE_ERROR, 'SETTINGS that are no list of six bytes each')
    const isFirst = !this.peer.areKnown
    const before = this.peer.initialWindow
    const error = this.peer.read(bytes, start, end)
    if (error !== 0) return this.fail(error, 'a setting out of its range')
    if (this.peer.namedTable) this.out.mustSayNoTable = true
    const difference = this.peer.initialWindow - before
    if (difference !== 0) {
      for (const stream of this.streams.values()) {
        stream.sendWindow += difference
        if (stream.sendWindow > h2.MAX_WINDOW) return this.fail(h2.FLOW_CONTROL_ERROR, 'a window over 2^31-1')
      }
    }
    this.out.write(h2.frameHead(0, h2.SETTINGS, h2.ACK, 0))
    this.out.sendWaiting()
    if (!isFirst) this.spend(1 + Math.floor(size / SETTINGS_BYTES))
  }

  #readPing(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) return this.fail(h2.PROTOCOL_ERROR, 'PING on a stream')
    if (end - start !== 8) return this.fail(h2.FRAME_SIZE_ERROR, 'PING has not eight bytes')
    if ((flags & h2.ACK) !== 0) this.onPong()
    else this.out.write(h2.frameHead(8, h2.PING, h2.ACK, 0) + bytes.latin1Slice(start, end))
    this.spend()
  }

  protected ping(): void {
    this.out.write(h2.frameHead(8, h2.PING, 0, 0) + 'meridian')
  }

  /** Whether a stream with this number may still be begun by whoever begins streams with such numbers. */
  #isIdle(id: number): boolean {
    return this.#isServer ? id % 2 === 1 && id > this.lastPeerStream : id > this.lastOwnStream
  }

  /** The highest stream that we began. */
  protected lastOwnStream = -1

  /** Begins a stream of ours. */
  protected open(stream: Http2Stream): void {
    stream.id = this.lastOwnStream += 2
    stream.sendWindow = this.peer.initialWindow
    this.streams.set(stream.id, stream)
  }

  /** Gives up streams of ours that the peer says it has not looked at. */
  protected dropFrom(lastStream: number): void {
    const open = [...this.streams.values()]
    for (const stream of open) {
      if (stream.id <= lastStream) continue
      this.#forget(stream)
      stream.onGone(h2.REFUSED_STREAM)
    }
    if (this.streams.size === 0) this.onNoStreams()
  }

  // ---- windows

  /** Bytes of a stream's body were taken: the peer may send as many again. */
  credit(stream: Http2Stream, size: number): void {
    this.#creditConnection(size)
    if (stream.isRemoteDone) return
    const increment = stream.window.take(size)
    if (increment > 0) this.out.write(h2.windowUpdate(stream.id, increment))
  }

  #creditConnection(size: number): void {
    const increment = this.#window.take(size)
    if (increment > 0 && !this.isClosed) this.out.write(h2.windowUpdate(0, increment))
  }

  // ---- out

  get initialSendWindow(): number {
    return this.peer.initialWindow
  }

  /** The last moment to add to what goes out in this turn. */
  protected beforeFlush(): void {}

  // ---- ends

  /** RST_STREAM, after which nothing of the stream is sent or heard. */
  reset(stream: Http2Stream, code: number): void {
    if (this.streams.get(stream.id) !== stream) return
    this.#forget(stream)
    this.#writeReset(stream.id, code)
    if (this.streams.size === 0) this.onNoStreams()
  }

  /** Refuses a stream that was not begun here. */
  protected refuse(id: number, code: number): void {
    this.#writeReset(id, code)
    this.spend()
  }

  #writeReset(id: number, code: number): void {
    this.#resets.add(id)
    this.out.write(h2.frameHead(4, h2.RST_STREAM, 0, id) + h2.uint32(code))
  }

  #failStream(id: number, code: number): void {
    const stream = this.streams.get(id)
    if (stream === undefined) this.#writeReset(id, code)
    else this.failStream(stream, code)
    this.spend()
  }

  /** The peer broke the rules on one stream. */
  protected failStream(stream: Http2Stream, code: number): void {
    this.#forget(stream)
    this.#writeReset(stream.id, code)
    stream.onGone(h2.PROTOCOL_ERROR)
    if (this.streams.size === 0) this.onNoStreams()
  }

  /** A stream whose both sides are done, and whose last bytes were taken, is over. */
  finish(stream: Http2Stream): void {
    if (!stream.isLocalDone || !stream.isRemoteDone || stream.isHolding) return
    if (this.streams.get(stream.id) !== stream) return
    this.#forget(stream)
    if (this.streams.size === 0) this.onNoStreams()
  }

  #forget(stream: Http2Stream): void {
    this.streams.delete(stream.id)
    this.out.forget(stream)
    this.deadlines.remove(stream)
    stream.isLocalDone = true
    stream.isRemoteDone = true
    stream.dropIncoming()
    stream.dropOutgoing()
  }

  protected goaway(lastStream: number, code: number): void {
    this.out.write(h2.frameHead(8, h2.GOAWAY, 0, 0) + h2.uint32(lastStream) + h2.uint32(code))
  }

  /** The connection can't go on (RFC 9113 5.4.1). */
  fail(code: number, detail: string): void {
    if (this.isClosed) return
    this.onBroken(detail, code)
    this.goaway(this.lastPeerStream, code)
    this.close()
    // Who began with less is told for the second time.
    if (code === h2.ENHANCE_YOUR_CALM) this.#reader.stop(this.limits.tokens < FLOOD_TOKENS)
  }

  /** Ends our side now; streams that are still open are gone. */
  protected close(): void {
    if (this.isClosed) return
    this.out.end()
    this.#end()
    // What the peer still sends is read and dropped for a moment, so that it gets our last word and not a reset.
    this.deadlines.set(this, LINGER_MS)
  }

  #onClose(): void {
    this.deadlines.remove(this)
    this.#end()
    releaseSocket(this.socket)
  }

  #end(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#reader.drop()
    this.#block.drop()
    const open = [...this.streams.values()]
    for (const stream of open) {
      this.#forget(stream)
      stream.onGone(-1)
    }
    this.onClosed()
  }
}

const LINGER_MS = 1000
/** What may be on its way by the windows that we gave; more is from somebody who does not listen. */
const LINGER_BYTES = 2 * CONNECTION_WINDOW
