/** The listening sockets of one worker. All workers bind the same addresses (SO_REUSEPORT); the kernel spreads connections over them. */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer, type TlsOptions } from 'node:tls'
import type { Deadlines } from '#core/deadlines.ts'
import type { Outbox } from '#http/outbox.ts'
import type { ClientConnection, ServerHandler } from '#http/client-side.ts'
import type { ClientLimits, ConnectionFacts } from '#http/connection-facts.ts'
import type { RecentFloods } from '#http/h2/recent-floods.ts'
import { ServerSession } from '#http/h2/server-session.ts'
import { ServerConnection, type ConnectionHandler } from '#http/server-connection.ts'
import type { Listener } from '#model/settings/listener.ts'
import { ChallengeHandshakes } from './challenge-handshakes.ts'
import { FloodGate } from './flood-gate.ts'
import { proxiedAddressesOf, proxiedAddressesUnder, takeProxyHeader } from './proxied-connection.ts'
import { shownCertificates, type CertificateWish, type ShownCertificates } from './client-certificates.ts'
import type { Staple } from './staples.ts'
import {
  asksForCertificates,
  authoritiesNamed,
  secureOptions,
  tlsServerOptions,
  type AcceptorTls,
} from './tls-server-options.ts'

export interface AcceptorOptions {
  readonly listeners: readonly Listener[]
  readonly handler: ServerHandler
  readonly limits: ClientLimits
  readonly deadlines: Deadlines
  readonly outbox: Outbox
  readonly floods: RecentFloods
  readonly tls: AcceptorTls
  readonly ticketKeys: Buffer
  /** Connections held at once; further ones are told 503 and closed. */
  readonly maxConnections: number
  /** Unix sockets can't be shared: only the first worker serves them. */
  readonly servesUnixSockets: boolean
  /** Makes serial numbers of connections unique in the process. */
  readonly workerIndex: number
  readonly socketFailed: (detail: string) => void
}

/** Serial numbers of workers interleave; there are never more workers than this. */
const SERIAL_STEP = 1024

const OVERLOADED =
  'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 44\r\n\r\nThe gateway has no room for new connections\n'

const NO_CERTIFICATES: ShownCertificates['certificates'] = []

export class Acceptor {
  readonly connections = new Set<ClientConnection>()
  /** Of ACME servers, among those of clients. */
  readonly challenges: ChallengeHandshakes
  /** Connections accepted since the start, and those turned away. */
  accepted = 0
  refused = 0
  #options: AcceptorOptions
  #servers: Server[] = []
  #tlsServers: TlsServer[] = []
  #tls: AcceptorTls
  #asksForCertificates = false
  readonly #gate: FloodGate
  /** For connections that begin with HTTP/1.1; the second where HTTP/2 may follow without a handshake that agrees on it. */
  readonly #http1: ConnectionHandler
  readonly #http1OrHttp2: ConnectionHandler

  constructor(options: AcceptorOptions) {
    this.#options = options
    this.#tls = options.tls
    this.#gate = new FloodGate(options.floods)
    this.challenges = new ChallengeHandshakes(options.tls.handshakeTimeoutMs)
    this.#asksForCertificates = asksForCertificates(options.tls)
    options.tls.nameAuthorities(authoritiesNamed(options.tls))
    const { handler } = options
    this.#http1 = {
      onRequest: (connection, head) => handler.onRequest(connection, head),
      onBadRequest: (connection, failure) => handler.onBadRequest(connection, failure),
      onClose: (connection) => this.connections.delete(connection),
    }
    this.#http1OrHttp2 = {
      ...this.#http1,
      onHttp2: (connection, bytes) =>
        this.#beginHttp2(connection.socket, connection).onBytes(bytes, connection.readsAreShared),
    }
  }

  /** Binds every listener; rejects with the system's error for the first that can't be bound. */
  async listen(): Promise<void> {
    for (const listener of this.#options.listeners) {
      if (listener.socketPath !== null && !this.#options.servesUnixSockets) continue
      const server = this.#createServer(listener)
      this.#servers.push(server)
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(
          listener.socketPath !== null
            ? { path: listener.socketPath, backlog: listener.backlog }
            : {
                host: listener.host,
                port: listener.port,
                backlog: listener.backlog,
                ipv6Only: listener.ipv6Only,
                reusePort: true,
                exclusive: true,
              },
          () => {
            server.off('error', reject)
            server.on('error', (error) => this.#options.socketFailed(String(error)))
            resolve()
          },
        )
      })
    }
  }

  #createServer(listener: Listener): Server {
    if (listener.proxyProtocol) return this.#createProxied(listener)
    return listener.ssl
      ? this.#createTls(listener)
      : createServer({ noDelay: true, allowHalfOpen: true, blockList: this.#gate }, (socket) => {
          this.#accept(socket, listener, null)
        })
  }

  /** Connections begin with the PROXY protocol's header, and then go on as they do on other listeners. Peers are proxies: none is refused. */
  #createProxied(listener: Listener): Server {
    const tls = listener.ssl ? this.#createTls(listener) : null
    return createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      socket.on('error', () => socket.destroy())
      const waiting: ClientConnection = { socket, closeWhenDone: () => socket.destroy() }
      if (!this.#hasRoom(socket)) return
      this.connections.add(waiting)
      const done = (rest: Buffer): void => {
        this.connections.delete(waiting)
        if (tls === null) this.#accept(socket, listener, null)?.onBytes(rest, false)
        else {
          if (rest.length > 0) socket.unshift(rest)
          tls.emit('connection', socket)
        }
      }
      takeProxyHeader(socket, this.#options.limits.headTimeoutMs, done, () => {
        this.connections.delete(waiting)
        this.refused++
      })
    })
  }

  #createTls(listener: Listener): TlsServer {
    const options: TlsOptions = {
      ...tlsServerOptions(this.#tls, this.#options.ticketKeys),
      ALPNProtocols: listener.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
      blockList: this.#gate,
    }
    const server = createTlsServer(options, (socket) => void this.#accept(socket, listener, socket))
    server.on('tlsClientError', () => {
      // A client that speaks no TLS, or none that we speak, is no event worth a log line each; it is counted.
      this.refused++
    })
    this.#tls.staples?.serve(server)
    this.challenges.watch(server)
    this.#tlsServers.push(server)
    return server
  }

  #hasRoom(socket: Socket): boolean {
    if (this.connections.size < this.#options.maxConnections) return true
    this.refused++
    socket.on('error', () => socket.destroy())
    socket.end(OVERLOADED, 'latin1')
    socket.setTimeout(1000, () => socket.destroy())
    return false
  }

  /** The connection, which reads from now on; null where there is no room for it. */
  #accept(socket: Socket, listener: Listener, tlsSocket: TLSSocket | null): ServerConnection | ServerSession | null {
    if (!this.#hasRoom(socket)) return null
    this.accepted++
    const shown =
      tlsSocket !== null && this.#asksForCertificates ? shownCertificates(tlsSocket, this.#tls.clients) : null
    if (this.#tls.clients.verify === 'on' && shown !== null && shown.verified !== 'SUCCESS') {
      this.refused++
      socket.on('error', () => socket.destroy())
      socket.destroy()
      return null
    }
    const sni =
      tlsSocket === null ? null : (tlsSocket as TLSSocket & { servername?: string | false }).servername || null
    const facts: ConnectionFacts = {
      isTls: listener.ssl,
      sni: sni === null ? null : sni.replace(/\.$/, ''),
      serverPort: listener.port,
      serial: this.accepted * SERIAL_STEP + this.#options.workerIndex,
      proxied: !listener.proxyProtocol
        ? null
        : tlsSocket === null
          ? proxiedAddressesOf(socket)
          : proxiedAddressesUnder(tlsSocket),
      tls:
        tlsSocket === null
          ? null
          : {
              version: tlsSocket.getProtocol() ?? '',
              cipher: tlsSocket.getCipher()?.name ?? '',
              clientVerify: shown?.verified ?? 'NONE',
              clientCertificates: shown?.certificates ?? NO_CERTIFICATES,
            },
    }
    if (tlsSocket !== null && tlsSocket.alpnProtocol === 'h2') {
      return this.#beginHttp2(socket, facts)
    }
    const { limits, deadlines, outbox } = this.#options
    const handler = listener.http2 && !listener.ssl ? this.#http1OrHttp2 : this.#http1
    const connection = new ServerConnection(socket, handler, limits, deadlines, outbox, facts)
    this.connections.add(connection)
    return connection
  }

  #beginHttp2(socket: Socket, facts: ConnectionFacts): ServerSession {
    const { handler, limits, deadlines, outbox, floods } = this.#options
    const session = new ServerSession(socket, handler, limits, deadlines, outbox, facts, floods, (gone) =>
      this.connections.delete(gone),
    )
    this.connections.add(session)
    return session
  }

  /** Takes a new fallback certificate into use for the handshakes to come. */
  setFallback(fallback: AcceptorTls['fallback']): void {
    this.#tls = { ...this.#tls, fallback }
    for (const server of this.#tlsServers) server.setSecureContext(secureOptions(this.#tls))
  }

  /** Asks for certificates in the handshakes to come as plugins want it, besides what the settings say. */
  setWish(wish: CertificateWish | null): void {
    this.#tls = { ...this.#tls, wish }
    this.#asksForCertificates = asksForCertificates(this.#tls)
    this.#tls.nameAuthorities(authoritiesNamed(this.#tls))
    for (const server of this.#tlsServers) {
      // No option of `setSecureContext`; it is read at each connection.
      ;(server as TlsServer & { requestCert: boolean }).requestCert = this.#asksForCertificates
      server.setSecureContext(secureOptions(this.#tls))
    }
  }

  /** Staples these in the handshakes to come, here and wherever else the same certificates are shown. */
  takeStaples(staples: readonly Staple[]): void {
    this.#tls.staples?.take(staples)
  }

  /** Shared by all workers, so that a session can be resumed on any of them. */
  setTicketKeys(keys: Buffer): void {
    for (const server of this.#tlsServers) server.setTicketKeys(keys)
  }

  /** Stops accepting and asks every connection to end after its response. Resolves when the listeners are closed. */
  async drain(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    for (const connection of this.connections) connection.closeWhenDone()
    // `close` waits for the connections, too: whoever called cuts them when their time is over.
    await Promise.race([Promise.all(closed), new Promise((resolve) => setImmediate(resolve))])
  }

  /** Cuts what is left. */
  destroy(): void {
    for (const connection of this.connections) connection.socket.destroy()
  }
}
