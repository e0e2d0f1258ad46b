/** A client's connection in a test: the other end of a real socket, a handler that records, and a clock that the test moves. */
import { Deadlines } from '#core/deadlines.ts'
import type { ServerLimits } from '#http/connection-facts.ts'
import type { WireFailure } from '#http/failure.ts'
import { Outbox } from '#http/outbox.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { RequestSink } from '#http/request-sink.ts'
import { ServerConnection, type ConnectionHandler } from '#http/server-connection.ts'
import { Received, socketPair, type SocketPair } from './socket-pair.ts'

const LIMITS: ServerLimits = {
  requestLineBytes: 200,
  headBytes: 1000,
  fields: 20,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 20_000,
  sendTimeoutMs: 30_000,
  idleTimeoutMs: 40_000,
  requestsPerConnection: 1000,
}

/** What a handler saw of one request; `respond` ends it. */
export class SeenRequest implements RequestSink {
  body = ''
  trailers = ''
  isEnded = false
  gone: WireFailure | null = null
  drains = 0
  onData: (() => void) | null = null
  onEnd: (() => void) | null = null
  readonly connection: ServerConnection
  readonly head: RequestHead

  constructor(connection: ServerConnection, head: RequestHead) {
    this.connection = connection
    this.head = head
  }
  get target(): string {
    return this.head.rawPath
  }
  onRequestData(bytes: Buffer): void {
    this.body += bytes.toString('latin1')
    this.onData?.()
  }
  onRequestEnd(trailers: Iterable<readonly [string, string]> | null): void {
    this.isEnded = true
    for (const [name, value] of trailers ?? []) this.trailers += `${name}=${value};`
    this.onEnd?.()
  }
  onClientGone(failure: WireFailure): void {
    this.gone = failure
  }
  onClientDrain(): void {
    this.drains++
  }
  respond(body = this.target): void {
    this.connection.writeHead(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`, Buffer.from(body, 'latin1'))
    this.connection.endResponse()
  }
}

/** A connection with a recording handler and a clock of its own; `answer` is called for each head. */
export class ConnectionBench implements ConnectionHandler {
  readonly requests: SeenRequest[] = []
  readonly refused: WireFailure[] = []
  closes = 0
  readonly pair: SocketPair
  readonly received: Received
  readonly connection: ServerConnection
  readonly deadlines: Deadlines
  nowMs = 0
  #answer: (request: SeenRequest) => void

  constructor(pair: SocketPair, limits: Partial<ServerLimits>, answer: (request: SeenRequest) => void) {
    this.pair = pair
    this.#answer = answer
    this.deadlines = new Deadlines(() => this.nowMs)
    this.received = new Received(pair.client)
    this.connection = new ServerConnection(pair.server, this, { ...LIMITS, ...limits }, this.deadlines, new Outbox(), {
      isTls: 'encrypted' in pair.server,
      sni: null,
      tls: null,
      serverPort: 8000,
      serial: 1,
      proxied: null,
    })
  }
  onRequest(connection: ServerConnection, head: RequestHead): RequestSink {
    const request = new SeenRequest(connection, head)
    this.requests.push(request)
    this.#answer(request)
    return request
  }
  onBadRequest(connection: ServerConnection, failure: WireFailure): void {
    this.refused.push(failure)
    connection.writeHead(`HTTP/1.1 ${failure.status} Refused\r\nContent-Length: 0\r\n\r\n`, null)
    connection.endResponse()
  }
  onClose(): void {
    this.closes++
  }
  send(text: string): void {
    this.pair.client.write(text, 'latin1')
  }
  /** Moves the clock and lets deadlines fire. */
  pass(milliseconds: number): void {
    this.nowMs += milliseconds
    this.deadlines.advance()
  }
  [Symbol.dispose](): void {
    this.deadlines.close()
    this.pair[Symbol.dispose]()
  }
}

export const respond = (request: SeenRequest) => request.respond()
export const wait = () => undefined

export async function connectionBench(
  answer: (request: SeenRequest) => void = respond,
  limits: Partial<ServerLimits> = {},
  makePair: () => Promise<SocketPair> = socketPair,
): Promise<ConnectionBench> {
  return new ConnectionBench(await makePair(), limits, answer)
}

export const GET = (target: string, more = '') => `GET ${target} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
export const POST = (target: string, length: number, more = '') =>
  `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n${more}\r\n`
