/** A client that writes the bytes of its requests itself and sees the bytes of the answers, every wait with a deadline. */
import { connect, type Socket } from 'node:net'

export interface RawResponse {
  readonly status: number
  /** Lower-case names; repeated ones joined by ', '. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const DEADLINE_MS = 15_000

export class RawClient {
  readonly socket: Socket
  /** Resolves when the connection is gone: whether the other side ended it in order, and the error if there was one. */
  readonly closed: Promise<{ readonly isEnded: boolean; readonly code: string | null }>
  #received = Buffer.alloc(0)
  #isEnded = false
  #isClosed = false
  readonly #onChange = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    let code: string | null = null
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes])
      this.#changed()
    })
    socket.on('end', () => {
      this.#isEnded = true
      this.#changed()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? error.message
    })
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true
        this.#changed()
        resolve({ isEnded: this.#isEnded, code })
      })
    })
  }

  /** What came and was not taken yet. */
  get received(): string {
    return this.#received.toString('latin1')
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  write(...lines: readonly string[]): void {
    this.socket.write(lines.join('\r\n'), 'latin1')
  }

  /** Writes a request without body; the lines after the first are fields. */
  request(line: string, ...fields: readonly string[]): void {
    this.write(line, 'Host: gw.test', ...fields, '', '')
  }

  /** Waits until `text` has come; takes and answers everything up to its end. */
  async until(text: string, deadlineMs = DEADLINE_MS): Promise<string> {
    await this.#wait(`'${text.replaceAll('\r\n', '\\r\\n')}'`, () => this.#received.includes(text), deadlineMs)
    return this.#take(this.#received.indexOf(text) + text.length)
  }

  async bytes(count: number, deadlineMs = DEADLINE_MS): Promise<string> {
    await this.#wait(`${count} bytes`, () => this.#received.length >= count, deadlineMs)
    return this.#take(count)
  }

  /** Waits until the other side has ended its sending; answers what came and was not taken. */
  async end(deadlineMs = DEADLINE_MS): Promise<string> {
    await this.#wait('the end', () => this.#isEnded || this.#isClosed, deadlineMs)
    return this.#take(this.#received.length)
  }

  /** Reads one response, framed by its length, by chunks, or by nothing (after HEAD, 204, 304). */
  async response(method = 'GET', deadlineMs = DEADLINE_MS): Promise<RawResponse> {
    const head = await this.until('\r\n\r\n', deadlineMs)
    const [statusLine = '', ...lines] = head.trimEnd().split('\r\n')
    const status = Number(statusLine.split(' ')[1])
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const at = line.indexOf(':')
      const name = line.slice(0, at).toLowerCase()
      const value = line.slice(at + 1).trim()
      headers[name] = name in headers ? `${headers[name]}, ${value}` : value
    }
    let body = ''
    if (method === 'HEAD' || status === 204 || status === 304 || status < 200) body = ''
    else if (headers['transfer-encoding'] === 'chunked') body = await this.#chunks(deadlineMs)
    else if (headers['content-length'] !== undefined)
      body = await this.bytes(Number(headers['content-length']), deadlineMs)
    else body = await this.end(deadlineMs)
    return { status, headers, body }
  }

  close(): void {
    this.socket.destroy()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #chunks(deadlineMs: number): Promise<string> {
    let body = ''
    for (;;) {
      const size = Number.parseInt(await this.until('\r\n', deadlineMs), 16)
      if (size === 0) break
      body += await this.bytes(size, deadlineMs)
      await this.bytes(2, deadlineMs)
    }
    // Trailer fields, if there are any.
    while ((await this.until('\r\n', deadlineMs)) !== '\r\n');
    return body
  }

  #take(count: number): string {
    const taken = this.#received.toString('latin1', 0, count)
    this.#received = this.#received.subarray(count)
    return taken
  }

  #changed(): void {
    for (const look of this.#onChange) look()
  }

  #wait(what: string, isThere: () => boolean, deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(timer)
        this.#onChange.delete(look)
        act()
      }
      const look = () => {
        if (isThere()) finish(resolve)
        else if (this.#isClosed) finish(() => reject(this.#failure(`the connection closed before ${what} came`)))
      }
      const timer = setTimeout(
        () => finish(() => reject(this.#failure(`${what} did not come within ${deadlineMs} ms`))),
        deadlineMs,
      )
      this.#onChange.add(look)
      look()
    })
  }

  #failure(what: string): Error {
    return new Error(`${what}; received so far: ${JSON.stringify(this.received.slice(-2000))}`)
  }
}

/** A TCP connection to a port of loopback. */
export async function openRawClient(
  port: number,
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: options.allowHalfOpen ?? true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return new RawClient(socket)
}
