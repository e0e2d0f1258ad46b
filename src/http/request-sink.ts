import type { WireFailure } from './failure.ts'
import type { HeaderList } from './header-list.ts'

/** What the handler does with the body of one request and with its end. */
export interface RequestSink {
  /** Valid until the callback returns; answers nothing, pauses by `connection.pauseBody()`. */
  onRequestData(bytes: Buffer): void
  onRequestEnd(trailers: HeaderList | null): void
  /** The connection ended, or its deadline passed, before the exchange did. */
  onClientGone(failure: WireFailure): void
  /** The client reads again after `write` said stop. */
  onClientDrain(): void
}
