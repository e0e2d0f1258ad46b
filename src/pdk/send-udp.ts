/** Sends datagrams to one host, whose name is found anew for each, through the resolver's cache. */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6, type LookupFunction } from 'node:net'

/** IPv4's largest datagram (RFC 768) without its headers. */
export const LARGEST_DATAGRAM_BYTES = 65_507

export interface UdpSenderOptions {
  readonly host: string
  readonly port: number
  readonly timeoutMs: number
  readonly lookup: LookupFunction
}

interface Place {
  readonly address: string
  readonly family: number
}

export class UdpSender {
  readonly #options: UdpSenderOptions
  readonly #host: string
  #socket: Socket | null = null
  #family = 0

  constructor(options: UdpSenderOptions) {
    this.#options = options
    this.#host = options.host.startsWith('[') ? options.host.slice(1, -1) : options.host
  }

  /** Resolves when the system has taken it; nobody tells whether it arrives. Rejects with the reason. */
  async send(datagram: Buffer): Promise<void> {
    const place = await this.#find()
    const socket = this.#socketFor(place.family)
    await new Promise<void>((resolve, reject) => {
      socket.send(datagram, this.#options.port, place.address, (error) => (error ? reject(error) : resolve()))
    })
  }

  close(): void {
    this.#socket?.close()
    this.#socket = null
  }

  #find(): Promise<Place> {
    return new Promise((resolve, reject) => {
      const { lookup, timeoutMs } = this.#options
      const timer = setTimeout(() => reject(new Error(`${this.#host}: no address in ${timeoutMs} ms`)), timeoutMs)
      lookup(this.#host, { family: 0 }, (error, address, family) => {
        clearTimeout(timer)
        if (error) reject(error)
        else resolve({ address: address as string, family: family ?? (isIPv6(address as string) ? 6 : 4) })
      })
    })
  }

  #socketFor(family: number): Socket {
    if (this.#socket !== null && this.#family === family) return this.#socket
    this.#socket?.close()
    const socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      // The address is known by then: nothing may ask for it again.
      lookup: (address, _options, callback) => callback(null, address, family),
    })
    socket.unref()
    // An ICMP answer to an earlier datagram: the one that is being sent has its own outcome.
    socket.on('error', () => undefined)
    this.#socket = socket
    this.#family = family
    return socket
  }
}
