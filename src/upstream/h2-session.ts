/** An HTTP/2 connection to a target, which carries many requests at once. */
import type { Socket } from 'node:net'
import type { Deadlines } from '#core/deadlines.ts'
import { FLOOD_TOKENS } from '#http/h2/flood-guard.ts'
import { MAX_STREAM_ID, NO_ERROR, PREFACE, SETTING_ENABLE_PUSH, SETTING_MAX_HEADER_LIST_SIZE } from '#http/h2/frames.ts'
import type { Field } from '#http/h2/hpack-fields.ts'
import { Http2Session } from '#http/h2/session.ts'
import type { Http2Stream } from '#http/h2/stream.ts'
import type { Outbox } from '#http/outbox.ts'
import { connectFailure } from './connection.ts'
import { UpstreamStream } from './h2-stream.ts'

/** Requests that wait for a connection, and those that go out before the upstream says how many it takes. */
const FIRST_STREAMS = 100
const MAX_FIELDS = 500
/** One that did nothing for so long may be dead without our knowing: its next request asks, and waits so long for an answer. */
const DOUBTFUL_MS = 10_000
const PONG_MS = 5_000

export interface UpstreamSessionSettings {
  readonly idleTimeoutMs: number
  readonly maxRequests: number
  readonly maxHeadBytes: number
}

export class UpstreamSession extends Http2Session {
  isConnected = false
  readonly poolKey: string
  readonly #settings: UpstreamSessionSettings
  readonly #onGone: (session: UpstreamSession) => void
  #waitingStreams = new Set<UpstreamStream>()
  #requests = 0
  /** No further requests: it says goodbye, or served enough of them. */
  #isRetired = false
  #idleSinceMs = 0
  #isPinged = false
  #error: Error | null = null

  constructor(
    socket: Socket,
    poolKey: string,
    isTls: boolean,
    settings: UpstreamSessionSettings,
    deadlines: Deadlines,
    outbox: Outbox,
    onGone: (session: UpstreamSession) => void,
  ) {
    super(
      socket,
      isTls,
      false,
      { headBytes: settings.maxHeadBytes, fields: MAX_FIELDS, maxStreams: 0, tokens: FLOOD_TOKENS },
      deadlines,
      outbox,
    )
    this.poolKey = poolKey
    this.#settings = settings
    this.#onGone = onGone
    socket.on(isTls ? 'secureConnect' : 'connect', () => this.#onConnect())
    socket.on('error', (error: Error) => {
      this.#error = error
    })
  }

  /** Whether another request may go this way. */
  get hasRoom(): boolean {
    if (this.#isRetired || this.isClosed || this.socket.destroyed) return false
    const most = this.peer.areKnown ? this.peer.maxStreams : FIRST_STREAMS
    return this.streams.size + this.#waitingStreams.size < most
  }

  /** A stream that is not begun yet. */
  link(): UpstreamStream {
    const stream = new UpstreamStream(this)
    if (!this.isConnected) this.#waitingStreams.add(stream)
    return stream
  }

  /** Gives a stream its number; false when the connection ended meanwhile. */
  begin(stream: UpstreamStream): boolean {
    if (this.isClosed || this.socket.destroyed || this.#isRetired) return false
    if (this.streams.size === 0) this.#wake()
    this.open(stream)
    if (++this.#requests >= this.#settings.maxRequests || this.lastOwnStream >= MAX_STREAM_ID - 2)
      this.#isRetired = true
    return true
  }

  /** The proxy wants no more of a stream. */
  giveUp(stream: UpstreamStream, code: number): void {
    this.#waitingStreams.delete(stream)
    this.deadlines.remove(stream)
    this.reset(stream, code)
    if (!this.isConnected && this.#waitingStreams.size === 0) this.socket.destroy()
  }

  #onConnect(): void {
    this.isConnected = true
    this.out.write(PREFACE.latin1Slice())
    this.start([
      [SETTING_ENABLE_PUSH, 0],
      [SETTING_MAX_HEADER_LIST_SIZE, this.limits.headBytes],
    ])
    const waiting = [...this.#waitingStreams]
    this.#waitingStreams.clear()
    for (const stream of waiting) stream.connected()
    if (this.streams.size === 0) this.onNoStreams()
  }

  #wake(): void {
    this.deadlines.set(this, 0)
    if (this.#idleSinceMs === 0 || performance.now() - this.#idleSinceMs < DOUBTFUL_MS) return
    this.#isPinged = true
    this.ping()
    this.deadlines.set(this, PONG_MS)
  }

  readPreface(): number {
    return 0
  }

  protected onNewStream(): void {
    // A stream that we did not begin is refused before this is asked.
  }

  protected onStreamFields(stream: Http2Stream, fields: readonly Field[], isEnd: boolean): void {
    ;(stream as UpstreamStream).readFields(fields, isEnd)
  }

  protected mayReceive(stream: Http2Stream, size: number, isEnd: boolean): boolean {
    return (stream as UpstreamStream).count(size, isEnd)
  }

  protected onPeerGoaway(lastStream: number): void {
    this.#isRetired = true
    this.dropFrom(lastStream)
  }

  protected onPong(): void {
    if (!this.#isPinged) return
    this.#isPinged = false
    this.deadlines.set(this, this.streams.size === 0 ? this.#settings.idleTimeoutMs : 0)
  }

  protected onNoStreams(): void {
    if (this.#isRetired) {
      this.goaway(0, NO_ERROR)
      this.close()
      return
    }
    this.#idleSinceMs = performance.now()
    if (!this.#isPinged) this.deadlines.set(this, this.#settings.idleTimeoutMs)
  }

  protected onBroken(): void {}

  protected onClosed(): void {
    const waiting = [...this.#waitingStreams]
    this.#waitingStreams.clear()
    for (const stream of waiting) {
      this.deadlines.remove(stream)
      stream.notConnected(connectFailure(this.#error))
    }
    this.#onGone(this)
  }

  onDeadline(): void {
    if (this.isClosed) this.socket.destroy()
    else if (this.#isPinged) this.socket.destroy()
    else if (this.streams.size === 0) {
      this.#isRetired = true
      this.onNoStreams()
    }
  }
}
