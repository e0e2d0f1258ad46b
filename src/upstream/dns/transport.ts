/** One message to one name server and what comes back, over UDP or TCP. */
import { createSocket } from 'node:dgram'
import { connect, isIP } from 'node:net'
import type { NameServer } from './name-server.ts'

/** Turns received bytes into a value; null when they are not the answer, so that waiting goes on. */
export type Read<T> = (bytes: Buffer) => T | null

export interface TransportFailure {
  readonly failure: string
}

/** Ends exchanges that are under way, all at once. */
export class Cancellation {
  readonly #cancels = new Set<() => void>()
  isCancelled = false

  add(cancel: () => void): void {
    this.#cancels.add(cancel)
  }

  remove(cancel: () => void): void {
    this.#cancels.delete(cancel)
  }

  cancel(): void {
    this.isCancelled = true
    for (const cancel of this.#cancels) cancel()
    this.#cancels.clear()
  }
}

/**
 * Sends `message` from a socket of its own, hence from a port that the kernel chooses at random, and connected, hence the
 * kernel drops what comes from another address and reports a closed port at once.
 */
export function askUdp<T>(
  server: NameServer,
  message: Buffer,
  read: Read<T>,
  timeoutMs: number,
  cancellation: Cancellation,
): Promise<T | TransportFailure> {
  const { promise, resolve } = Promise.withResolvers<T | TransportFailure>()
  const socket = createSocket({ type: isIP(server.ip) === 6 ? 'udp6' : 'udp4', lookup: passLiteral })
  let isFinished = false
  const finish = (result: T | TransportFailure): void => {
    if (isFinished) return
    isFinished = true
    clearTimeout(timer)
    cancellation.remove(cancel)
    socket.close()
    resolve(result)
  }
  const fail = (reason: string): void => finish({ failure: `${reason} (UDP server ${label(server)})` })
  const cancel = (): void => fail('closed')
  const timer = setTimeout(() => fail('timeout'), timeoutMs)
  cancellation.add(cancel)

  socket.on('error', (error) => fail(error.message))
  socket.on('message', (bytes, from) => {
    // The kernel checks this once the socket is connected; a datagram may have come in the moment before.
    if (from.port !== server.port || from.address !== server.ip) return
    const value = read(bytes)
    if (value !== null) finish(value)
  })
  socket.connect(server.port, server.ip, (error?: Error) => {
    if (error !== undefined) fail(error.message)
    else if (!isFinished) socket.send(message)
  })
  return promise
}

/** Sends `message` over a new connection (RFC 1035 4.2.2: two bytes of length in front). */
export function askTcp<T>(
  server: NameServer,
  message: Buffer,
  read: Read<T>,
  timeoutMs: number,
  cancellation: Cancellation,
): Promise<T | TransportFailure> {
  const { promise, resolve } = Promise.withResolvers<T | TransportFailure>()
  const socket = connect({ host: server.ip, port: server.port })
  let received = Buffer.alloc(0)
  const finish = (result: T | TransportFailure): void => {
    clearTimeout(timer)
    cancellation.remove(cancel)
    socket.destroy()
    resolve(result)
  }
  const fail = (reason: string): void => finish({ failure: `${reason} (TCP server ${label(server)})` })
  const cancel = (): void => fail('closed')
  const timer = setTimeout(() => fail('timeout'), timeoutMs)
  cancellation.add(cancel)

  socket.on('error', (error) => fail(error.message))
  socket.on('close', () => fail('connection closed'))
  socket.on('data', (chunk: Buffer) => {
    // At most one message of 64 KiB and a chunk are kept: a message that is not ours is taken off before the next.
    received = Buffer.concat([received, chunk])
    while (received.length >= 2) {
      const end = 2 + received.readUInt16BE(0)
      if (received.length < end) return
      const value = read(received.subarray(2, end))
      if (value !== null) return finish(value)
      received = received.subarray(end)
    }
  })
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  socket.write(Buffer.concat([length, message]))
  return promise
}

type LookupDone = (error: NodeJS.ErrnoException | null, address: string, family: number) => void

/** Name servers are addresses, and the system's resolver (getaddrinfo, on four threads for everybody) is never asked. */
function passLiteral(address: string, _options: unknown, done: LookupDone): void {
  done(null, address, isIP(address))
}

function label({ ip, port }: NameServer): string {
  return isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`
}
