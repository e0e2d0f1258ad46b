/** One request over HTTP/2 with its response, as the proxy sees a client. */
import type { Socket } from 'node:net'
import type { ClientSide } from '../client-side.ts'
import type { TlsFacts } from '../connection-facts.ts'
import { copyBytes } from '../copy-bytes.ts'
import { clientFailure, type WireFailure } from '../failure.ts'
import type { HeaderList } from '../header-list.ts'
import type { HostParts } from '../host-header.ts'
import type { ProxiedAddresses } from '../proxy-header.ts'
import type { RequestHead } from '../request-head.ts'
import type { RequestSink } from '../request-sink.ts'
import { CANCEL, INTERNAL_ERROR, MAX_FRAME_BYTES, NO_ERROR, PROTOCOL_ERROR } from './frames.ts'
import { encodeResponseHead } from './hpack-encoder.ts'
import type { Field } from './hpack-fields.ts'
import { readTrailers } from './request-fields.ts'
import type { ServerSession } from './server-session.ts'
import { Http2Stream } from './stream.ts'

export class ServerStream extends Http2Stream implements ClientSide {
  readonly requests: number
  bytesReceived: number
  isLast = false
  #sink: RequestSink | null = null
  /** The head of a request that was not begun yet. */
  #head: RequestHead | null = null
  /** What content-length announced; -1 for nothing. */
  #expected = -1
  #received = 0
  #isResponded = false
  /** A response's head, encoded, and the first bytes of its body, which wait for the end for the rest of this turn. */
  #heldBlock: string | null = null
  #heldBody: Buffer | null = null
  /** Whether the deadline is for a client that does not read. */
  #isSending = false

  declare protected readonly session: ServerSession

  constructor(session: ServerSession, id: number, requests: number, blockBytes: number) {
    super(session, id)
    this.requests = requests
    this.bytesReceived = blockBytes
  }

  get isTls(): boolean {
    return this.session.isTls
  }
  get sni(): string | null {
    return this.session.sni
  }
  get tls(): TlsFacts | null {
    return this.session.tls
  }
  get serial(): number {
    return this.session.serial
  }
  get peerIp(): string {
    return this.session.peerIp
  }
  get peerPort(): number {
    return this.session.peerPort
  }
  get serverIp(): string {
    return this.session.serverIp
  }
  get serverPort(): number {
    return this.session.serverPort
  }
  get proxied(): ProxiedAddresses | null {
    return this.session.proxied
  }
  get note(): object | null {
    return this.session.note
  }
  set note(note: object | null) {
    this.session.note = note
  }
  get socket(): Socket {
    return this.session.socket
  }
  hostOf(header: string): HostParts {
    return this.session.hostOf(header)
  }

  /** The request is there; `begin` follows unless it is reset before. */
  announce(head: RequestHead, isEnd: boolean): void {
    this.#head = head
    this.#expected = head.contentLength
    if (isEnd) this.isRemoteDone = true
    else this.session.deadlines.set(this, this.session.serverLimits.bodyTimeoutMs)
  }

  /** Hands the request on; once. */
  begin(): void {
    const head = this.#head
    if (head === null) return
    this.#head = null
    const sink = this.session.handler.onRequest(this, head)
    if (!this.#isResponded) this.#sink = sink
  }

  /** Answers a request that can't be served. */
  refuse(failure: WireFailure, isEnd: boolean): void {
    if (isEnd) this.isRemoteDone = true
    this.session.handler.onBadRequest(this, failure)
  }

  /** Whether so many further bytes, and the end, are what content-length announced. */
  count(size: number, isEnd: boolean): boolean {
    this.#received += size
    this.bytesReceived += size
    if (this.#expected < 0) return true
    return isEnd ? this.#received === this.#expected : this.#received <= this.#expected
  }

  // ---- from the client

  protected onBody(bytes: Buffer): void {
    this.begin()
    if (this.#sink === null) return
    if (!this.#isSending && !this.isPaused) this.session.deadlines.set(this, this.session.serverLimits.bodyTimeoutMs)
    this.#sink.onRequestData(bytes)
  }

  protected onBodyEnd(trailers: readonly Field[] | null): void {
    this.begin()
    if (!this.#isSending) this.session.deadlines.set(this, 0)
    this.#sink?.onRequestEnd(trailers === null ? null : readTrailers(trailers))
  }

  protected onSendDrain(): void {
    this.#isSending = false
    this.session.deadlines.set(this, this.isRemoteDone || this.isPaused ? 0 : this.session.serverLimits.bodyTimeoutMs)
    this.#sink?.onClientDrain()
  }

  protected onSendBlocked(): void {
    this.#isSending = true
    this.session.deadlines.set(this, this.session.serverLimits.sendTimeoutMs)
  }

  onGone(code: number): void {
    if (this.#head !== null) {
      this.#head = null
      return this.session.handler.onReset(goneFailure(code))
    }
    const sink = this.#sink
    this.#sink = null
    this.#heldBlock = null
    this.#heldBody = null
    sink?.onClientGone(goneFailure(code))
  }

  onDeadline(): void {
    const sink = this.#sink
    this.#sink = null
    if (this.#isSending || sink === null) {
      this.session.reset(this, CANCEL)
      sink?.onClientGone(clientFailure('CLIENT_ABORTED', 499, 'the client did not read the response in time'))
      return
    }
    sink.onClientGone(clientFailure('CLIENT_TIMEOUT', 408, 'the body did not come in time'))
  }

  pauseBody(): void {
    if (this.isPaused) return
    this.pause()
    if (!this.#isSending) this.session.deadlines.set(this, 0)
  }

  resumeBody(): void {
    if (!this.isPaused) return
    this.resume()
    if (!this.isPaused && !this.isRemoteDone && !this.#isSending)
      this.session.deadlines.set(this, this.session.serverLimits.bodyTimeoutMs)
  }

  // ---- to the client

  writeHead(head: string, body: Buffer | null): boolean {
    if (this.isLocalDone) return true
    const block = encodeResponseHead(head)
    if (body === null || body.length === 0) {
      this.#heldBlock = block
      this.session.hold(this)
      return true
    }
    const { length } = body
    if (length > MAX_FRAME_BYTES || length > this.session.out.roomFor(this)) {
      this.session.out.writeBlock(this, block, false)
      return this.sendData(body, true)
    }
    this.#heldBlock = block
    this.#heldBody = copyBytes(body)
    this.session.hold(this)
    return true
  }

  writeInterim(head: string): void {
    if (!this.isLocalDone) this.session.out.writeBlock(this, encodeResponseHead(head), false)
  }

  write(bytes: Buffer, areShared: boolean): boolean {
    this.release()
    return this.sendData(bytes, areShared)
  }

  writeChunk(bytes: Buffer): boolean {
    this.release()
    return this.sendData(bytes, true)
  }

  endChunks(trailers: HeaderList | null): void {
    if (trailers === null) return
    this.release()
    this.sendEnd(trailers)
  }

  /** What was held goes out; its end follows later. */
  release(): void {
    const block = this.#heldBlock
    if (block === null) return
    const body = this.#heldBody
    this.#heldBlock = null
    this.#heldBody = null
    this.session.out.writeBlock(this, block, false)
    if (body !== null) this.sendData(body, false)
  }

  endResponse(): void {
    if (this.#isResponded) return
    this.#isResponded = true
    this.#sink = null
    this.dropIncoming()
    const block = this.#heldBlock
    const body = this.#heldBody
    if (block === null) return this.sendEnd(null)
    this.#heldBlock = null
    this.#heldBody = null
    if (body === null) this.session.out.writeBlock(this, block, true)
    else if (this.session.out.roomFor(this) >= body.length) {
      this.session.out.writeBlock(this, block, false)
      this.session.out.writeData(this, body, false, true)
      this.isLocalDone = true
    } else {
      this.session.out.writeBlock(this, block, false)
      this.sendData(body, false)
      return this.sendEnd(null)
    }
    this.onSent()
  }

  protected onSent(): void {
    this.isLocalDone = true
    // RFC 9113 8.1: the rest of a request that was answered without it is not wanted.
    if (this.isRemoteDone) this.session.finish(this)
    else this.session.reset(this, NO_ERROR)
  }

  abort(): void {
    this.#sink = null
    this.#heldBlock = null
    this.session.reset(this, INTERNAL_ERROR)
  }

  detach(): never {
    throw new Error('a stream of HTTP/2 has no socket of its own to give away')
  }
}

function goneFailure(code: number): WireFailure {
  return code === PROTOCOL_ERROR
    ? clientFailure('CLIENT_ABORTED', 499, 'the client broke the rules of HTTP/2')
    : clientFailure('CLIENT_ABORTED', 499, code < 0 ? 'the client closed the connection' : `reset, code ${code}`)
}
