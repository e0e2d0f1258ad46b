/** A client's HTTP/2 connection: each stream becomes an exchange of its own, the same as a request over HTTP/1.1. */
import type { Socket } from 'node:net'
import type { Deadlines } from '#core/deadlines.ts'
import type { ClientConnection, ServerHandler } from '../client-side.ts'
import { plainAddress, type ConnectionFacts, type ClientLimits, type TlsFacts } from '../connection-facts.ts'
import { clientFailure } from '../failure.ts'
import { HostMemory, type HostParts } from '../host-header.ts'
import type { Outbox } from '../outbox.ts'
import type { ProxiedAddresses } from '../proxy-header.ts'
import { RequestHead } from '../request-head.ts'
import {
  ENHANCE_YOUR_CALM,
  MAX_STREAM_ID,
  NO_ERROR,
  PREFACE,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  SETTING_MAX_CONCURRENT_STREAMS,
  SETTING_MAX_HEADER_LIST_SIZE,
} from './frames.ts'
import { FLOOD_TOKENS } from './flood-guard.ts'
import type { Field } from './hpack-fields.ts'
import { laterTurns, type LaterTurn } from './later-turns.ts'
import type { RecentFloods } from './recent-floods.ts'
import { readRequest, readTrailers } from './request-fields.ts'
import { ServerStream } from './server-stream.ts'
import { Http2Session } from './session.ts'
import type { Http2Stream } from './stream.ts'

/** How long new streams may still come after it was said that the connection ends: the client may have sent them before it knew. */
const GRACE_MS = 1000
/** What the flood guard gives connections from where a flood came a moment ago, and the streams that they may have. */
const AGAIN_TOKENS = 100
const AGAIN_STREAMS = 16
/** What a head over its limit costs of the flood guard: some bytes of it name kilobytes, all of which have to be looked at. */
const OVERSIZED_TOKENS = 20

/** Requests of one connection that begin in one turn of the event loop: a burst of a hundred would have all others wait for it. */
const TURN_REQUESTS = 16

export class ServerSession extends Http2Session implements ClientConnection, LaterTurn {
  readonly sni: string | null
  readonly tls: TlsFacts | null
  readonly serial: number
  readonly peerIp: string
  readonly peerPort: number
  readonly serverPort: number
  readonly proxied: ProxiedAddresses | null
  note: object | null = null
  requests = 0
  readonly handler: ServerHandler
  readonly serverLimits: ClientLimits
  readonly #floods: RecentFloods
  readonly #onGone: (session: ServerSession) => void
  readonly #host = new HostMemory()
  #hasPreface = false
  /** Requests that begin when all that was read with them is known: one that was reset by then costs nobody anything. */
  #beginning: ServerStream[] = []
  /** Some of them have to wait for a later turn. */
  #isWaiting = false
  /** Streams with a response that can still go out together with its end. */
  #holding: ServerStream[] = []

  constructor(
    socket: Socket,
    handler: ServerHandler,
    limits: ClientLimits,
    deadlines: Deadlines,
    outbox: Outbox,
    facts: ConnectionFacts,
    floods: RecentFloods,
    onGone: (session: ServerSession) => void,
  ) {
    const isAgain = floods.has(plainAddress(socket.remoteAddress ?? ''))
    super(
      socket,
      facts.isTls,
      true,
      {
        headBytes: limits.headBytes,
        fields: limits.fields,
        maxStreams: isAgain ? Math.min(AGAIN_STREAMS, limits.concurrentStreams) : limits.concurrentStreams,
        tokens: isAgain ? AGAIN_TOKENS : FLOOD_TOKENS,
      },
      deadlines,
      outbox,
    )
    this.handler = handler
    this.serverLimits = limits
    this.#floods = floods
    this.#onGone = onGone
    this.sni = facts.sni
    this.tls = facts.tls
    this.serial = facts.serial
    this.serverPort = facts.serverPort
    this.proxied = facts.proxied
    this.peerIp = plainAddress(socket.remoteAddress ?? '')
    this.peerPort = socket.remotePort ?? 0
    deadlines.set(this, limits.headTimeoutMs)
    this.start([
      [SETTING_MAX_CONCURRENT_STREAMS, this.limits.maxStreams],
      [SETTING_MAX_HEADER_LIST_SIZE, limits.headBytes],
    ])
  }

  get serverIp(): string {
    return plainAddress(this.socket.localAddress ?? '')
  }

  hostOf(header: string): HostParts {
    return this.#host.of(header)
  }

  /** Lets the response wait until the end of this turn for its end. */
  hold(stream: ServerStream): void {
    this.#holding.push(stream)
    this.out.write('')
  }

  protected override beforeFlush(): void {
    if (this.#holding.length === 0) return
    for (const stream of this.#holding) stream.release()
    this.#holding.length = 0
  }

  readPreface(bytes: Buffer): number {
    if (this.#hasPreface) return 0
    const size = Math.min(bytes.length, PREFACE.length)
    if (PREFACE.compare(bytes, 0, size, 0, size) !== 0) {
      this.fail(PROTOCOL_ERROR, 'not the preface of HTTP/2')
      return -1
    }
    if (size < PREFACE.length) return -1
    this.#hasPreface = true
    return size
  }

  protected onNewStream(id: number, fields: readonly Field[], blockBytes: number, isEnd: boolean): void {
    // What comes behind the last stream that was promised is not looked at.
    if (this.isEnding) return
    if (this.streams.size >= this.limits.maxStreams) return this.refuse(id, REFUSED_STREAM)
    if (this.streams.size === 0) this.deadlines.set(this, 0)
    const head = readRequest(fields, isEnd, this.serverLimits.requestLineBytes)
    if ('malformed' in head) {
      this.handler.onReset(clientFailure('BAD_HEADER', 400, head.malformed))
      this.refuse(id, PROTOCOL_ERROR)
      if (this.streams.size === 0) this.onNoStreams()
      return
    }
    const stream = new ServerStream(this, id, ++this.requests, blockBytes)
    this.streams.set(id, stream)
    if (this.requests >= this.serverLimits.requestsPerConnection) this.closeWhenDone()
    if (head instanceof RequestHead) {
      stream.announce(head, isEnd)
      this.#beginning.push(stream)
    } else {
      stream.refuse(head, isEnd)
      if (head.code === 'HEADER_TOO_LARGE' && !this.guard.take(OVERSIZED_TOKENS))
        this.fail(ENHANCE_YOUR_CALM, 'a flood of heads over their limit')
    }
  }

  override onFramesRead(): void {
    if (this.#beginning.length > 0 && !this.#isWaiting) this.goOn()
  }

  /** Begins requests; more than `TURN_REQUESTS` in turns, with whoever else is there between them. */
  goOn(): void {
    const beginning = this.#beginning
    this.#isWaiting = beginning.length > TURN_REQUESTS
    this.#beginning = this.#isWaiting ? beginning.splice(TURN_REQUESTS) : []
    if (this.#isWaiting) laterTurns.add(this)
    for (const stream of beginning) stream.begin()
  }

  protected onStreamFields(stream: Http2Stream, fields: readonly Field[], isEnd: boolean): void {
    const isWhole = this.mayReceive(stream, 0, true)
    if (isEnd && isWhole && readTrailers(fields) !== null) stream.receiveEnd(fields)
    else this.failStream(stream, PROTOCOL_ERROR)
  }

  protected mayReceive(stream: Http2Stream, size: number, isEnd: boolean): boolean {
    return (stream as ServerStream).count(size, isEnd)
  }

  protected onPeerGoaway(): void {
    // The client begins no more; what it began goes on.
    if (this.streams.size === 0) this.close()
  }

  protected onPong(): void {
    // Whoever answers the ping of `closeWhenDone` has read what was said before it.
    if (this.#isGraceful) this.#endNow()
  }

  protected onNoStreams(): void {
    if (this.isEnding) this.close()
    else if (!this.#isGraceful) this.deadlines.set(this, this.serverLimits.idleTimeoutMs)
  }

  protected onBroken(detail: string, code: number): void {
    if (code === ENHANCE_YOUR_CALM) this.#floods.add(this.peerIp)
    this.handler.onReset(clientFailure('BAD_FRAMING', 400, detail))
  }

  protected onClosed(): void {
    this.#onGone(this)
  }

  #isGraceful = false

  /** RFC 9113 6.8: first a GOAWAY that refuses nothing, then, when the client knows, the one that counts. */
  closeWhenDone(): void {
    if (this.isClosed || this.isEnding || this.#isGraceful) return
    this.#isGraceful = true
    this.goaway(MAX_STREAM_ID, NO_ERROR)
    this.ping()
    this.deadlines.set(this, GRACE_MS)
  }

  #endNow(): void {
    this.#isGraceful = false
    this.isEnding = true
    this.goaway(this.lastPeerStream, NO_ERROR)
    this.deadlines.set(this, 0)
    if (this.streams.size === 0) this.close()
  }

  onDeadline(): void {
    if (this.isClosed) this.socket.destroy()
    else if (this.#isGraceful) this.#endNow()
    else if (this.streams.size > 0) return
    else {
      this.goaway(this.lastPeerStream, NO_ERROR)
      this.close()
    }
  }
}
