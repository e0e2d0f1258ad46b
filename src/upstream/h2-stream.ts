/** One request over HTTP/2 to an upstream, as the proxy sees an upstream. */
import { upstreamFailure, type WireFailure } from '#http/failure.ts'
import { CANCEL, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM } from '#http/h2/frames.ts'
import { encodeRequestHead } from '#http/h2/hpack-encoder.ts'
import type { Field } from '#http/h2/hpack-fields.ts'
import { readTrailers } from '#http/h2/request-fields.ts'
import { Http2Stream } from '#http/h2/stream.ts'
import type { HeaderList } from '#http/header-list.ts'
import type { ResponseSink, UpstreamTimeouts } from './connection.ts'
import { readResponse } from './h2-response.ts'
import type { UpstreamSession } from './h2-session.ts'
import type { UpstreamLink } from './link.ts'

/** 1xx responses before the final one; an upstream that sends more is broken or hostile. */
const MAX_INTERIM = 8

export class UpstreamStream extends Http2Stream implements UpstreamLink {
  readonly isHttp2 = true
  hasSent = false
  #sink: ResponseSink | null = null
  #method = ''
  #timeouts: UpstreamTimeouts = { connectMs: 0, readMs: 0, writeMs: 0 }
  #isRequestSent = false
  #hasHead = false
  #hasReceived = false
  #isSending = false
  #interim = 0
  #expected = -1
  #received = 0

  declare protected readonly session: UpstreamSession

  constructor(session: UpstreamSession) {
    super(session, 0)
  }

  get isConnected(): boolean {
    return this.session.isConnected
  }

  begin(sink: ResponseSink, method: string, timeouts: UpstreamTimeouts, isBodyComplete: boolean): void {
    this.#sink = sink
    this.#method = method
    this.#timeouts = timeouts
    this.#isRequestSent = isBodyComplete
    if (!this.isConnected) this.session.deadlines.set(this, timeouts.connectMs)
  }

  /** The connection stands. */
  connected(): void {
    this.session.deadlines.set(this, 0)
    this.#sink?.onUpstreamConnected()
  }

  notConnected(failure: WireFailure): void {
    this.#fail(failure)
  }

  // ---- to the upstream

  writeHead(head: string, body: Buffer | null): boolean {
    if (!this.session.begin(this)) {
      // It ended in this turn of the event loop; the sink must not hear of it before this returns.
      queueMicrotask(() => this.#fail(upstreamFailure('UPSTREAM_REFUSED', 502, true, 'the connection is ending')))
      return true
    }
    this.hasSent = true
    this.session.deadlines.set(this, this.#isRequestSent ? this.#timeouts.readMs : 0)
    const isWhole = this.#isRequestSent && (body === null || body.length === 0)
    this.session.out.writeBlock(this, encodeRequestHead(head, this.session.isTls ? 'https' : 'http'), isWhole)
    if (isWhole || body === null || body.length === 0) return true
    if (this.#isRequestSent && this.session.out.roomFor(this) >= body.length) {
      this.session.out.writeData(this, body, true, true)
      this.isLocalDone = true
      return true
    }
    const isFlowing = this.sendData(body, true)
    if (this.#isRequestSent) this.sendEnd(null)
    return isFlowing
  }

  write(bytes: Buffer, areShared: boolean): boolean {
    return this.sendData(bytes, areShared)
  }

  writeChunk(bytes: Buffer): boolean {
    return this.sendData(bytes, true)
  }

  endChunks(trailers: HeaderList | null): void {
    if (this.id !== 0) this.sendEnd(trailers)
  }

  endRequest(): void {
    if (this.#isRequestSent) return
    this.#isRequestSent = true
    if (this.id !== 0) this.sendEnd(null)
    if (!this.#isSending) this.#awaitBytes()
  }

  protected onSent(): void {
    this.#isSending = false
    this.session.finish(this)
  }

  override pause(): void {
    super.pause()
    if (!this.#isSending) this.session.deadlines.set(this, 0)
  }

  override resume(): void {
    if (!this.isPaused) return
    super.resume()
    if (!this.isPaused && !this.#isSending) this.#awaitBytes()
  }

  destroy(): void {
    this.#sink = null
    this.session.giveUp(this, CANCEL)
  }

  // ---- from the upstream

  /** The head, or the trailers. */
  readFields(fields: readonly Field[], isEnd: boolean): void {
    if (this.#sink === null) return
    this.#hasReceived = true
    if (this.#hasHead) {
      if (!isEnd || readTrailers(fields) === null) return this.#refuse('malformed trailers')
      this.receiveEnd(fields)
      return
    }
    const head = readResponse(fields, this.#method, isEnd)
    if (typeof head === 'string') return this.#refuse(head)
    if (head.status < 200) {
      if (isEnd || head.status === 101 || ++this.#interim > MAX_INTERIM) return this.#refuse('a bad interim response')
      this.#sink.onInterimResponse(head)
      return
    }
    this.#hasHead = true
    this.#expected = head.framing === 'none' ? (isEnd ? -1 : 0) : head.contentLength
    if (isEnd) {
      this.isRemoteDone = true
      const sink = this.#end()
      sink?.onResponseHead(head, null, true)
      return
    }
    this.#awaitBytes()
    // A response without a body ends with its frame of no bytes, which is still to come.
    this.#sink.onResponseHead(head, null, false)
  }

  /** Whether so many further bytes, and the end, are what content-length announced. */
  count(size: number, isEnd: boolean): boolean {
    if (!this.#hasHead) return false
    this.#received += size
    if (this.#expected < 0) return true
    return isEnd ? this.#received === this.#expected : this.#received <= this.#expected
  }

  protected onBody(bytes: Buffer): void {
    if (!this.isPaused) this.#awaitBytes()
    this.#sink?.onResponseData(bytes)
  }

  protected onBodyEnd(trailers: readonly Field[] | null): void {
    const sink = this.#end()
    sink?.onResponseEnd(trailers === null ? null : readTrailers(trailers))
  }

  /** The response is complete: nothing more is sent, whatever the request still had to say. */
  #end(): ResponseSink | null {
    const sink = this.#sink
    this.#sink = null
    this.session.deadlines.set(this, 0)
    if (this.isLocalDone) this.session.finish(this)
    else this.session.giveUp(this, NO_ERROR)
    return sink
  }

  protected onSendDrain(): void {
    this.#isSending = false
    if (this.isPaused) this.session.deadlines.set(this, 0)
    else this.#awaitBytes()
    this.#sink?.onUpstreamDrain()
  }

  protected onSendBlocked(): void {
    this.#isSending = true
    this.session.deadlines.set(this, this.#timeouts.writeMs)
  }

  /** As nginx: the time to answer begins when the request is sent whole, and goes on with each read. */
  #awaitBytes(): void {
    this.session.deadlines.set(this, this.#isRequestSent || this.#hasHead ? this.#timeouts.readMs : 0)
  }

  onGone(code: number): void {
    if (code === REFUSED_STREAM && !this.#hasReceived)
      return this.#fail(upstreamFailure('UPSTREAM_REFUSED', 502, true, 'the upstream did not look at the request'))
    const detail =
      code < 0
        ? 'the upstream closed the connection'
        : code === PROTOCOL_ERROR
          ? 'the rules of HTTP/2 were broken'
          : `the upstream reset the stream, code ${code}`
    this.#fail(upstreamFailure('UPSTREAM_CLOSED', 502, !this.#hasReceived, detail))
  }

  onDeadline(): void {
    if (!this.hasSent)
      return this.#giveUp(upstreamFailure('CONNECT_TIMEOUT', 504, true, 'no connection within connect_timeout'))
    const detail = this.#isSending
      ? 'the upstream took no bytes within write_timeout'
      : 'no bytes from the upstream within read_timeout'
    this.#giveUp(upstreamFailure('UPSTREAM_TIMEOUT', 504, !this.#hasReceived, detail))
  }

  #refuse(detail: string): void {
    this.#giveUp(upstreamFailure('BAD_HEADER', 502, false, detail), PROTOCOL_ERROR)
  }

  #giveUp(failure: WireFailure, code = CANCEL): void {
    const sink = this.#sink
    this.#sink = null
    this.session.giveUp(this, code)
    sink?.onUpstreamFailure(failure)
  }

  #fail(failure: WireFailure): void {
    const sink = this.#sink
    this.#sink = null
    sink?.onUpstreamFailure(failure)
  }
}
