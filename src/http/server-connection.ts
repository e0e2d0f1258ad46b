/**
 * A client's HTTP/1.1 connection: reads requests one after the other (pipelined ones wait for their turn), hands each to the
 * handler with its body as a stream, and writes the responses. It knows the wire and nothing of routing.
 */
import type { Socket } from 'node:net'
import type { DeadlineHolder, Deadlines } from '#core/deadlines.ts'
import { isHttp2Preface } from './h2/preface.ts'
import { ChunkedReader, lastChunk, type ChunkedSink } from './chunked.ts'
import type { ClientConnection, ClientSide } from './client-side.ts'
import { plainAddress, type ConnectionFacts, type ServerLimits, type TlsFacts } from './connection-facts.ts'
import { clientFailure, type WireFailure } from './failure.ts'
import type { HeaderList } from './header-list.ts'
import { HostMemory, type HostParts } from './host-header.ts'
import { parseRequestHead, problemOfPart, RequestHead } from './request-head.ts'
import type { RequestSink } from './request-sink.ts'
import { writeMessage } from './socket-writer.ts'
import { readSocket, releaseSocket, stopReading, type ByteReader } from './socket-reader.ts'
import type { Outbox, OutboxEntry } from './outbox.ts'
import { copyBytes } from './copy-bytes.ts'

export interface ConnectionHandler {
  /** A request's head is complete. The body follows on the sink that this returns. */
  onRequest(connection: ServerConnection, head: RequestHead): RequestSink
  /** The bytes are no request that can be served: answer and let the connection close. */
  onBadRequest(connection: ServerConnection, failure: WireFailure): void
  onClose(connection: ServerConnection): void
  /** The client speaks HTTP/2 without having asked: `bytes` are all that came, and shared as other reads. Without this it is told no. */
  onHttp2?(connection: ServerConnection, bytes: Buffer): void
}

const HEAD = 0
const BODY = 1
/** The request was read whole; its response is still on its way. */
const RESPONDING = 2
/** The response is out, the rest of the request's body is read and dropped. */
const DISCARDING = 3
/** Closed, or given away. */
const CLOSED = 4

/** Unread rest of a body that is worth reading to keep the connection; more costs less to close. */
const MAX_DISCARD_BYTES = 65536
/** Pipelined bytes held while a response is on its way; then reading stops. */
const MAX_HELD_BYTES = 65536
/** How long a closing connection still reads, so that the client gets the answer and not a reset (RFC 9112 9.6). */
const LINGER_MS = 2000

const END_OF_HEAD = Buffer.from('\r\n\r\n')

export class ServerConnection
  implements ClientSide, ClientConnection, DeadlineHolder, ChunkedSink, ByteReader, OutboxEntry
{
  readonly socket: Socket
  readonly isTls: boolean
  readonly sni: string | null
  readonly tls: TlsFacts | null
  /** Number of the connection in this process. */
  readonly serial: number
  readonly peerIp: string
  readonly peerPort: number
  readonly serverPort: number
  readonly proxied: ConnectionFacts['proxied']
  deadlineMs = 0
  deadlineTick = 0
  note: object | null = null
  /** Requests begun on this connection. */
  requests = 0
  /** Bytes of the current request, head and body. */
  bytesReceived = 0
  /** Whether the bytes now handed to the sink are only valid until its callback returns. */
  readsAreShared = false
  /** Whether the connection ends after the current response. */
  isLast = false
  #handler: ConnectionHandler
  #limits: ServerLimits
  #deadlines: Deadlines
  #outbox: Outbox
  /** A message that waits for the end of this turn. */
  #queued: string | Buffer | null = null
  #state = HEAD
  readonly #host = new HostMemory()
  #sink: RequestSink | null = null
  /** Bytes that wait for the rest of a head, or for the response before them. */
  #held: Buffer | null = null
  #headScanned = 0
  #headBegan = false
  #bodyRemaining = 0
  #chunked: ChunkedReader | null = null
  #isRequestRead = true
  #isResponded = true
  #isBodyPaused = false
  #discarded = 0
  #isEnding = false
  /** What came was no request: there may be more of it. */
  #isRefused = false
  /** A write waits for the client to read. */
  #isBlocked = false

  constructor(
    socket: Socket,
    handler: ConnectionHandler,
    limits: ServerLimits,
    deadlines: Deadlines,
    outbox: Outbox,
    facts: ConnectionFacts,
  ) {
    this.socket = socket
    this.#handler = handler
    this.#limits = limits
    this.#deadlines = deadlines
    this.#outbox = outbox
    this.isTls = facts.isTls
    this.sni = facts.sni
    this.tls = facts.tls
    this.serial = facts.serial
    this.peerIp = plainAddress(socket.remoteAddress ?? '')
    this.peerPort = socket.remotePort ?? 0
    this.serverPort = facts.serverPort
    this.proxied = facts.proxied
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#onClose())
    deadlines.set(this, limits.headTimeoutMs)
    readSocket(socket, this)
  }

  /** No exchange is under way and no byte of another has come. */
  get isIdle(): boolean {
    return this.#state === HEAD && !this.#headBegan
  }

  get serverIp(): string {
    return plainAddress(this.socket.localAddress ?? '')
  }

  hostOf(header: string): HostParts {
    return this.#host.of(header)
  }

  /** The request's body was read to its end. */
  get isRequestRead(): boolean {
    return this.#isRequestRead
  }

  writeHead(head: string, body: Buffer | null): boolean {
    if (this.#queued !== null) this.flushQueued()
    const message = body === null || body.length === 0 ? head : this.#outbox.message(head, body, this.isTls)
    if (message === null) return this.#wrote(this.#outbox.writeParts(this.socket, head, body!))
    this.#queued = message
    this.#outbox.add(this)
    return true
  }

  /** Writes bytes of the response's body as they are framed by the caller; shared ones are copied. */
  write(bytes: Buffer, areShared: boolean): boolean {
    if (this.#queued !== null) this.flushQueued()
    return this.#wrote(this.#outbox.write(this.socket, bytes, areShared, this.isTls))
  }

  writeChunk(bytes: Buffer): boolean {
    if (this.#queued !== null) this.flushQueued()
    return this.#wrote(this.#outbox.writeChunk(this.socket, bytes, this.isTls))
  }

  endChunks(trailers: HeaderList | null): void {
    this.writeInterim(lastChunk(trailers))
  }

  writeInterim(head: string): void {
    if (this.#queued !== null) this.flushQueued()
    this.#wrote(this.socket.write(head, 'latin1'))
  }

  flushQueued(): void {
    const message = this.#queued
    if (message === null) return
    this.#queued = null
    if (this.#state === CLOSED) return
    this.#wrote(writeMessage(this.socket, message))
  }

  /** The response is complete: go on with the next request, or close. */
  endResponse(): void {
    if (this.#isResponded) return
    this.#isResponded = true
    this.#finishExchange()
  }

  /** The response can't be completed: cut the connection so that the client does not take it for a whole one. */
  abort(): void {
    // Where only the connection's end tells the body's (HTTP/1.0), an orderly one would look complete; TLS tells by its missing alert.
    if (this.isTls || this.peerIp === '') this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  /** Stops reading the body until `resumeBody`. */
  pauseBody(): void {
    if (this.#isBodyPaused) return
    this.#isBodyPaused = true
    this.socket.pause()
    this.#deadlines.set(this, 0)
  }

  resumeBody(): void {
    if (!this.#isBodyPaused) return
    this.#isBodyPaused = false
    if (this.#held !== null) {
      const held = this.#held
      this.#held = null
      this.readsAreShared = false
      this.#consume(held)
      if (this.#isBodyPaused || this.#state === CLOSED) return
    }
    this.socket.resume()
    if (!this.#isRequestRead) this.#deadlines.set(this, this.#limits.bodyTimeoutMs)
  }

  /** Gives the socket away (Upgrade): nothing is read or written here any more. Returns what came after the request already. */
  detach(): Buffer | null {
    this.flushQueued()
    const rest = this.#held
    this.#held = null
    this.#sink = null
    this.#state = CLOSED
    this.#deadlines.remove(this)
    // Our listeners stay and do nothing from now on: taking all away would take those of Node and of others, too.
    stopReading(this.socket)
    this.#handler.onClose(this)
    return rest
  }

  /** Ends after the current response, or now when idle (drain). */
  closeWhenDone(): void {
    this.isLast = true
    if (this.isIdle) this.#close()
  }

  onDeadline(): void {
    if (this.#state === CLOSED) return
    if (this.#isEnding || this.isIdle || this.#state === DISCARDING) {
      this.socket.destroy()
      return
    }
    if (this.#state === HEAD)
      return this.#refuse(clientFailure('CLIENT_TIMEOUT', 408, 'the head was not complete in time'))
    const what = this.#isRequestRead ? 'the client did not read the response in time' : 'the body did not come in time'
    const sink = this.#sink
    this.#sink = null
    if (sink !== null) sink.onClientGone(clientFailure('CLIENT_TIMEOUT', 408, what))
    else this.socket.destroy()
  }

  onChunkData(bytes: Buffer): void {
    this.#deliver(bytes)
  }

  onBytes(bytes: Buffer, isShared: boolean): void {
    this.readsAreShared = isShared
    if (this.#isEnding) return
    if (this.#isBodyPaused || this.#state === RESPONDING) {
      // Pipelined bytes, or what arrived before the pause took effect.
      this.#held = this.#held === null ? this.#keep(bytes) : Buffer.concat([this.#held, bytes])
      if (this.#held.length > MAX_HELD_BYTES) this.socket.pause()
      return
    }
    if (this.#held !== null) {
      bytes = Buffer.concat([this.#held, bytes])
      this.#held = null
      this.readsAreShared = false
    }
    this.#consume(bytes)
  }

  #keep(bytes: Buffer): Buffer {
    return this.readsAreShared ? copyBytes(bytes) : bytes
  }

  #consume(bytes: Buffer): void {
    let pos = 0
    while (pos < bytes.length && !this.#isEnding) {
      if (this.#state === HEAD) {
        pos = this.#readHead(bytes, pos)
        if (pos < 0) return
      } else if (this.#state === BODY || this.#state === DISCARDING) {
        if (this.#isBodyPaused) break
        pos = this.#readBody(bytes, pos)
        if (pos < 0) return
      } else break
    }
    if (pos < bytes.length && this.#state !== CLOSED && !this.#isEnding) {
      this.#held = this.#keep(pos === 0 ? bytes : bytes.subarray(pos))
    }
  }

  /** Answers where the head ends, or -1 when it is incomplete or refused. */
  #readHead(bytes: Buffer, pos: number): number {
    while (pos < bytes.length && bytes[pos] === 13 && bytes[pos + 1] === 10) pos += 2 // RFC 9112 2.2: empty lines before a request are skipped
    if (pos >= bytes.length) return pos
    if (!this.#headBegan) {
      this.#headBegan = true
      this.#headScanned = 0
      if (this.requests > 0) this.#deadlines.set(this, this.#limits.headTimeoutMs)
    }
    const end = bytes.indexOf(END_OF_HEAD, pos + Math.max(0, this.#headScanned - 3))
    const size = (end < 0 ? bytes.length : end + 4) - pos
    if (end < 0 || size > this.#limits.headBytes) return this.#holdHead(bytes, pos, size, end >= 0)
    const head = parseRequestHead(bytes, pos, end + 4, this.#limits)
    if (!(head instanceof RequestHead)) {
      if (this.#handler.onHttp2 === undefined || this.requests > 0 || !isHttp2Preface(bytes, pos)) this.#refuse(head)
      else {
        this.detach()
        this.#handler.onHttp2(this, bytes.subarray(pos))
      }
      return -1
    }
    this.#begin(head, size)
    return end + 4
  }

  #holdHead(bytes: Buffer, pos: number, size: number, isWhole: boolean): number {
    const problem = problemOfPart(bytes, pos, size, this.#limits)
    if (problem !== null || isWhole) {
      this.#refuse(problem ?? clientFailure('HEADER_TOO_LARGE', 400, 'head over its limit'))
      return -1
    }
    this.#headScanned = size
    this.#held = this.#keep(pos === 0 ? bytes : bytes.subarray(pos))
    return -1
  }

  #begin(head: RequestHead, size: number): void {
    this.requests++
    this.bytesReceived = size
    this.#headBegan = false
    this.#isResponded = false
    this.#discarded = 0
    if (!head.keepAlive || this.requests >= this.#limits.requestsPerConnection) this.isLast = true
    this.#chunked = head.isChunked ? new ChunkedReader() : null
    this.#bodyRemaining = head.contentLength > 0 ? head.contentLength : 0
    this.#isRequestRead = !head.isChunked && this.#bodyRemaining === 0
    this.#state = this.#isRequestRead ? RESPONDING : BODY
    this.#deadlines.set(this, this.#isRequestRead ? 0 : this.#limits.bodyTimeoutMs)
    const sink = this.#handler.onRequest(this, head)
    if (!this.#isResponded) this.#sink = sink
  }

  #readBody(bytes: Buffer, pos: number): number {
    if (this.#chunked !== null) {
      const end = this.#chunked.read(bytes, pos, this)
      if (end < 0) {
        this.#refuse(clientFailure('BAD_CHUNK', 400, this.#chunked.problem))
        return -1
      }
      this.bytesReceived += end - pos
      if (this.#chunked.isDone) this.#endBody(this.#chunked.trailers)
      else this.#touchBody()
      return end
    }
    const end = Math.min(bytes.length, pos + this.#bodyRemaining)
    this.#bodyRemaining -= end - pos
    this.bytesReceived += end - pos
    this.#deliver(pos === 0 && end === bytes.length ? bytes : bytes.subarray(pos, end))
    if (this.#bodyRemaining === 0) this.#endBody(null)
    else this.#touchBody()
    return this.#state === CLOSED ? -1 : end
  }

  #deliver(bytes: Buffer): void {
    if (this.#state === BODY) {
      this.#sink?.onRequestData(bytes)
      return
    }
    this.#discarded += bytes.length
    if (this.#discarded > MAX_DISCARD_BYTES) this.#close()
  }

  #touchBody(): void {
    if (!this.#isBodyPaused && this.#state === BODY) this.#deadlines.set(this, this.#limits.bodyTimeoutMs)
  }

  #endBody(trailers: HeaderList | null): void {
    if (this.#isRequestRead) return
    this.#isRequestRead = true
    if (this.#state === DISCARDING) {
      this.#finishExchange()
      return
    }
    if (this.#state !== BODY) return
    this.#state = RESPONDING
    this.#deadlines.set(this, 0)
    this.#sink?.onRequestEnd(trailers)
  }

  #finishExchange(): void {
    if (this.#state === CLOSED || this.#isEnding) return
    this.#sink = null
    if (this.#isBodyPaused) {
      this.#isBodyPaused = false
      this.socket.resume()
    }
    if (!this.#isRequestRead) {
      if (this.isLast || this.#bodyRemaining > MAX_DISCARD_BYTES) return this.#close()
      this.#state = DISCARDING
      this.#deadlines.set(this, LINGER_MS)
      const held = this.#held
      if (held === null) return
      this.#held = null
      this.readsAreShared = false
      this.#consume(held)
      return
    }
    if (this.isLast) return this.#close()
    this.#state = HEAD
    this.#deadlines.set(this, this.#isBlocked ? this.#limits.sendTimeoutMs : this.#limits.idleTimeoutMs)
    if (this.#held === null) return
    // A pipelined request: in a fresh turn, so that a long pipeline does not grow the stack or starve other connections.
    setImmediate(() => {
      const held = this.#held
      if (held === null || this.#state !== HEAD) return
      this.#held = null
      this.readsAreShared = false
      this.socket.resume()
      this.#consume(held)
    })
  }

  #refuse(failure: WireFailure): void {
    if (this.#isEnding) return
    this.isLast = true
    const sink = this.#sink
    if (this.#state === BODY && sink !== null) {
      this.#sink = null
      sink.onClientGone(failure)
      return
    }
    if (this.#state === DISCARDING) return this.#close()
    this.#state = RESPONDING
    this.#isRefused = true
    this.#isRequestRead = true
    this.#isResponded = false
    this.#handler.onBadRequest(this, failure)
  }

  /** Ends our side and reads on for a moment, so that the answer is not lost to a reset. */
  #close(): void {
    if (this.#state === CLOSED || this.#isEnding) return
    this.#isEnding = true
    this.flushQueued()
    const isUnread = this.#held !== null || this.#isRefused || !this.#isRequestRead
    this.#held = null
    // Nothing unread can turn the close into a reset, and the kernel has all of the answer: no need to wait for the client's end.
    if (!isUnread && !this.isTls && !this.#isBlocked && this.socket.writableLength === 0) {
      this.socket.destroy()
      return
    }
    // A client that reads slowly gets the time to read what is still here; lingering begins when it has gone out.
    const isUnsent = this.#isBlocked || this.socket.writableLength > 0
    this.#deadlines.set(this, isUnsent ? this.#limits.sendTimeoutMs : LINGER_MS)
    if (isUnsent) this.socket.end(() => this.#state !== CLOSED && this.#deadlines.set(this, LINGER_MS))
    else this.socket.end()
    this.socket.resume()
  }

  #wrote(isFlowing: boolean): boolean {
    if (!isFlowing) {
      this.#isBlocked = true
      this.#deadlines.set(this, this.#limits.sendTimeoutMs)
    }
    return isFlowing
  }

  #onDrain(): void {
    this.#isBlocked = false
    if (this.#state === CLOSED || this.#isEnding) return
    // The response may be over for us before the client has taken it: then it is idle from now on.
    if (this.isIdle) this.#deadlines.set(this, this.#limits.idleTimeoutMs)
    else if (this.#state === RESPONDING || this.#isBodyPaused) this.#deadlines.set(this, 0)
    else if (this.#state === BODY) this.#deadlines.set(this, this.#limits.bodyTimeoutMs)
    this.#sink?.onClientDrain()
  }

  #onEnd(): void {
    if (this.#isEnding || this.#state === CLOSED) return
    // A client that is gone and one that only closed its sending side look the same; as nginx does, both cancel the exchange.
    if (this.#isResponded) this.#close()
    else this.socket.destroy()
  }

  #onClose(): void {
    releaseSocket(this.socket)
    if (this.#state === CLOSED) return
    const sink = this.#sink
    this.#sink = null
    this.#state = CLOSED
    this.#held = null
    this.#deadlines.remove(this)
    sink?.onClientGone(clientFailure('CLIENT_ABORTED', 499, 'the client closed the connection'))
    this.#handler.onClose(this)
  }
}
