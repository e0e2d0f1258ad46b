/** A TCP relay that can stop moving bytes: what a partition looks like from both sides. Nothing is closed, nothing is refused. */
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface Place {
  readonly host: string
  readonly port: number
}

export class BlackHole {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isOpen = true

  private constructor(target: Place) {
    this.#server = createServer((client) => {
      const far = connect({ ...target })
      this.#join(client, far)
      this.#join(far, client)
    })
  }

  /** Relays from one place to the other. */
  static async start(from: Place, target: Place): Promise<BlackHole> {
    const hole = new BlackHole(target)
    await new Promise<void>((resolve, reject) => {
      hole.#server.once('error', reject)
      hole.#server.listen({ ...from }, resolve)
    })
    return hole
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.on('data', (bytes) => to.write(bytes))
    from.on('end', () => to.end())
    from.on('error', () => to.destroy())
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
    if (!this.#isOpen) from.pause()
  }

  /** From now on nothing comes through. */
  block(): void {
    this.#isOpen = false
    for (const socket of this.#sockets) socket.pause()
  }

  /** What waited comes through, as after a partition whose packets are sent again. */
  heal(): void {
    this.#isOpen = true
    for (const socket of this.#sockets) socket.resume()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
