/**
 * The way to the syslog daemon of this machine. Its socket takes datagrams as a rule, which Node can't send to a path: then util-linux'
 * `logger` passes them on, one process for as long as there is something to say. Sockets that take a stream are written to directly.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { connect, type Socket } from 'node:net'

export interface LocalDaemonOptions {
  readonly socket: string
  readonly timeoutMs: number
}

/** A message of syslog, without line feeds, and what it is made of, for the program that makes it anew. */
export interface LocalMessage {
  readonly priority: number
  readonly text: string
  readonly message: string
}

/** Longer texts are cut by `logger`; the record with the headers of a request is shorter. */
const LONGEST_TEXT = 64 * 1024

type Way =
  | { readonly kind: 'stream'; readonly socket: Socket }
  | { readonly kind: 'program'; readonly child: ChildProcess }

export class LocalDaemon {
  readonly #options: LocalDaemonOptions
  #way: Way | null = null
  #isClosed = false

  constructor(options: LocalDaemonOptions) {
    this.#options = options
  }

  /** Resolves when the messages are handed over. Rejects with the reason. */
  async send(messages: readonly LocalMessage[]): Promise<void> {
    const way = (this.#way ??= await this.#open())
    if (way.kind === 'stream') {
      // RFC 6587 3.4.2: on a stream each message ends with a line feed.
      return this.#write(way.socket, messages.map(({ message }) => `${message}\n`).join(''), way.socket)
    }
    const lines = messages.map(({ priority, text }) => `<${priority}>${text}\n`).join('')
    return this.#write(way.child.stdin!, lines, way.child)
  }

  close(): void {
    this.#isClosed = true
    const way = this.#way
    this.#way = null
    // What was written is still passed on: the program ends at the end of its input.
    if (way?.kind === 'stream') way.socket.end()
    else way?.child.stdin!.end()
  }

  async #open(): Promise<Way> {
    let way: Way
    try {
      way = { kind: 'stream', socket: await this.#connect() }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPROTOTYPE') throw error
      way = { kind: 'program', child: await this.#start() }
    }
    const end = way.kind === 'stream' ? way.socket : way.child
    end.once('close', () => {
      if (this.#way === way) this.#way = null
    })
    if (this.#isClosed) {
      if (way.kind === 'stream') way.socket.end()
      else way.child.stdin!.end()
    }
    return way
  }

  #connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path: this.#options.socket })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        // Later errors are told by 'close'.
        socket.on('error', () => undefined)
        socket.unref()
        resolve(socket)
      })
    })
  }

  #start(): Promise<ChildProcess> {
    const { socket } = this.#options
    const child = spawn(
      'logger',
      [
        '--socket',
        socket,
        '--socket-errors=on',
        '--id',
        '--tag',
        'kong',
        '--prio-prefix',
        '--size',
        String(LONGEST_TEXT),
      ],
      { stdio: ['pipe', 'ignore', 'ignore'] },
    )
    child.unref()
    return new Promise((resolve, reject) => {
      child.once('error', (error) =>
        reject(new Error(`${socket} takes datagrams, for which the program logger is needed: ${error.message}`)),
      )
      child.once('spawn', () => {
        child.stdin.on('error', () => undefined)
        resolve(child)
      })
    })
  }

  #write(into: NodeJS.WritableStream, text: string, owner: Socket | ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const { socket, timeoutMs } = this.#options
      const end = (error?: Error | null): void => {
        clearTimeout(timer)
        owner.off('close', lost)
        if (error) reject(error)
        else resolve()
      }
      const lost = (): void => end(new Error(`${socket}: the connection was closed`))
      const timer = setTimeout(() => {
        if (owner instanceof Object && 'kill' in owner) owner.kill()
        else owner.destroy()
        end(new Error(`${socket} took nothing for ${timeoutMs} ms`))
      }, timeoutMs)
      owner.once('close', lost)
      into.write(text, end)
    })
  }
}
