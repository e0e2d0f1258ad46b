/**
 * Handshakes of ACME servers that look for a `tls-alpn-01` challenge (RFC 8737) among those of clients, on the same listeners. While
 * they are looked for, the first bytes of every connection are read before TLS begins; Node chooses the certificate before it tells
 * which protocols are offered.
 */
import type { Socket } from 'node:net'
import { createSecureContext, TLSSocket, type Server as TlsServer } from 'node:tls'
import { HELLO_BYTES_MAX, readClientHello, type ReadHello } from './client-hello.ts'

export interface ChallengeSource {
  /** The protocol that only such servers offer. */
  readonly protocol: string
  /** What the challenge for the name is met with; null where there is none. */
  find(serverName: string): Promise<{ readonly cert: string; readonly key: string } | null>
}

/** Looking for a challenge asks the store, and anybody can have it looked for. */
const LOOKUPS_MAX = 16

export class ChallengeHandshakes {
  /** Null: nobody looks for challenges, connections go to TLS as they come. */
  source: ChallengeSource | null = null
  readonly #timeoutMs: number
  #lookups = 0

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** Puts itself before the server's own way to begin a connection. */
  watch(server: TlsServer): void {
    const [begin] = server.listeners('connection') as ((this: TlsServer, socket: Socket) => void)[]
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      const { source } = this
      if (source === null) begin!.call(server, socket)
      else this.#peek(socket, source, () => begin!.call(server, socket))
    })
  }

  #peek(socket: Socket, source: ChallengeSource, goOn: () => void): void {
    let seen: Buffer = Buffer.alloc(0)
    const onError = () => socket.destroy()
    const timer = setTimeout(onError, this.#timeoutMs)
    const onClose = () => clearTimeout(timer)
    const onData = (bytes: Buffer): void => {
      seen = seen.length === 0 ? Buffer.from(bytes) : Buffer.concat([seen, bytes])
      const hello = readClientHello(seen)
      if (hello.state === 'incomplete' && seen.length < HELLO_BYTES_MAX) return
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose).off('error', onError).off('end', onError)
      socket.pause()
      socket.unshift(seen)
      const name = nameOfChallenge(hello, source.protocol)
      if (name === null) goOn()
      else this.#meet(socket, source, name, goOn)
    }
    socket.on('data', onData).on('close', onClose).on('error', onError).on('end', onError)
    socket.resume()
  }

  #meet(socket: Socket, source: ChallengeSource, name: string, goOn: () => void): void {
    if (this.#lookups >= LOOKUPS_MAX) {
      socket.destroy()
      return
    }
    this.#lookups++
    const onError = () => socket.destroy()
    socket.on('error', onError)
    source
      .find(name)
      .then(
        (pair) => {
          if (socket.destroyed) return
          socket.off('error', onError)
          // Who offers this protocol alone gets TLS's own refusal.
          if (pair === null) goOn()
          else shake(socket, source.protocol, pair, this.#timeoutMs)
        },
        // The store can't be asked: the server comes again.
        () => socket.destroy(),
      )
      .finally(() => this.#lookups--)
  }
}

function nameOfChallenge(hello: ReadHello, protocol: string): string | null {
  return hello.state === 'read' && hello.protocols.length === 1 && hello.protocols[0] === protocol
    ? hello.serverName
    : null
}

/** The handshake is all that such a server wants (RFC 8737 3). */
function shake(
  socket: Socket,
  protocol: string,
  pair: { readonly cert: string; readonly key: string },
  timeoutMs: number,
): void {
  const secure = new TLSSocket(socket, {
    isServer: true,
    secureContext: createSecureContext(pair),
    ALPNProtocols: [protocol],
  })
  const timer = setTimeout(() => socket.destroy(), timeoutMs)
  secure.on('secure', () => secure.end())
  secure.on('error', () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.on('close', () => clearTimeout(timer))
  secure.resume()
}
