/**
 * The connection to a Redis, whichever form it has: all that is used of ioredis is in this file. It connects by itself again and
 * again, keeps nothing while it has no connection, and resends nothing: deadlines and what to do without Redis are the link's.
 */
import type { Writable } from 'node:stream'
import { checkServerIdentity, type ConnectionOptions } from 'node:tls'
import { Cluster, Command, Redis, type ClusterOptions, type RedisOptions } from 'ioredis'
import type { RedisEndpoint, RedisTls } from './redis-endpoint.ts'
import type {
  ConnectionObserver,
  ConnectionTimes,
  OpenConnection,
  RedisArgument,
  RedisConnection,
  RedisReply,
  RedisScript,
  RedisSubscription,
} from './redis-port.ts'

/** Between two tries to connect. */
const RETRY_MS = 100
/** Given to a socket to close in order before it is dropped. */
const CLOSE_MS = 20
/** Commands that are sent together at most. */
const MOST_HELD = 8
/** Errors that a new connection may get rid of: after a fail-over the old master answers as a replica. */
const ELSEWHERE = /^(READONLY|MASTERDOWN)/

export const openRedisConnection: OpenConnection = (endpoint, times, observer) => {
  const client = openClient(endpoint, times)
  return client instanceof Cluster ? new ClusterConnection(client, observer) : new SingleConnection(client, observer)
}

/** A connection of its own, which is subscribed anew whenever it is made anew. */
export function openRedisSubscription(
  endpoint: RedisEndpoint,
  times: ConnectionTimes,
  channel: string,
  onMessage: (message: string) => void,
  onSubscribed: () => void = () => undefined,
): RedisSubscription {
  let isClosed = false
  const client = openClient(endpoint, times)
  const ignore = (): void => undefined
  watch(
    client,
    // Without a connection or the right to subscribe nothing is heard, which nobody depends on.
    { onReady: () => void client.subscribe(channel).then(onSubscribed, ignore), onClosed: ignore },
    () => isClosed,
  )
  client.on('message', (_channel: string, message: string) => onMessage(message))
  return {
    reset: () => client.disconnect(true),
    close: () => {
      isClosed = true
      client.disconnect()
    },
  }
}

function openClient(endpoint: RedisEndpoint, times: ConnectionTimes): Redis | Cluster {
  switch (endpoint.kind) {
    case 'cluster':
      return new Cluster([...endpoint.addresses], clusterOptions(endpoint, times))
    case 'sentinel':
      return new Redis(sentinelOptions(endpoint, times))
    case 'standalone':
      return new Redis(standaloneOptions(endpoint, times))
  }
}

/** What both forms of clients can do. */
interface Client {
  sendCommand(command: Command): unknown
}

function runScript(
  client: Client,
  { source, sha }: RedisScript,
  keys: readonly string[],
  args: readonly RedisArgument[],
  reply: RedisReply,
): Promise<unknown> {
  return send(client, 'evalsha', [sha, keys.length, ...keys, ...args], reply).catch((error: Error) => {
    if (!error.message.startsWith('NOSCRIPT')) throw error
    return send(client, 'eval', [source, keys.length, ...keys, ...args], reply)
  })
}

function send(client: Client, name: string, args: readonly RedisArgument[], reply: RedisReply): Promise<unknown> {
  const command = new Command(name, args as never[], { replyEncoding: reply === 'text' ? 'utf8' : null })
  client.sendCommand(command)
  return command.promise as Promise<unknown>
}

/** What is the same of both forms. */
abstract class ClientConnection<C extends Redis | Cluster> implements RedisConnection {
  protected readonly client: C
  protected readonly observer: ConnectionObserver
  #isClosed = false

  constructor(client: C, observer: ConnectionObserver) {
    this.client = client
    this.observer = observer
    watch(client, observer, () => this.#isClosed)
  }

  get isReady(): boolean {
    return this.client.status === 'ready'
  }

  run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
    reply: RedisReply,
  ): Promise<unknown> {
    this.gather()
    return runScript(this.client, script, keys, args, reply)
  }

  command(name: string, args: readonly RedisArgument[]): Promise<unknown> {
    this.gather()
    return send(this.client, name, args, 'text')
  }

  close(): void {
    this.#isClosed = true
    this.client.disconnect()
  }

  /** Called before each command. */
  protected gather(): void {}

  abstract shardOf(key: string): string
  abstract reset(shard: string): void
}

/** One server, or the master that Sentinels name. */
class SingleConnection extends ClientConnection<Redis> {
  /** The socket that holds what is written in this turn. */
  #held: Writable | null = null
  /** Commands of this turn. */
  #commands = 0
  readonly #release = () => {
    this.#held?.uncork()
    this.#held = null
    this.observer.onSent()
  }

  /**
   * Commands of one turn of the event loop are sent together at its end: one call into the kernel, and one wake-up of Redis. A long turn
   * sends some before: Redis may answer them meanwhile.
   */
  protected override gather(): void {
    if (this.#held === null) {
      if (!this.isReady) return
      this.#held = this.client.stream
      this.#held.cork()
      this.#commands = 0
      setImmediate(this.#release)
    } else if (++this.#commands % MOST_HELD === 0) {
      this.#held.uncork()
      this.#held.cork()
    }
  }

  shardOf(): string {
    return ''
  }

  reset(): void {
    this.client.disconnect(true)
  }
}

class ClusterConnection extends ClientConnection<Cluster> {
  /** The master of the key's slot, as far as known. */
  shardOf(key: string): string {
    return this.client.slots[new Command('get', [key]).getSlot() ?? 0]?.[0] ?? ''
  }

  reset(shard: string): void {
    for (const node of this.client.nodes('all')) {
      const { host, port } = node.options
      if (`${host}:${port}` === shard) node.disconnect()
    }
    // Somebody else may answer for its slots by now.
    this.client.refreshSlotsCache(() => undefined)
  }
}

function watch(client: Redis | Cluster, observer: Omit<ConnectionObserver, 'onSent'>, isClosed: () => boolean): void {
  let reason = 'the connection was closed'
  client.on('ready', () => {
    reason = 'the connection was closed'
    observer.onReady()
  })
  client.on('error', (error: Error) => {
    reason = error.message
  })
  if (client instanceof Cluster) client.on('node error', (error: Error) => (reason = error.message))
  client.on('close', () => observer.onClosed(reason))
  // Some failures while connecting end the client, although it has a strategy to try again.
  client.on('end', () => {
    observer.onClosed(reason)
    setTimeout(() => {
      // What comes of it is told by the events.
      if (!isClosed() && client.status === 'end') client.connect().catch(() => undefined)
    }, RETRY_MS)
  })
}

function commonOptions(endpoint: RedisEndpoint, { connectTimeoutMs }: ConnectionTimes) {
  const { username, password, tls } = endpoint
  return {
    protocol: 2,
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: CLOSE_MS,
    retryStrategy: () => RETRY_MS,
    // A command that was under way is not sent again: its outcome is open, and nobody waits for it any more.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // ioredis would subscribe by a promise that nobody holds, whose failure ends the process.
    autoResubscribe: false,
    // INFO may not be allowed to the user; the link asks what it needs itself.
    enableReadyCheck: false,
    disableClientInfo: true,
    reconnectOnError: (error: Error) => ELSEWHERE.test(error.message),
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    ...(tls !== null && { tls: tlsOptions(tls) }),
  } satisfies RedisOptions
}

function standaloneOptions(endpoint: RedisEndpoint, times: ConnectionTimes) {
  const { host, port } = endpoint.addresses[0]!
  return { ...commonOptions(endpoint, times), host, port, db: endpoint.database, enableOfflineQueue: false }
}

function clusterOptions(endpoint: RedisEndpoint, times: ConnectionTimes) {
  return {
    enableOfflineQueue: false,
    enableReadyCheck: false,
    clusterRetryStrategy: () => RETRY_MS,
    slotsRefreshTimeout: times.connectTimeoutMs,
    maxRedirections: 3,
    retryDelayOnFailover: 20,
    retryDelayOnClusterDown: 20,
    retryDelayOnTryAgain: 20,
    redisOptions: commonOptions(endpoint, times),
  } satisfies ClusterOptions
}

function sentinelOptions(endpoint: RedisEndpoint, times: ConnectionTimes) {
  const { addresses, master, database, sentinelPassword, tls } = endpoint
  return {
    ...commonOptions(endpoint, times),
    sentinels: addresses.map(({ host, port }) => ({ host, port })),
    name: master ?? '',
    db: database,
    enableOfflineQueue: false,
    // Sentinels are asked with each connection. To be told of fail-overs by them, besides, would end the client for good when that
    // comes while a connection is being made; an old master gives itself away by not answering, or by READONLY.
    failoverDetector: false,
    sentinelRetryStrategy: () => RETRY_MS,
    sentinelCommandTimeout: times.connectTimeoutMs,
    ...(sentinelPassword !== null && { sentinelPassword }),
    ...(tls !== null && { enableTLSForSentinelMode: true, sentinelTLS: tlsOptions(tls) }),
  }
}

function tlsOptions({ verify, serverName, ca }: RedisTls): ConnectionOptions {
  return {
    rejectUnauthorized: verify,
    ...(ca !== null && { ca }),
    ...(serverName !== null && {
      servername: serverName,
      checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
    }),
  }
}
