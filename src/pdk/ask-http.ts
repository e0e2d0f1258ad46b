/** Asks HTTP servers for plugins that need an answer to go on: identity providers, policy servers, certificate authorities. Nothing here rejects. */
import type { LookupFunction } from 'node:net'
import type { Agent } from 'undici'

export interface HttpAskerOptions {
  /** For a whole answer, with connection and TLS. */
  readonly timeoutMs: number
  /** Connections to one server; further questions wait within their time-out. */
  readonly connections: number
  /** How long a connection may idle. */
  readonly keepaliveMs: number
  readonly isVerified: boolean
  /** PEM of authorities; null for Node's own list. */
  readonly trusted: string | null
  readonly lookup: LookupFunction
  /** An answer over this size is none. */
  readonly answerBytesMax: number
}

export interface HttpQuestion {
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer | null
}

export interface HttpAnswer {
  readonly status: number
  /** By lower-case name; of repeated ones the first. */
  readonly headers: Readonly<Record<string, string>>
  /** Every value of a field, by its lower-case name. */
  all(name: string): readonly string[]
  readonly bytes: Buffer
  /** As UTF-8. */
  readonly text: string
}

/** Why there is no answer, without anything of the question: it may have secrets. */
export interface NoAnswer {
  readonly problem: string
}

export class HttpAsker {
  readonly #options: HttpAskerOptions
  #agent: Agent | null = null
  #isClosed = false

  constructor(options: HttpAskerOptions) {
    this.#options = options
  }

  /** Any status is an answer; redirects are, too, and never followed: where they lead was decided by somebody else. */
  async ask(url: URL, { method, headers, body }: HttpQuestion): Promise<HttpAnswer | NoAnswer> {
    try {
      // Loading it takes as long as starting a small program: only who asks pays for that.
      const { Agent, request } = await import('undici')
      if (this.#isClosed) return { problem: 'closed' }
      const response = await request(url, {
        dispatcher: this.#agentOf(Agent),
        method,
        headers,
        body,
        signal: AbortSignal.timeout(this.#options.timeoutMs),
      })
      const bytes = await this.#boundedBytes(response.body)
      if (bytes === null) return { problem: `${url.host} answered more than ${this.#options.answerBytesMax} bytes` }
      return {
        status: response.statusCode,
        headers: firstValues(response.headers),
        all: (name) => [response.headers[name] ?? []].flat(),
        bytes,
        get text() {
          return bytes.toString('utf8')
        },
      }
    } catch (error) {
      return { problem: `${url.host} can't be asked: ${causeOf(error)}` }
    }
  }

  close(): void {
    this.#isClosed = true
    void this.#agent?.destroy()
  }

  #agentOf(AgentOf: typeof Agent): Agent {
    const { timeoutMs, connections, keepaliveMs, isVerified, trusted, lookup } = this.#options
    return (this.#agent ??= new AgentOf({
      connections,
      pipelining: 1,
      keepAliveTimeout: Math.max(1, keepaliveMs),
      keepAliveMaxTimeout: Math.max(1, keepaliveMs),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      connect: { timeout: timeoutMs, lookup, rejectUnauthorized: isVerified, ...(trusted !== null && { ca: trusted }) },
    }))
  }

  async #boundedBytes(body: AsyncIterable<Uint8Array>): Promise<Buffer | null> {
    const parts: Uint8Array[] = []
    let size = 0
    for await (const part of body) {
      size += part.length
      // Leaving the loop closes the connection.
      if (size > this.#options.answerBytesMax) return null
      parts.push(part)
    }
    return Buffer.concat(parts)
  }
}

function firstValues(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value
    if (first !== undefined) values[name] = first
  }
  return values
}

function causeOf(error: unknown): string {
  const { code, name, message } = error as { code?: unknown; name: string; message: string }
  if (name === 'TimeoutError' || name === 'AbortError') return 'no answer in time'
  return typeof code === 'string' ? code : message
}
