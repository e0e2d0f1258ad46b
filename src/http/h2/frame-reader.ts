/**
 * Takes what a peer sends apart into frames. A connection has only so many of them read in one turn of the event loop, and far fewer of
 * those that cost the peer nothing and us something (which take tokens of the flood guard); the rest waits, and nothing further is
 * read, until others had their turn.
 */
import type { Socket } from 'node:net'
import { copyBytes } from '../copy-bytes.ts'
import { readSocket, type ByteReader } from '../socket-reader.ts'
import type { FloodGuard } from './flood-guard.ts'
import { FRAME_HEAD_BYTES, FRAME_SIZE_ERROR, MAX_FRAME_BYTES } from './frames.ts'
import { laterTurns, type LaterTurn } from './later-turns.ts'
import { PartialFrame } from './partial-frame.ts'
import { SpareMemory } from './spare-memory.ts'

/** Who frames are for. */
export interface FrameSink {
  readonly isClosed: boolean
  /** Whether the bytes now handed on are only valid until the callback returns. */
  readsAreShared: boolean
  /** Where the frames begin; -1 while it can't be told. */
  readPreface(bytes: Buffer): number
  /** The payload is `bytes` from `start` to `end`. */
  readFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void
  /** What was read is done with. */
  onFramesRead(): void
  fail(code: number, detail: string): void
}

/** Frames of one connection in one turn: some tenths of a millisecond. Of ordinary ones a read has seldom more than some tens. */
const TURN_FRAMES = 512
/** What a token counts as: of frames that take one, 64 are read in one turn. */
const FRAMES_OF_A_TOKEN = 7

/** What a read brings, for the rest of one that waits. */
const SLAB_BYTES = 131_072
const slabs = new SpareMemory(SLAB_BYTES, 8)

export class FrameReader implements ByteReader, LaterTurn {
  readonly #socket: Socket
  readonly #sink: FrameSink
  readonly #guard: FloodGuard
  /** What may come after the end. */
  readonly #lingerBytes: number
  /** Whether it was seen where the frames begin. */
  #hasBegun = false
  /** The frame that what was read ends in. */
  readonly #partial = new PartialFrame()
  /** Bytes that have to wait. */
  #held: Buffer | null = null
  /** The memory that those are in, when it is to serve again. */
  #slab: Buffer | null = null
  /** The rest of what came is read in a later turn. */
  #isWaiting = false
  #dropped = 0
  /** Of the frames of this turn. */
  #left = 0

  constructor(socket: Socket, sink: FrameSink, guard: FloodGuard, lingerBytes: number) {
    this.#socket = socket
    this.#sink = sink
    this.#guard = guard
    this.#lingerBytes = lingerBytes
  }

  start(): void {
    readSocket(this.#socket, this)
  }

  onBytes(bytes: Buffer, isShared: boolean): void {
    if (this.#sink.isClosed) {
      if ((this.#dropped += bytes.length) > this.#lingerBytes) this.#socket.destroy()
      return
    }
    if (this.#held !== null) {
      bytes = Buffer.concat([this.#held, bytes])
      this.#letGo()
      isShared = false
    }
    // TLS hands on what it has decrypted also when reading was stopped meanwhile.
    if (this.#isWaiting) this.#held = isShared ? copyBytes(bytes) : bytes
    else this.#read(bytes, isShared)
  }

  /** Whether the rest has to wait. */
  #read(bytes: Buffer, isShared: boolean): boolean {
    const sink = this.#sink
    const guard = this.#guard
    let pos = 0
    if (!this.#hasBegun) {
      pos = sink.readPreface(bytes)
      if (pos < 0) {
        if (!sink.isClosed) this.#held = isShared ? copyBytes(bytes) : bytes
        return false
      }
      this.#hasBegun = true
    }
    this.#left = TURN_FRAMES
    guard.spent = 0
    if (this.#partial.size > 0) pos = this.#readPartial(bytes, pos)
    sink.readsAreShared = isShared
    pos = this.#readFrames(bytes, pos)
    const isSpent = this.#left <= guard.spent * FRAMES_OF_A_TOKEN
    // What is reset by the rest is then not begun.
    if (!isSpent) sink.onFramesRead()
    if (sink.isClosed) return false
    if (!isSpent) {
      this.#partial.add(bytes, pos)
      return false
    }
    const rest = pos === 0 ? bytes : bytes.subarray(pos)
    if (rest.length > 0) this.#held = isShared && this.#slab === null ? this.#put(rest) : rest
    this.#isWaiting = true
    this.#socket.pause()
    laterTurns.add(this)
    return true
  }

  /** Reads the frame that began before these bytes, when it ends in them; answers where the next begins. */
  #readPartial(bytes: Buffer, from: number): number {
    const partial = this.#partial
    const pos = partial.add(bytes, from)
    if (!partial.isWhole) return pos
    this.#sink.readsAreShared = true
    this.#readFrames(partial.bytes, 0)
    partial.drop()
    return pos
  }

  goOn(): void {
    const sink = this.#sink
    this.#isWaiting = false
    if (sink.isClosed) return
    const held = this.#held
    this.#held = null
    if (held === null) sink.onFramesRead()
    else if (this.#read(held, this.#slab !== null)) return
    this.#giveSlabBack()
    if (!sink.isClosed) this.#socket.resume()
  }

  #put(rest: Buffer): Buffer {
    if (rest.length > SLAB_BYTES) return copyBytes(rest)
    this.#slab = slabs.take()
    this.#slab.set(rest)
    return this.#slab.subarray(0, rest.length)
  }

  #giveSlabBack(): void {
    if (this.#slab !== null) slabs.give(this.#slab)
    this.#slab = null
  }

  #readFrames(bytes: Buffer, from: number): number {
    const sink = this.#sink
    const guard = this.#guard
    let pos = from
    while (bytes.length - pos >= FRAME_HEAD_BYTES && !sink.isClosed && this.#left > guard.spent * FRAMES_OF_A_TOKEN) {
      const length = (bytes[pos]! << 16) | (bytes[pos + 1]! << 8) | bytes[pos + 2]!
      if (length > MAX_FRAME_BYTES) {
        sink.fail(FRAME_SIZE_ERROR, `a frame of ${length} bytes`)
        break
      }
      const start = pos + FRAME_HEAD_BYTES
      if (bytes.length - start < length) break
      const type = bytes[pos + 3]!
      const flags = bytes[pos + 4]!
      const id = ((bytes[pos + 5]! & 127) << 24) | (bytes[pos + 6]! << 16) | (bytes[pos + 7]! << 8) | bytes[pos + 8]!
      pos = start + length
      this.#left--
      sink.readFrame(type, flags, id, bytes, start, pos)
    }
    return pos
  }

  /**
   * Reads nothing more: what a flood still sends is not worth a look. For those who are told so many wait at a time, which is memory of
   * the kernel's; further ones are cut when the last word is out, and those that need not hear of it.
   */
  stop(isCut: boolean): void {
    const socket = this.#socket
    this.drop()
    socket.pause()
    if (isCut || stopped >= MOST_STOPPED) {
      if (socket.writableFinished) socket.destroy()
      else socket.once('finish', () => socket.destroy())
      return
    }
    stopped++
    socket.once('close', () => stopped--)
  }

  /** Lets go of what came. */
  drop(): void {
    this.#letGo()
    this.#partial.drop()
  }

  #letGo(): void {
    this.#held = null
    this.#giveSlabBack()
  }
}

const MOST_STOPPED = 64
/** Connections of this thread that were stopped and are not closed yet. */
let stopped = 0
