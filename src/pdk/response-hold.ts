/** A response that a plugin takes whole before anything of it goes to the client: to change it by what takes time, or to answer something else. */
import type { Exit } from './exchange.ts'

export interface ResponseHold {
  /** The body is kept in memory up to this size. */
  readonly limitBytes: number
  /** How long the body may take from its head on, and then `take`, ms. */
  readonly timeoutMs: number
  /**
   * Answers the body that goes on, with status and headers as they stand in the exchange now; or another answer. The body is as it came:
   * with its Content-Encoding, if it has one. A rejection is a bug and answers 500.
   */
  take(body: Buffer): Buffer | Exit | Promise<Buffer | Exit>
  /** What the client gets instead where a limit is reached. */
  refuse(reason: 'too_large' | 'timeout'): Exit
}
