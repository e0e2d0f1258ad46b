/**
 * The listeners of `stream_listen` in one worker. A listener with `ssl` looks at the hello first where some route takes TLS as it
 * comes; everything else ends TLS here, with the certificates that the HTTPS listeners have.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, TLSSocket, type Server as TlsServer } from 'node:tls'
import { HELLO_BYTES_MAX, readClientHello } from '#listen/client-hello.ts'
import { proxiedAddressesOf, proxiedAddressesUnder, takeProxyHeader } from '#listen/proxied-connection.ts'
import { secureOptions, tlsServerOptions, type AcceptorTls } from '#listen/tls-server-options.ts'
import { plainAddress } from '#http/connection-facts.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { StreamProtocol } from '#model/stream-protocols.ts'
import { Session, type StreamContext } from './session.ts'
import { serveTcp } from './tcp-session.ts'
import { UdpSessions } from './udp-sessions.ts'

export interface StreamAcceptorOptions {
  readonly listeners: readonly Listener[]
  readonly context: StreamContext
  readonly tls: AcceptorTls
  readonly ticketKeys: Buffer
  /** Whether a peer's PROXY protocol says who its client is (`trusted_ips`). */
  readonly isTrusted: (peerIp: string) => boolean
  /** Sessions at once; connections beyond it are closed. */
  readonly maxSessions: number
  readonly servesUnixSockets: boolean
  readonly socketFailed: (detail: string) => void
}

export class StreamAcceptor {
  readonly #options: StreamAcceptorOptions
  readonly #servers: Server[] = []
  readonly #tlsServers: TlsServer[] = []
  readonly #udp: { readonly socket: UdpSocket; readonly sessions: UdpSessions }[] = []
  readonly #clients = new Set<Socket>()
  /** Connections closed because there was no room, and datagrams dropped for it. */
  #refused = 0

  constructor(options: StreamAcceptorOptions) {
    this.#options = options
  }

  get active(): number {
    return this.#udp.reduce((sum, { sessions }) => sum + sessions.size, this.#clients.size)
  }

  get refused(): number {
    return this.#udp.reduce((sum, { sessions }) => sum + sessions.dropped, this.#refused)
  }

  /** Binds every listener; rejects with the system's error for the first that can't be bound. */
  async listen(): Promise<void> {
    for (const listener of this.#options.listeners) {
      if (listener.socketPath !== null && !this.#options.servesUnixSockets) continue
      await (listener.udp ? this.#listenUdp(listener) : this.#listenTcp(listener))
    }
  }

  setFallback(fallback: AcceptorTls['fallback']): void {
    for (const server of this.#tlsServers) server.setSecureContext(secureOptions({ ...this.#options.tls, fallback }))
  }

  setTicketKeys(keys: Buffer): void {
    for (const server of this.#tlsServers) server.setTicketKeys(keys)
  }

  /** Takes no new sessions; those that are there go on. */
  drain(): void {
    for (const server of this.#servers) server.close()
    // A datagram can't be told apart from the first of a session: the listener goes with the sessions.
  }

  destroy(): void {
    for (const client of this.#clients) client.destroy()
    for (const { socket, sessions } of this.#udp) {
      sessions.close()
      socket.close()
    }
  }

  #listenTcp(listener: Listener): Promise<void> {
    const tlsServer = listener.ssl ? this.#createTls(listener) : null
    const server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      if (!this.#hasRoom(socket)) return
      if (!listener.proxyProtocol) return this.#begin(socket, listener, tlsServer)
      const done = (rest: Buffer): void => {
        if (rest.length > 0) socket.unshift(rest)
        this.#begin(socket, listener, tlsServer)
      }
      takeProxyHeader(socket, this.#options.tls.handshakeTimeoutMs, done, () => this.#refused++)
    })
    this.#servers.push(server)
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      const { socketPath, backlog, host, port, ipv6Only } = listener
      const place =
        socketPath === null ? { host, port, ipv6Only, reusePort: true, exclusive: true } : { path: socketPath }
      server.listen({ ...place, backlog }, () => {
        server.off('error', reject)
        server.on('error', (error) => this.#options.socketFailed(String(error)))
        resolve()
      })
    })
  }

  /** The socket is paused. */
  #begin(socket: Socket, listener: Listener, tlsServer: TlsServer | null): void {
    if (tlsServer === null) return this.#serve(socket, listener, 'tcp', null)
    if (this.#options.context.router.hasPassthrough) return this.#peek(socket, listener, tlsServer)
    tlsServer.emit('connection', socket)
  }

  #createTls(listener: Listener): TlsServer {
    const { tls, ticketKeys } = this.#options
    const options = { ...tlsServerOptions(tls, ticketKeys), pauseOnConnect: true }
    const server = createTlsServer(options, (socket: TLSSocket & { servername?: string | false | null }) => {
      this.#clients.add(socket)
      socket.once('close', () => this.#clients.delete(socket))
      this.#serve(socket, listener, 'tls', socket.servername || null)
    })
    server.on('tlsClientError', (_error, socket) => {
      this.#refused++
      socket.destroy()
    })
    tls.staples?.serve(server)
    this.#tlsServers.push(server)
    return server
  }

  #hasRoom(socket: Socket): boolean {
    socket.on('error', () => socket.destroy())
    if (this.active >= this.#options.maxSessions) {
      this.#refused++
      socket.destroy()
      return false
    }
    this.#clients.add(socket)
    socket.once('close', () => this.#clients.delete(socket))
    return true
  }

  /** Reads the hello, and gives everything back to whoever goes on with the connection. */
  #peek(socket: Socket, listener: Listener, tlsServer: TlsServer): void {
    let seen: Buffer = Buffer.alloc(0)
    const timer = setTimeout(() => socket.destroy(), this.#options.tls.handshakeTimeoutMs)
    const onData = (bytes: Buffer): void => {
      seen = Buffer.concat([seen, bytes])
      const hello = readClientHello(seen)
      if (hello.state === 'incomplete' && seen.length < HELLO_BYTES_MAX) return
      clearTimeout(timer)
      socket.off('data', onData)
      socket.pause()
      socket.unshift(seen)
      const serverName = hello.state === 'read' ? hello.serverName : null
      const facts = this.#facts(socket, listener, 'tls_passthrough', serverName)
      const isPassed = hello.state === 'read' && this.#options.context.router.match(facts) !== null
      if (isPassed) this.#serve(socket, listener, 'tls_passthrough', serverName)
      // What is no TLS gets the alert that it deserves.
      else tlsServer.emit('connection', socket)
    }
    socket.on('data', onData)
    socket.once('close', () => clearTimeout(timer))
    socket.resume()
  }

  #serve(socket: Socket, listener: Listener, protocol: StreamProtocol, serverName: string | null): void {
    const session = new Session(this.#options.context, this.#facts(socket, listener, protocol, serverName))
    serveTcp(session, socket).catch((error: unknown) => {
      this.#options.socketFailed(`a session failed: ${String(error)}`)
      socket.destroy()
      session.end(500)
    })
  }

  #facts(socket: Socket, listener: Listener, protocol: StreamProtocol, serverName: string | null) {
    const peerIp = plainAddress(socket.remoteAddress ?? '')
    const proxied =
      !listener.proxyProtocol || !this.#options.isTrusted(peerIp)
        ? null
        : socket instanceof TLSSocket
          ? proxiedAddressesUnder(socket)
          : proxiedAddressesOf(socket)
    return {
      protocol,
      serverName: serverName === null ? null : serverName.toLowerCase().replace(/\.$/, ''),
      sourceIp: proxied?.sourceIp ?? peerIp,
      sourcePort: proxied?.sourcePort ?? socket.remotePort ?? 0,
      destinationIp: plainAddress(socket.localAddress ?? listener.host),
      destinationPort: listener.port,
    }
  }

  #listenUdp(listener: Listener): Promise<void> {
    const { host, port, ipv6Only } = listener
    const socket = createSocket({
      ...(host.includes(':') ? { type: 'udp6', ipv6Only } : { type: 'udp4' }),
      reusePort: true,
    })
    const sessions = new UdpSessions({
      context: this.#options.context,
      destinationIp: host,
      destinationPort: port,
      maxSessions: this.#options.maxSessions,
    })
    socket.on('message', (bytes, from) => sessions.receive(socket, bytes, from.address, from.port))
    this.#udp.push({ socket, sessions })
    return new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ address: host, port, exclusive: true }, () => {
        socket.off('error', reject)
        socket.on('error', (error) => this.#options.socketFailed(String(error)))
        resolve()
      })
    })
  }
}
