/** Calls to the endpoints of an identity provider, counted, with JSON as their answers. */
import type { CallOutcome, MetricsSink } from '#pdk'
import type { HttpAsker, HttpQuestion } from '#pdk/ask-http.ts'
import { parseClaims, type Claims } from './claims.ts'

/** Names of calls in `meridian_plugin_calls_total`. */
export type ProviderCall = 'discovery' | 'keys' | 'token' | 'introspection' | 'userinfo' | 'revocation'

/** `failed`: there is no answer that could be trusted to say yes or no. */
export type ProviderAnswer =
  | { readonly is: 'ok'; readonly json: Claims }
  | { readonly is: 'refused'; readonly status: number; readonly error: string }
  | { readonly is: 'failed'; readonly problem: string }

export class ProviderClient {
  readonly #asker: HttpAsker
  readonly #metrics: MetricsSink
  readonly #plugin: string

  constructor(asker: HttpAsker, metrics: MetricsSink, plugin: string) {
    this.#asker = asker
    this.#metrics = metrics
    this.#plugin = plugin
  }

  get(call: ProviderCall, url: URL, headers: Readonly<Record<string, string>> = {}): Promise<ProviderAnswer> {
    return this.#ask(call, url, { method: 'GET', headers: { Accept: 'application/json', ...headers }, body: null })
  }

  postForm(
    call: ProviderCall,
    url: URL,
    parameters: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<ProviderAnswer> {
    return this.#ask(call, url, {
      method: 'POST',
      headers: { Accept: 'application/json', 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(parameters).toString(),
    })
  }

  close(): void {
    this.#asker.close()
  }

  async #ask(call: ProviderCall, url: URL, question: HttpQuestion): Promise<ProviderAnswer> {
    const answer = await this.#asker.ask(url, question)
    const judged: ProviderAnswer =
      'problem' in answer ? { is: 'failed', problem: answer.problem } : judge(call, url, answer.status, answer.text)
    this.#metrics.called(this.#plugin, call, OUTCOMES[judged.is])
    return judged
  }
}

const OUTCOMES: Readonly<Record<ProviderAnswer['is'], CallOutcome>> = {
  ok: 'answered',
  refused: 'refused',
  failed: 'failed',
}

/** RFC 6749 5.2: 400 and 401 are the provider's 'no'. Anything else that is no 200 says nothing of who asks. */
function judge(call: ProviderCall, url: URL, status: number, text: string): ProviderAnswer {
  const json = parseClaims(text)
  if (status === 200) {
    if (json !== null) return { is: 'ok', json }
    // RFC 7009 2.2: the body of an answer to a revocation has no meaning.
    return call === 'revocation'
      ? { is: 'ok', json: {} }
      : { is: 'failed', problem: `${url.host}: expected a JSON object` }
  }
  const error = json?.['error']
  if (status === 400 || status === 401 || status === 403)
    return { is: 'refused', status, error: typeof error === 'string' ? error.slice(0, 100) : String(status) }
  return { is: 'failed', problem: `${url.host} answered ${status}` }
}
