/** What the proxy needs of a client for one exchange, whichever version of HTTP it speaks: its connection, or one stream of it. */
import type { Socket } from 'node:net'
import type { TlsFacts } from './connection-facts.ts'
import type { WireFailure } from './failure.ts'
import type { HeaderList } from './header-list.ts'
import type { HostParts } from './host-header.ts'
import type { ProxiedAddresses } from './proxy-header.ts'
import type { RequestHead } from './request-head.ts'
import type { RequestSink } from './request-sink.ts'

export interface ClientSide {
  readonly isTls: boolean
  readonly sni: string | null
  readonly tls: TlsFacts | null
  /** Number of the connection in this process. */
  readonly serial: number
  readonly peerIp: string
  readonly peerPort: number
  /** The address on our side. */
  readonly serverIp: string
  readonly serverPort: number
  /** What a load balancer said of the client by the PROXY protocol. */
  readonly proxied: ProxiedAddresses | null
  /** A place for what the proxy wants to remember about the connection. */
  note: object | null
  /** Number of this exchange on its connection, from 1. */
  readonly requests: number
  /** Bytes of the current request, head and body. */
  readonly bytesReceived: number
  /** Whether the bytes now handed to the sink are only valid until its callback returns. */
  readonly readsAreShared: boolean
  /** Whether the connection ends after the current response; means nothing over HTTP/2. */
  isLast: boolean
  /** The parts of a Host header; requests of one connection nearly always name the same. */
  hostOf(header: string): HostParts
  /** Writes the head of a response and, when it is there, the first bytes of its body. False: wait for `onClientDrain`. */
  writeHead(head: string, body: Buffer | null): boolean
  /** Writes an interim response (1xx), or the head that ends HTTP on a connection. */
  writeInterim(head: string): void
  /** Writes bytes of a body whose end the head told; shared ones are copied. */
  write(bytes: Buffer, areShared: boolean): boolean
  /** Writes bytes of a body whose end `endChunks` tells. */
  writeChunk(bytes: Buffer): boolean
  endChunks(trailers: HeaderList | null): void
  /** The response is complete. */
  endResponse(): void
  /** The response can't be completed: the client must not take it for a whole one. */
  abort(): void
  /** Stops reading the body until `resumeBody`. */
  pauseBody(): void
  resumeBody(): void
  /** Gives the socket away (Upgrade, HTTP/1.1 alone). Returns what came after the request already. */
  detach(): Buffer | null
  readonly socket: Socket
}

/** What serves the requests of all clients. */
export interface ServerHandler {
  /** A request's head is complete. The body follows on the sink that this returns. */
  onRequest(client: ClientSide, head: RequestHead): RequestSink
  /** What came is no request that can be served: answer and let the connection, or the stream, end. */
  onBadRequest(client: ClientSide, failure: WireFailure): void
  /** What came got no answer but a reset. */
  onReset(failure: WireFailure): void
}

/** A client's connection as those see it who only count, drain and cut. */
export interface ClientConnection {
  readonly socket: Socket
  /** Ends after what is under way, or now when idle. */
  closeWhenDone(): void
}
