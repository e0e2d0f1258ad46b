/** Sends texts over one TCP or TLS connection that is opened when there is something to send and closed when it has idled. */
import { connect as connectPlain, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface TcpSenderOptions {
  readonly host: string
  readonly port: number
  /** For the connection, and for each text to leave. */
  readonly timeoutMs: number
  /** How long the connection may idle. */
  readonly keepaliveMs: number
  readonly lookup: LookupFunction
  /** Null for plain TCP. */
  readonly tls: {
    /** Null for the host. */
    readonly servername: string | null
    readonly isVerified: boolean
    readonly trusted: string | null
  } | null
}

export class TcpSender {
  readonly #options: TcpSenderOptions
  #socket: Socket | null = null
  #connecting: Promise<Socket> | null = null
  #isClosed = false

  constructor(options: TcpSenderOptions) {
    this.#options = options
  }

  /** Resolves when the system has taken all of it; the receiver may still be lost, as the protocol has no answer. Rejects with the reason. */
  async send(text: string): Promise<void> {
    const socket = this.#socket ?? (await (this.#connecting ??= this.#connect()))
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        socket.destroy(new Error(`${this.#place()} took nothing for ${this.#options.timeoutMs} ms`))
      }, this.#options.timeoutMs)
      const end = (error?: Error | null): void => {
        clearTimeout(timer)
        socket.off('close', lost)
        if (error) reject(error)
        else resolve()
      }
      const lost = (): void => end(socket.errored ?? new Error(`${this.#place()} closed the connection`))
      socket.once('close', lost)
      socket.write(text, end)
    })
  }

  close(): void {
    this.#isClosed = true
    // What was written still goes out.
    this.#socket?.end()
    this.#socket = null
  }

  async #connect(): Promise<Socket> {
    const { host, port, lookup, tls, timeoutMs, keepaliveMs } = this.#options
    const address = host.startsWith('[') ? host.slice(1, -1) : host
    const socket =
      tls === null
        ? connectPlain({ host: address, port, lookup })
        : connectTls({
            host: address,
            port,
            lookup,
            servername: tls.servername ?? address,
            rejectUnauthorized: tls.isVerified,
            ...(tls.trusted !== null && { ca: tls.trusted }),
          })
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => socket.destroy(new Error(`${this.#place()} did not answer in ${timeoutMs} ms`)),
          timeoutMs,
        )
        socket.once(tls === null ? 'connect' : 'secureConnect', () => {
          clearTimeout(timer)
          resolve()
        })
        socket.once('error', (error) => {
          clearTimeout(timer)
          reject(error)
        })
      })
    } finally {
      this.#connecting = null
    }
    // Later errors are told by 'close'; what the receiver says is of no interest.
    socket.on('error', () => undefined)
    socket.resume()
    socket.unref()
    socket.setTimeout(Math.max(1, keepaliveMs), () => socket.destroy())
    const forget = (): void => {
      if (this.#socket === socket) this.#socket = null
    }
    socket.once('end', forget)
    socket.once('close', forget)
    if (this.#isClosed) socket.end()
    else this.#socket = socket
    return socket
  }

  #place(): string {
    return `${this.#options.host}:${this.#options.port}`
  }
}
