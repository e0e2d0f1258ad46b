/** Connections to targets, kept for the next request: newest first, so that those at the bottom can age out. */
import type { SecureContext } from 'node:tls'
import type { Deadlines } from '#core/deadlines.ts'
import type { Outbox } from '#http/outbox.ts'
import { UpstreamConnection } from './connection.ts'
import { openSocket } from './open-socket.ts'
import type { UpstreamLink } from './link.ts'

const HTTP_1 = ['http/1.1']
/** Idle connections that serve one client each: of those there may be as many as clients, whatever `size` says. */
const OF_ONE_CLIENT_MAX = 1024

export interface PoolSettings {
  /** Idle connections kept per target at most; 0 keeps none. */
  readonly size: number
  readonly idleTimeoutMs: number
  /** Requests after which a connection is closed. */
  readonly maxRequests: number
  /** Longest head of a response. */
  readonly maxHeadBytes: number
}

/** How a target is reached over TLS; part of what may share a connection. */
export interface TlsTarget {
  /** Server name for SNI and verification. */
  readonly servername: string
  readonly isVerified: boolean
  readonly verifyDepth: number | null
  /** Certificates and trust store, made once per configuration. */
  readonly context: SecureContext
  /** Distinguishes contexts in the pool's key. */
  readonly contextKey: string
}

export interface PoolFigures {
  created: number
  reused: number
  idle: number
  /** Connections that are open or being opened. */
  open: number
}

export class ConnectionPool {
  readonly figures: PoolFigures = { created: 0, reused: 0, idle: 0, open: 0 }
  #settings: PoolSettings
  #deadlines: Deadlines
  #outbox: Outbox
  #idle = new Map<string, UpstreamConnection[]>()
  /** How many of the idle ones serve one client each. */
  #ofOneClient = 0

  constructor(settings: PoolSettings, deadlines: Deadlines, outbox: Outbox) {
    this.#settings = settings
    this.#deadlines = deadlines
    this.#outbox = outbox
  }

  /** An idle connection to the target, or null. */
  take(key: string): UpstreamConnection | null {
    const list = this.#idle.get(key)
    if (list === undefined) return null
    for (let connection = list.pop(); connection !== undefined; connection = list.pop()) {
      if (list.length === 0) this.#idle.delete(key)
      this.#noLongerIdle(connection)
      // One that ended in this turn of the event loop tells so only at the turn's end.
      if (!connection.isReusable) continue
      this.figures.reused++
      return connection
    }
    return null
  }

  /**
   * Opens a connection; its failure reaches the sink that is given to `begin`. With bytes that go out before all else it belongs to
   * those alone who have the same: the key has to say so.
   */
  open(
    key: string,
    ip: string,
    port: number,
    tls: TlsTarget | null,
    preface: Buffer | null = null,
  ): UpstreamConnection {
    this.figures.created++
    this.figures.open++
    const socket = openSocket({ ip, port, tls, protocols: HTTP_1, preface })
    socket.once('close', () => this.figures.open--)
    return new UpstreamConnection(
      socket,
      key,
      tls !== null,
      this.#deadlines,
      this.#outbox,
      (connection) => this.#forget(connection),
      this.#settings.maxHeadBytes,
      preface !== null,
    )
  }

  /** Takes back a connection after its exchange; closes it when it can't or needn't be kept. */
  release(link: UpstreamLink): void {
    // A stream of HTTP/2 is over by itself.
    if (!(link instanceof UpstreamConnection)) return
    const connection = link
    if (!connection.isReusable || connection.requests >= this.#settings.maxRequests || this.#settings.size === 0)
      return connection.destroy()
    if (connection.isOfOneClient && this.#ofOneClient >= OF_ONE_CLIENT_MAX) return connection.destroy()
    let list = this.#idle.get(connection.poolKey)
    if (list === undefined) this.#idle.set(connection.poolKey, (list = []))
    if (list.length >= this.#settings.size) return connection.destroy()
    list.push(connection)
    this.figures.idle++
    if (connection.isOfOneClient) this.#ofOneClient++
    connection.rest(this.#settings.idleTimeoutMs)
  }

  #noLongerIdle(connection: UpstreamConnection): void {
    this.figures.idle--
    if (connection.isOfOneClient) this.#ofOneClient--
  }

  close(): void {
    for (const list of this.#idle.values()) for (const connection of list) connection.destroy()
  }

  #forget(connection: UpstreamConnection): void {
    const list = this.#idle.get(connection.poolKey)
    const at = list?.indexOf(connection) ?? -1
    if (at < 0) return
    list!.splice(at, 1)
    this.#noLongerIdle(connection)
    if (list!.length === 0) this.#idle.delete(connection.poolKey)
  }
}

/** What may share connections: the address and, for TLS, the name and the certificates (Kong: `ip|port|host|client certificate`). */
export function poolKey(ip: string, port: number, tls: TlsTarget | null): string {
  return tls === null ? `${ip}|${port}` : `${ip}|${port}|${tls.servername}|${tls.isVerified}|${tls.contextKey}`
}

/** Remembers the key of each target without TLS: looking an object up is cheaper than joining and hashing a text. */
export function plainPoolKeys(): (target: { readonly ip: string; readonly port: number }) => string {
  const keys = new WeakMap<object, string>()
  return (target) => {
    let key = keys.get(target)
    if (key === undefined) keys.set(target, (key = poolKey(target.ip, target.port, null)))
    return key
  }
}
