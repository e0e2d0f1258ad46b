/** One identity provider: what it says of itself, fetched when first needed, and its keys. */
import type { ProviderAnswer, ProviderClient } from '../identity/provider-client.ts'
import { KeySet } from './key-set.ts'
import { discoveryUrl, parseMetadata, type Metadata } from './metadata.ts'

export interface ProviderOptions {
  readonly issuer: string
  readonly client: ProviderClient
  /** No two fetches of the document or of the keys begin within it. */
  readonly rediscoveryMs: number
  /** Further sets of keys that count for this issuer. */
  readonly extraKeys: readonly URL[]
  /** Endpoints that the operator names win over the document's. */
  readonly endpoints: Partial<Metadata>
}

export type Discovered = Metadata | { readonly problem: string }

/** The document is fetched again after this time, so that moved endpoints are found. */
const FRESH_MS = 3_600_000
/** A failure is not tried again within it. */
const RETRY_MS = 1000

export class Provider {
  readonly issuer: string
  readonly keys: KeySet
  readonly #options: ProviderOptions
  #metadata: Metadata | null = null
  #problem = ''
  #fetchedAtMs = -Infinity
  #triedAtMs = -Infinity
  #fetching: Promise<Discovered> | null = null

  constructor(options: ProviderOptions) {
    this.issuer = options.issuer
    this.#options = options
    this.keys = new KeySet((nowMs) => this.#fetchKeys(nowMs), options.rediscoveryMs)
  }

  /** At once when it is known. A document that can't be renewed stays; without any there is the problem. */
  metadata(nowMs: number): Discovered | Promise<Discovered> {
    if (this.#metadata !== null) {
      if (nowMs - this.#fetchedAtMs > FRESH_MS && this.#mayFetch(nowMs, this.#options.rediscoveryMs))
        void this.#fetch(nowMs)
      return this.#metadata
    }
    if (this.#fetching !== null) return this.#fetching
    return this.#mayFetch(nowMs, RETRY_MS) ? this.#fetch(nowMs) : { problem: this.#problem }
  }

  #mayFetch(nowMs: number, intervalMs: number): boolean {
    return this.#fetching === null && nowMs - this.#triedAtMs >= intervalMs
  }

  #fetch(nowMs: number): Promise<Discovered> {
    this.#triedAtMs = nowMs
    const fetching = this.#take(nowMs).finally(() => {
      this.#fetching = null
    })
    this.#fetching = fetching
    return fetching
  }

  async #take(nowMs: number): Promise<Discovered> {
    const { client, issuer, endpoints } = this.#options
    const answer = await client.get('discovery', discoveryUrl(issuer))
    const found: Discovered =
      answer.is === 'ok'
        ? parseMetadata(answer.json, issuer)
        : { problem: answer.is === 'failed' ? answer.problem : `the discovery document was refused: ${answer.status}` }
    if ('problem' in found) {
      this.#problem = found.problem
      return this.#metadata ?? found
    }
    this.#fetchedAtMs = nowMs
    return (this.#metadata = { ...found, ...endpoints })
  }

  async #fetchKeys(nowMs: number): Promise<readonly ProviderAnswer[]> {
    const metadata = await this.metadata(nowMs)
    if ('problem' in metadata) return [{ is: 'failed', problem: metadata.problem }]
    const { client, extraKeys } = this.#options
    return Promise.all([metadata.jwksUri, ...extraKeys].map((url) => client.get('keys', url)))
  }
}
