/** Asks HTTP servers for plugins that need an answer to go on: identity providers, policy servers, certificate authorities. Nothing here rejects. */
import type { Agent, ProxyAgent } from 'undici'
import { agentOptions, requestFailure, tlsOptions, type HttpAgentOptions } from './http-agent.ts'

/** `timeoutMs` is for a whole answer, with connection and TLS; further questions to a server wait within theirs. */
export interface HttpAskerOptions extends Omit<HttpAgentOptions, 'connectTimeoutMs'> {
  /** An answer over this size is none. */
  readonly answerBytesMax: number
  /** An HTTP proxy through which servers are reached (CONNECT); absent for none. */
  readonly proxy?: string | null
}

export interface HttpQuestion {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer | null
}

export interface HttpAnswer {
  readonly status: number
  /** By lower-case name; of repeated ones the first. */
  readonly headers: Readonly<Record<string, string>>
  /** The same with all values of those that are repeated. */
  readonly fields: Readonly<Record<string, string | string[] | undefined>>
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
  #agent: Agent | ProxyAgent | null = null
  #isClosed = false

  constructor(options: HttpAskerOptions) {
    this.#options = options
  }

  /** Any status is an answer; redirects are, too, and never followed: where they lead was decided by somebody else. */
  async ask(url: URL, { method, headers, body }: HttpQuestion): Promise<HttpAnswer | NoAnswer> {
    try {
      // Loading it takes as long as starting a small program: only who asks pays for that.
      const { Agent, ProxyAgent, request } = await import('undici')
      if (this.#isClosed) return { problem: 'closed' }
      const response = await request(url, {
        dispatcher: this.#agentOf(Agent, ProxyAgent),
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
        fields: response.headers,
        bytes,
        get text() {
          return bytes.toString('utf8')
        },
      }
    } catch (error) {
      return { problem: `${url.host} can't be asked: ${requestFailure(error)}` }
    }
  }

  close(): void {
    this.#isClosed = true
    void this.#agent?.destroy()
  }

  #agentOf(AgentOf: typeof Agent, ProxyAgentOf: typeof ProxyAgent): Agent | ProxyAgent {
    const { proxy = null, timeoutMs } = this.#options
    const options = agentOptions({ ...this.#options, connectTimeoutMs: timeoutMs })
    return (this.#agent ??=
      proxy === null
        ? new AgentOf(options)
        : new ProxyAgentOf({ ...options, uri: proxy, requestTls: tlsOptions(this.#options) }))
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
