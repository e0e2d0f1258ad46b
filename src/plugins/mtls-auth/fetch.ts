/** Documents of certificate authorities: answers of OCSP, lists of what is revoked. */
import type { PluginTools } from '#pdk'
import { HttpAsker } from '#pdk/ask-http.ts'
import type { Fetch } from './revocation.ts'

/** Lists of large authorities have some megabytes. */
const BYTES_MAX = 16 * 1024 * 1024
const CONNECTIONS = 8
const KEEPALIVE_MS = 4_000

export class Fetcher {
  readonly #asker: HttpAsker

  /** `timeoutMs`: for a whole answer. */
  constructor(timeoutMs: number, { trusted, lookup }: Pick<PluginTools, 'trusted' | 'lookup'>) {
    this.#asker = new HttpAsker({
      timeoutMs,
      connections: CONNECTIONS,
      keepaliveMs: KEEPALIVE_MS,
      isVerified: true,
      trusted,
      lookup,
      answerBytesMax: BYTES_MAX,
    })
  }

  readonly fetch: Fetch = async (url, body) => {
    const answer = await this.#asker.ask(
      new URL(url),
      body === null
        ? { method: 'GET', headers: {}, body }
        : { method: 'POST', headers: { 'content-type': 'application/ocsp-request' }, body },
    )
    if ('problem' in answer) throw new Error(answer.problem)
    if (answer.status !== 200) throw new Error(`${url}: status ${answer.status}`)
    return answer.bytes
  }

  close(): void {
    this.#asker.close()
  }
}
