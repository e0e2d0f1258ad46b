/** One connection to a target: sends a request, reads its response, and knows whether it may be used again. */
import type { Socket } from 'node:net'
import type { DeadlineHolder, Deadlines } from '#core/deadlines.ts'
import { ChunkedReader, lastChunk, type ChunkedSink } from '#http/chunked.ts'
import { upstreamFailure, type WireFailure } from '#http/failure.ts'
import type { HeaderList } from '#http/header-list.ts'
import { parseResponseHead, ResponseHead } from '#http/response-head.ts'
import { readSocket, releaseSocket, stopReading, type ByteReader } from '#http/socket-reader.ts'
import type { Outbox, OutboxEntry } from '#http/outbox.ts'
import { copyBytes } from '#http/copy-bytes.ts'
import type { UpstreamLink } from './link.ts'
import { writeMessage } from '#http/socket-writer.ts'

/** What the exchange does with what comes back. Bytes are valid until the callback returns, unless they are kept by writing them. */
export interface ResponseSink {
  /** 100, 102, 103: passed on before the response. */
  onInterimResponse(head: ResponseHead): void
  /** The head, with the body's first bytes when they came along; `isWhole` when nothing follows. */
  onResponseHead(head: ResponseHead, body: Buffer | null, isWhole: boolean): void
  onResponseData(bytes: Buffer): void
  onResponseEnd(trailers: HeaderList | null): void
  /** 101: the connection is detached; its socket and the bytes after the head belong to the sink now. */
  onSwitchedProtocols(head: ResponseHead, socket: Socket, rest: Buffer | null): void
  onUpstreamFailure(failure: WireFailure): void
  /** The connection stands: write the request. */
  onUpstreamConnected(): void
  /** It takes bytes again after a write said stop. */
  onUpstreamDrain(): void
}

export interface UpstreamTimeouts {
  readonly connectMs: number
  readonly readMs: number
  readonly writeMs: number
}

const CONNECTING = 0
const IDLE = 1
const AWAIT_HEAD = 2
const BODY = 3
const CLOSED = 4

const MAX_FIELDS = 500
/** 1xx responses before the final one; an upstream that sends more is broken or hostile. */
const MAX_INTERIM = 8
const END_OF_HEAD = Buffer.from('\r\n\r\n')

export class UpstreamConnection implements UpstreamLink, DeadlineHolder, ChunkedSink, ByteReader, OutboxEntry {
  readonly isHttp2 = false
  readonly socket: Socket
  /** What may share it: address, TLS name, certificates. */
  readonly poolKey: string
  /** Whether it began with who its client is, so that no other may use it. */
  readonly isOfOneClient: boolean
  deadlineMs = 0
  deadlineTick = 0
  requests = 0
  /** Whether a byte of the current request may have reached the upstream. */
  hasSent = false
  /** Whether a byte of the current response has come. */
  hasReceived = false
  /** Whether the bytes now handed to the sink are only valid until its callback returns. */
  readsAreShared = false
  #deadlines: Deadlines
  #outbox: Outbox
  /** A message that waits for the end of this turn. */
  #queued: string | Buffer | null = null
  #onIdleGone: (connection: UpstreamConnection) => void
  #isTls: boolean
  #state = CONNECTING
  #sink: ResponseSink | null = null
  #method = ''
  #timeouts: UpstreamTimeouts = { connectMs: 0, readMs: 0, writeMs: 0 }
  #head: ResponseHead | null = null
  #held: Buffer | null = null
  #headScanned = 0
  #remaining = 0
  #chunked: ChunkedReader | null = null
  #interim = 0
  #isRequestSent = false
  #isWriteBlocked = false
  #isPaused = false
  #isReusable = false
  #error: Error | null = null
  readonly #maxHeadBytes: number

  constructor(
    socket: Socket,
    poolKey: string,
    isTls: boolean,
    deadlines: Deadlines,
    outbox: Outbox,
    onIdleGone: (connection: UpstreamConnection) => void,
    /** Longest head of a response; a longer one fails the exchange. */
    maxHeadBytes = 65536,
    isOfOneClient = false,
  ) {
    this.isOfOneClient = isOfOneClient
    this.socket = socket
    this.poolKey = poolKey
    this.#isTls = isTls
    this.#deadlines = deadlines
    this.#outbox = outbox
    this.#onIdleGone = onIdleGone
    this.#maxHeadBytes = maxHeadBytes
    socket.on(isTls ? 'secureConnect' : 'connect', () => this.#onConnect())
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error: Error) => {
      this.#error = error
    })
    socket.on('close', () => this.#onClose())
  }

  get isConnected(): boolean {
    return this.#state !== CONNECTING && this.#state !== CLOSED
  }

  /** The response ended cleanly, the request was sent whole, and the upstream has not closed: another may follow. */
  get isReusable(): boolean {
    return this.#state === IDLE && this.#isReusable && !this.socket.destroyed
  }

  /** Begins a request. Bytes that are written before the connection stands are held by the socket. */
  begin(sink: ResponseSink, method: string, timeouts: UpstreamTimeouts, isBodyComplete: boolean): void {
    this.#sink = sink
    this.#method = method
    this.#timeouts = timeouts
    this.#isRequestSent = isBodyComplete
    this.#isReusable = false
    this.#interim = 0
    this.#head = null
    this.hasSent = false
    this.hasReceived = false
    this.requests++
    if (this.#state === CONNECTING) this.#deadlines.set(this, timeouts.connectMs)
    else this.#state = AWAIT_HEAD
  }

  /** Writes the request's head and what there is of its body. Call when connected. */
  writeHead(head: string, body: Buffer | null): boolean {
    this.hasSent = true
    // As nginx: the time to answer begins when the request is sent whole. Until then the client's time for its body counts.
    this.#deadlines.set(this, this.#isRequestSent ? this.#timeouts.readMs : 0)
    const message = body === null ? head : this.#outbox.message(head, body, this.#isTls)
    if (message === null) return this.#wrote(this.#outbox.writeParts(this.socket, head, body!))
    this.#queued = message
    this.#outbox.add(this)
    return true
  }

  write(bytes: Buffer, areShared: boolean): boolean {
    if (this.#queued !== null) this.flushQueued()
    return this.#wrote(this.#outbox.write(this.socket, bytes, areShared, this.#isTls))
  }

  /** Writes bytes as one chunk of the chunked coding. */
  writeChunk(bytes: Buffer): boolean {
    if (this.#queued !== null) this.flushQueued()
    return this.#wrote(this.#outbox.writeChunk(this.socket, bytes, this.#isTls))
  }

  endChunks(trailers: HeaderList | null): void {
    if (this.#queued !== null) this.flushQueued()
    this.#wrote(this.socket.write(lastChunk(trailers), 'latin1'))
  }

  flushQueued(): void {
    const message = this.#queued
    if (message === null) return
    this.#queued = null
    if (this.#state === CLOSED) return
    this.#wrote(writeMessage(this.socket, message))
  }

  /** The request's body is complete. */
  endRequest(): void {
    this.#isRequestSent = true
    if (this.#state === AWAIT_HEAD) this.#deadlines.set(this, this.#timeouts.readMs)
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.socket.pause()
    this.#deadlines.set(this, 0)
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (this.#held !== null && this.#state === BODY) {
      const held = this.#held
      this.#held = null
      this.readsAreShared = false
      this.#consume(held)
      if (this.#isPaused) return
    }
    this.socket.resume()
    if (this.#state === BODY) this.#deadlines.set(this, this.#timeouts.readMs)
  }

  /** Gives up the exchange without telling its sink. */
  destroy(): void {
    this.#sink = null
    this.socket.destroy()
  }

  /** Waits in a pool for at most `timeoutMs`. */
  rest(timeoutMs: number): void {
    this.#deadlines.set(this, timeoutMs)
  }

  onDeadline(): void {
    if (this.#state === IDLE) return this.destroy()
    const failure =
      this.#state === CONNECTING
        ? upstreamFailure('CONNECT_TIMEOUT', 504, true, 'no connection within connect_timeout')
        : upstreamFailure(
            'UPSTREAM_TIMEOUT',
            504,
            this.#state === AWAIT_HEAD && !this.hasReceived,
            this.#isWriteBlocked
              ? 'the upstream took no bytes within write_timeout'
              : 'no bytes from the upstream within read_timeout',
          )
    this.#fail(failure)
  }

  onChunkData(bytes: Buffer): void {
    this.#sink?.onResponseData(bytes)
  }

  #onConnect(): void {
    this.#state = AWAIT_HEAD
    this.#deadlines.set(this, this.#timeouts.readMs)
    readSocket(this.socket, this)
    this.#sink?.onUpstreamConnected()
  }

  onBytes(bytes: Buffer, isShared: boolean): void {
    this.readsAreShared = isShared
    switch (this.#state) {
      case IDLE:
        // Bytes that nobody asked for: whatever follows can't be trusted to answer the next request.
        this.destroy()
        return
      case CLOSED:
        return
    }
    if (this.#isPaused) {
      this.#held = this.#held === null ? this.#keep(bytes) : Buffer.concat([this.#held, bytes])
      return
    }
    this.hasReceived = true
    this.#deadlines.set(this, this.#timeouts.readMs)
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
    while (this.#state === AWAIT_HEAD) {
      const end = bytes.indexOf(END_OF_HEAD, pos + Math.max(0, this.#headScanned - 3))
      const size = (end < 0 ? bytes.length : end + 4) - pos
      if (size > this.#maxHeadBytes) {
        const detail = `response head over ${this.#maxHeadBytes} bytes`
        return this.#fail(upstreamFailure('HEADER_TOO_LARGE', 502, false, detail))
      }
      if (end < 0) {
        if (size >= 5 && bytes.toString('latin1', pos, pos + 5) !== 'HTTP/')
          return this.#fail(upstreamFailure('BAD_STATUS_LINE', 502, false, 'the answer is not HTTP/1.x'))
        this.#headScanned = size
        this.#held = this.#keep(pos === 0 ? bytes : bytes.subarray(pos))
        return
      }
      this.#headScanned = 0
      const head = parseResponseHead(bytes, pos, end + 4, this.#method, MAX_FIELDS)
      if (!(head instanceof ResponseHead)) return this.#fail(head)
      pos = end + 4
      if (head.status === 101)
        return this.#switchProtocols(head, pos < bytes.length ? this.#keep(bytes.subarray(pos)) : null)
      if (head.status < 200) {
        if (++this.#interim > MAX_INTERIM)
          return this.#fail(upstreamFailure('BAD_FRAMING', 502, false, 'too many 1xx responses'))
        if (!this.#isRequestSent) this.#deadlines.set(this, 0)
        this.#sink?.onInterimResponse(head)
        if (pos === bytes.length) return
        continue
      }
      if (this.#beginResponse(head, bytes, pos)) return
      pos = this.#headBodyEnd
    }
    if (this.#state === BODY && pos < bytes.length) this.#readBody(bytes, pos)
  }

  #headBodyEnd = 0

  /** Hands over the head; true when the response ended or failed with it. */
  #beginResponse(head: ResponseHead, bytes: Buffer, pos: number): boolean {
    const available = bytes.length - pos
    this.#head = head
    this.#headBodyEnd = pos
    if (head.framing === 'none' || (head.framing === 'length' && head.contentLength <= available)) {
      const length = head.framing === 'none' ? 0 : head.contentLength
      const body = length === 0 ? null : bytes.subarray(pos, pos + length)
      this.#finish(available === length)
      const sink = this.#sink
      this.#sink = null
      sink?.onResponseHead(head, body, true)
      return true
    }
    this.#state = BODY
    if (head.framing === 'length') {
      this.#remaining = head.contentLength - available
      this.#headBodyEnd = bytes.length
      this.#sink?.onResponseHead(head, available > 0 ? bytes.subarray(pos) : null, false)
      return true
    }
    if (head.framing === 'chunked') this.#chunked = new ChunkedReader()
    this.#sink?.onResponseHead(head, null, false)
    return this.#state !== BODY
  }

  #readBody(bytes: Buffer, pos: number): void {
    const { framing } = this.#head!
    if (framing === 'chunked') {
      if (this.#isPaused) {
        this.#held = this.#keep(bytes.subarray(pos))
        return
      }
      const reader = this.#chunked!
      const end = reader.read(bytes, pos, this)
      if (this.#state !== BODY) return
      if (end < 0) return this.#fail(upstreamFailure('BAD_CHUNK', 502, false, reader.problem))
      if (reader.isDone) this.#end(end === bytes.length, reader.trailers)
      return
    }
    if (framing === 'close') {
      this.#sink?.onResponseData(bytes.subarray(pos))
      return
    }
    const length = Math.min(bytes.length - pos, this.#remaining)
    this.#remaining -= length
    this.#sink?.onResponseData(bytes.subarray(pos, pos + length))
    if (this.#remaining === 0 && this.#state === BODY) this.#end(pos + length === bytes.length, null)
  }

  #end(isClean: boolean, trailers: HeaderList | null): void {
    this.#finish(isClean)
    const sink = this.#sink
    this.#sink = null
    sink?.onResponseEnd(trailers)
  }

  /** The response is read whole. Bytes after it, or a request that is still being sent, forbid to use the connection again. */
  #finish(isClean: boolean): void {
    this.#isReusable = isClean && this.#head!.keepAlive && this.#isRequestSent && !this.#isWriteBlocked
    this.#state = IDLE
    this.#chunked = null
    this.#deadlines.set(this, 0)
    if (this.#isPaused) {
      this.#isPaused = false
      this.socket.resume()
    }
  }

  #switchProtocols(head: ResponseHead, rest: Buffer | null): void {
    const sink = this.#sink
    this.#sink = null
    this.#state = CLOSED
    this.#deadlines.remove(this)
    // Our listeners stay and do nothing from now on: taking all away would take those of Node and of the pool, too.
    stopReading(this.socket)
    sink?.onSwitchedProtocols(head, this.socket, rest)
  }

  #wrote(isFlowing: boolean): boolean {
    if (!isFlowing) {
      this.#isWriteBlocked = true
      this.#deadlines.set(this, this.#timeouts.writeMs)
    }
    return isFlowing
  }

  #onDrain(): void {
    if (this.#isWriteBlocked) {
      this.#isWriteBlocked = false
      if (this.#state === AWAIT_HEAD) this.#deadlines.set(this, this.#isRequestSent ? this.#timeouts.readMs : 0)
      else if (this.#state === BODY) this.#deadlines.set(this, this.#isPaused ? 0 : this.#timeouts.readMs)
    }
    if (this.#state !== IDLE) this.#sink?.onUpstreamDrain()
  }

  #onEnd(): void {
    if (this.#state === CLOSED) return
    if (this.#state === BODY && this.#head!.framing === 'close') {
      this.#end(false, null)
      this.socket.destroy()
      return
    }
    this.socket.destroy()
  }

  #onClose(): void {
    releaseSocket(this.socket)
    const before = this.#state
    if (before === CLOSED) return
    this.#state = CLOSED
    this.#deadlines.remove(this)
    const sink = this.#sink
    this.#sink = null
    if (before === IDLE) this.#onIdleGone(this)
    else sink?.onUpstreamFailure(this.#closeFailure(before))
  }

  #closeFailure(state: number): WireFailure {
    const detail = this.#error === null ? 'the upstream closed the connection' : this.#error.message
    if (state === CONNECTING) return connectFailure(this.#error)
    return upstreamFailure('UPSTREAM_CLOSED', 502, !this.hasReceived, detail)
  }

  #fail(failure: WireFailure): void {
    const sink = this.#sink
    this.#sink = null
    this.socket.destroy()
    sink?.onUpstreamFailure(failure)
  }
}

/** Why there is no connection, when it ended with `error` or with none. */
export function connectFailure(error: Error | null): WireFailure {
  const code = error !== null && 'code' in error && isTlsError(error) ? 'TLS_FAILED' : 'CONNECT_FAILED'
  return upstreamFailure(code, 502, true, error === null ? 'the upstream closed the connection' : error.message)
}

function isTlsError(error: Error): boolean {
  const code = String((error as NodeJS.ErrnoException).code)
  return (
    code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL') || code.includes('CERT') || code.includes('SELF_SIGNED')
  )
}
