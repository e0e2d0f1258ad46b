/** Sends bodies to an HTTP receiver over connections that are kept: for plugins that deliver logs and traces. */
import type { LookupFunction } from 'node:net'
import type { Agent } from 'undici'

export interface HttpSenderOptions {
  /** http or https; a user and password in it become basic authorization. */
  readonly url: string
  readonly method: 'POST' | 'PUT' | 'PATCH'
  readonly headers: Readonly<Record<string, string>>
  readonly connectTimeoutMs: number
  /** For the head of the answer, and between two parts of its body. */
  readonly readTimeoutMs: number
  /** How long a connection may idle. */
  readonly keepaliveMs: number
  readonly isVerified: boolean
  readonly trusted: string | null
  readonly lookup: LookupFunction
  /** Which answers mean that the receiver has it. */
  readonly isSuccess: (status: number) => boolean
}

/** Connections to one receiver; more batches than that are not sent at a time anyway. */
const CONNECTIONS = 64
/** Of an answer's body nothing is needed; more than this closes the connection. */
const BODY_LIMIT_BYTES = 64 * 1024
/** What a delivery may take besides connecting and waiting for the head: the sending, and the rest of the answer. */
const GRACE_MS = 5000

export class HttpSender {
  readonly #options: HttpSenderOptions
  #agent: Agent | null = null
  #isClosed = false
  readonly #url: URL
  readonly #headers: Record<string, string>

  constructor(options: HttpSenderOptions) {
    this.#options = options
    this.#url = new URL(options.url)
    this.#headers = { ...options.headers }
    const { username, password } = this.#url
    if (username !== '' || password !== '') {
      const credentials = `${decoded(username)}:${decoded(password)}`
      this.#headers['Authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`
      this.#url.username = this.#url.password = ''
    }
  }

  /** Null when the receiver has it, else why not. Rejects when it can't be asked. */
  async send(body: string | Buffer, signal: AbortSignal): Promise<string | null> {
    const { method, connectTimeoutMs, readTimeoutMs, isSuccess } = this.#options
    // Loading it takes as long as starting a small program: only who sends anything pays for that.
    const { Agent, request } = await import('undici')
    if (this.#isClosed) return 'closed'
    const deadline = AbortSignal.timeout(connectTimeoutMs + readTimeoutMs + GRACE_MS)
    const response = await request(this.#url, {
      dispatcher: this.#agentOf(Agent),
      method,
      headers: this.#headers,
      body,
      signal: AbortSignal.any([signal, deadline]),
    })
    await response.body.dump({ limit: BODY_LIMIT_BYTES })
    return isSuccess(response.statusCode) ? null : `${this.#url.host} answered ${response.statusCode}`
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#agent?.destroy()
  }

  #agentOf(AgentOf: typeof Agent): Agent {
    return (this.#agent ??= new AgentOf({
      connections: CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: Math.max(1, this.#options.keepaliveMs),
      // A server that says how long it keeps a connection is believed, up to that.
      keepAliveMaxTimeout: Math.max(1, this.#options.keepaliveMs),
      headersTimeout: this.#options.readTimeoutMs,
      bodyTimeout: this.#options.readTimeoutMs,
      connect: {
        timeout: this.#options.connectTimeoutMs,
        lookup: this.#options.lookup,
        rejectUnauthorized: this.#options.isVerified,
        ...(this.#options.trusted !== null && { ca: this.#options.trusted }),
      },
    }))
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A stray '%' stands for itself.
    return text
  }
}
