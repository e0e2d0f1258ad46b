/**
 * A connection whose client is loaded when the first one is wanted: it takes some 100 ms of a thread, which nobody is to spend who
 * has no Redis.
 */
import type { RedisEndpoint } from './redis-endpoint.ts'
import type { ConnectionObserver, ConnectionTimes, OpenConnection, RedisArgument } from './redis-port.ts'
import type { RedisConnection, RedisReply, RedisScript, RedisSubscription } from './redis-port.ts'

export const openRedisLazily: OpenConnection = (endpoint, times, observer) =>
  new LazyConnection(endpoint, times, observer)

class LazyConnection implements RedisConnection {
  #connection: RedisConnection | null = null
  #isClosed = false

  constructor(endpoint: RedisEndpoint, times: ConnectionTimes, observer: ConnectionObserver) {
    import('./redis-connection.ts').then(
      ({ openRedisConnection }) => {
        if (!this.#isClosed) this.#connection = openRedisConnection(endpoint, times, observer)
      },
      (error: Error) => observer.onClosed(error.message),
    )
  }

  get isReady(): boolean {
    return this.#connection?.isReady ?? false
  }

  async run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
    reply: RedisReply,
  ): Promise<unknown> {
    return await this.#loaded().run(script, keys, args, reply)
  }

  async command(name: string, args: readonly RedisArgument[]): Promise<unknown> {
    return await this.#loaded().command(name, args)
  }

  shardOf(key: string): string {
    return this.#connection?.shardOf(key) ?? ''
  }

  reset(shard: string): void {
    this.#connection?.reset(shard)
  }

  close(): void {
    this.#isClosed = true
    this.#connection?.close()
  }

  #loaded(): RedisConnection {
    if (this.#connection === null) throw new Error('not connected yet')
    return this.#connection
  }
}

/** As `openRedisSubscription`. */
export function subscribeLazily(
  endpoint: RedisEndpoint,
  times: ConnectionTimes,
  channel: string,
  onMessage: (message: string) => void,
  onSubscribed: () => void,
): RedisSubscription {
  let opened: RedisSubscription | null = null
  let isClosed = false
  void import('./redis-connection.ts').then(({ openRedisSubscription }) => {
    if (!isClosed) opened = openRedisSubscription(endpoint, times, channel, onMessage, onSubscribed)
  })
  return {
    reset: () => opened?.reset(),
    close: () => {
      isClosed = true
      opened?.close()
    },
  }
}
