/** What the parts that use Redis need of a connection to it, without the client that makes one. */
import { createHash } from 'node:crypto'
import type { RedisEndpoint } from './redis-endpoint.ts'

export type RedisArgument = string | number | Buffer

/** How texts in answers come: as strings, or as the bytes that they are. */
export type RedisReply = 'text' | 'bytes'

/** A script that Redis keeps by its digest, so that only the first call sends its text. */
export interface RedisScript {
  readonly source: string
  readonly sha: string
}

export interface ConnectionObserver {
  /** Commands can be sent: again each time. */
  onReady(): void
  /** What commands were run since it said so last have been sent only now: it may hold them until the end of a turn. */
  onSent(): void
  /** What was sent may never be answered. */
  onClosed(reason: string): void
}

/** A connection as the link needs it. */
export interface RedisConnection {
  readonly isReady: boolean
  /** Rejects with Redis's error, or when the connection is lost. */
  run(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[], reply: RedisReply): Promise<unknown>
  command(name: string, args: readonly RedisArgument[]): Promise<unknown>
  /** The part of it that answers for this key: '' where there is one only. */
  shardOf(key: string): string
  /** Gives the connection to that part up and begins another. */
  reset(shard: string): void
  close(): void
}

export type OpenConnection = (
  endpoint: RedisEndpoint,
  options: ConnectionTimes,
  observer: ConnectionObserver,
) => RedisConnection

export interface ConnectionTimes {
  readonly connectTimeoutMs: number
}

/** Hears what is published on a channel, as long as there is a connection; what is said meanwhile is lost. */
export interface RedisSubscription {
  /** Gives the connection up and begins another. */
  reset(): void
  close(): void
}

export function redisScript(source: string): RedisScript {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}
