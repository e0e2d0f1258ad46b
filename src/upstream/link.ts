/** What the proxy needs of an upstream for one try: a connection of HTTP/1.1, or one stream of HTTP/2. */
import type { HeaderList } from '#http/header-list.ts'
import type { ResponseSink, UpstreamTimeouts } from './connection.ts'

export interface UpstreamLink {
  readonly isHttp2: boolean
  readonly isConnected: boolean
  /** Whether a byte of the current request may have reached the upstream. */
  readonly hasSent: boolean
  /** Whether the bytes now handed to the sink are only valid until its callback returns. */
  readonly readsAreShared: boolean
  /** Begins a request; the sink hears `onUpstreamConnected` when a connection that is not there yet stands. */
  begin(sink: ResponseSink, method: string, timeouts: UpstreamTimeouts, isBodyComplete: boolean): void
  /** Writes the request's head, in the form of HTTP/1.1, and what there is of its body. Call when connected. */
  writeHead(head: string, body: Buffer | null): boolean
  /** Writes bytes of a body whose length the head told; shared ones are copied. */
  write(bytes: Buffer, areShared: boolean): boolean
  /** Writes bytes of a body whose end `endChunks` tells. */
  writeChunk(bytes: Buffer): boolean
  endChunks(trailers: HeaderList | null): void
  /** The request's body is complete. */
  endRequest(): void
  pause(): void
  resume(): void
  /** Gives up the exchange without telling its sink. */
  destroy(): void
}
