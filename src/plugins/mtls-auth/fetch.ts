/** Documents of certificate authorities: answers of OCSP, lists of what is revoked. */
import type { LookupFunction } from 'node:net'
import type { Agent } from 'undici'
import type { Fetch } from './revocation.ts'

/** Lists of large authorities have some megabytes. */
const BYTES_MAX = 16 * 1024 * 1024

export interface FetchOptions {
  /** For a whole answer. */
  readonly timeoutMs: number
  readonly trusted: string | null
  readonly lookup: LookupFunction
}

export class Fetcher {
  readonly #options: FetchOptions
  #agent: Agent | null = null

  constructor(options: FetchOptions) {
    this.#options = options
  }

  readonly fetch: Fetch = async (url, body) => {
    const { timeoutMs, trusted, lookup } = this.#options
    const { Agent, request } = await import('undici')
    this.#agent ??= new Agent({
      connections: 8,
      connect: { timeout: timeoutMs, lookup, ...(trusted !== null && { ca: trusted }) },
    })
    const response = await request(url, {
      dispatcher: this.#agent,
      method: body === null ? 'GET' : 'POST',
      headers: body === null ? {} : { 'content-type': 'application/ocsp-request' },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    })
    const parts: Buffer[] = []
    let length = 0
    for await (const part of response.body as AsyncIterable<Buffer>) {
      length += part.length
      if (length > BYTES_MAX) throw new RangeError(`${url}: more than ${BYTES_MAX} bytes`)
      parts.push(part)
    }
    if (response.statusCode !== 200) throw new Error(`${url}: status ${response.statusCode}`)
    return Buffer.concat(parts)
  }

  close(): void {
    void this.#agent?.destroy()
  }
}
