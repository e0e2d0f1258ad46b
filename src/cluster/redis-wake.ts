/**
 * Tells the other nodes of a data center over Redis that the log has moved, so that they look at once. Nobody depends on it: a node
 * that hears nothing looks with its usual rhythm, and one that is told too often looks once.
 */
import type { ConnectionTimes, RedisSubscription } from './redis-port.ts'
import type { RedisEndpoint } from './redis-endpoint.ts'
import type { RedisLink } from './redis-link.ts'

export interface RedisWakeOptions {
  readonly link: Pick<RedisLink, 'command' | 'onUp'>
  readonly subscribe: (channel: string, onMessage: (message: string) => void) => RedisSubscription
  readonly keyPrefix: string
  /** Called when another node tells of a revision. */
  readonly wake: () => void
  /** Runs once after a time, without keeping the process. */
  readonly later: (run: () => void, ms: number) => void
}

export type OpenSubscription = (
  endpoint: RedisEndpoint,
  times: ConnectionTimes,
  channel: string,
  onMessage: (message: string) => void,
) => RedisSubscription

/** Revisions that follow each other as fast are told together. */
const GATHER_MS = 5

export class RedisWake {
  readonly #options: RedisWakeOptions
  readonly #channel: string
  readonly #subscription: RedisSubscription
  readonly #forgetLink: () => void
  /** The newest revision that is to be told; -1 for none. */
  #untold = -1
  /** The newest that this node has told, and hears of itself. */
  #told = -1

  constructor(options: RedisWakeOptions) {
    this.#options = options
    this.#channel = `${options.keyPrefix}revision`
    this.#subscription = options.subscribe(this.#channel, (message) => this.#hear(message))
    this.#forgetLink = options.link.onUp(() => {
      // A connection that only listens does not find out that its packets are dropped; and what was said meanwhile is lost.
      this.#subscription.reset()
      options.wake()
    })
  }

  /** This node has written a revision. */
  tell(revision: number): void {
    const isFirst = this.#untold < 0
    this.#untold = Math.max(this.#untold, revision)
    if (isFirst) this.#options.later(() => this.#publish(), GATHER_MS)
  }

  close(): void {
    this.#forgetLink()
    this.#subscription.close()
  }

  #publish(): void {
    this.#told = this.#untold
    this.#untold = -1
    // Not told: the others find it by themselves.
    void this.#options.link.command(this.#channel, 'publish', [this.#channel, this.#told])
  }

  #hear(message: string): void {
    // What this node has told, or an older revision, is in its log already.
    if (Number(message) > this.#told) this.#options.wake()
  }
}
