import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { generate } from 'selfsigned'

/** Both ends of one loopback connection. */
export interface SocketPair {
  /** The accepted end, as the gateway's listeners accept. */
  readonly server: Socket
  readonly client: Socket
  readonly [Symbol.dispose]: () => void
}

export async function socketPair(): Promise<SocketPair> {
  const listener = createServer({ allowHalfOpen: true, noDelay: true })
  const accepted = once(listener, 'connection') as Promise<[Socket]>
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const client = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const [[server]] = await Promise.all([accepted, once(client, 'connect')])
  listener.close()
  return {
    server,
    client,
    [Symbol.dispose]: () => {
      server.destroy()
      client.destroy()
    },
  }
}

/** The same over TLS, with a certificate of its own. */
export async function tlsSocketPair(): Promise<SocketPair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
  const listener = createTlsServer({ cert, key, allowHalfOpen: true })
  const accepted = once(listener, 'secureConnection') as Promise<[Socket]>
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const client = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  const [[server]] = await Promise.all([accepted, once(client, 'secureConnect')])
  listener.close()
  return {
    server,
    client,
    [Symbol.dispose]: () => {
      server.destroy()
      client.destroy()
    },
  }
}

/** Collects what comes over a socket as latin1 text and waits for parts of it. */
export class Received {
  text = ''
  isEnded = false
  isClosed = false
  #wake: (() => void) | null = null

  constructor(socket: Socket) {
    const wake = () => {
      this.#wake?.()
      this.#wake = null
    }
    socket.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1')
      wake()
    })
    socket.on('end', () => {
      this.isEnded = true
      wake()
    })
    // A reset is one of the ways in which a peer may close; tests look at what came before.
    socket.on('error', wake)
    socket.on('close', () => {
      this.isClosed = true
      wake()
    })
  }

  /** Resolves when `isTrue` holds; fails after ten seconds with what came instead. */
  async until(isTrue: () => boolean, what = 'condition'): Promise<void> {
    const deadline = Date.now() + 10_000
    while (!isTrue()) {
      if (Date.now() > deadline)
        throw new Error(`no ${what} within 10 s; received ${JSON.stringify(this.text.slice(-2000))}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, 20)
      })
    }
  }

  async untilText(part: string, count = 1): Promise<void> {
    await this.until(() => {
      let at = -1
      for (let i = 0; i < count; i++) {
        at = this.text.indexOf(part, at + 1)
        if (at < 0) return false
      }
      return true
    }, JSON.stringify(part))
  }

  async untilEnd(): Promise<void> {
    await this.until(() => this.isEnded || this.isClosed, 'end')
  }
}

/** Lets what is under way on loopback arrive: some turns of the event loop, each after the sockets were looked at. */
export async function settle(milliseconds = 30): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
}
