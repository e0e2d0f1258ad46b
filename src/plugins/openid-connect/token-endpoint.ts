/** What the gateway asks of the provider's token endpoint (RFC 6749) and its neighbours, as the client that it is. */
import { setTimeout as delay } from 'node:timers/promises'
import type { RuntimeValues } from '#pdk'
import { proveClient, type ClientAuthMethod, type ClientIdentity, type ClientProof } from '../identity/client-auth.ts'
import type { Claims } from '../identity/claims.ts'
import type { ProviderClient } from '../identity/provider-client.ts'
import type { Metadata } from './metadata.ts'

/** What a grant brought. */
export interface Tokens {
  readonly accessToken: string
  readonly idToken: string | null
  readonly refreshToken: string | null
  readonly expiresInS: number | null
  readonly scope: string | null
}

export type Granted =
  | { readonly is: 'granted'; readonly tokens: Tokens }
  | { readonly is: 'refused'; readonly error: string }
  | { readonly is: 'failed'; readonly problem: string }

export interface TokenEndpointOptions {
  readonly client: ProviderClient
  readonly runtime: RuntimeValues
  readonly identity: ClientIdentity | null
  /** Null: what the provider takes. */
  readonly authMethod: ClientAuthMethod | null
  /** More fields of each question; ours win. */
  readonly parameters: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

/** Requests that still carry the refresh token from before get what it brought. */
const REFRESHED_MS = 60_000
const LOOK_AGAIN_MS = 50
const MOST_REFRESHING = 1000

export class TokenEndpoint {
  readonly #options: TokenEndpointOptions
  readonly #refreshing = new Map<string, Promise<Granted>>()

  constructor(options: TokenEndpointOptions) {
    this.#options = options
  }

  /** @param proof who asks; by default the gateway's own client */
  async grant(
    metadata: Metadata,
    parameters: Readonly<Record<string, string>>,
    nowMs: number,
    proof?: ClientProof,
  ): Promise<Granted> {
    const url = metadata.tokenEndpoint
    if (url === null) return { is: 'failed', problem: 'the provider has no token_endpoint' }
    const { headers, parameters: credentials } = proof ?? (await this.prove(metadata, nowMs))
    const { client, parameters: more } = this.#options
    const answer = await client.postForm('token', url, { ...more, ...parameters, ...credentials }, headers)
    if (answer.is === 'failed') return answer
    // These speak of the gateway's configuration: whoever logs in, it goes wrong.
    if (answer.is === 'refused')
      return proof === undefined &&
        /^(invalid_client|unauthorized_client|unsupported_grant_type|401)$/.test(answer.error)
        ? { is: 'failed', problem: `the provider refused the client: ${answer.error}` }
        : { is: 'refused', error: answer.error }
    const tokens = tokensOf(answer.json)
    return tokens === null
      ? { is: 'failed', problem: `${url.host}: expected an access_token` }
      : { is: 'granted', tokens }
  }

  /**
   * New tokens for a refresh token. A provider may let it count once, and end the login when it comes twice: of all requests, workers
   * and nodes that share a store one asks, and the others get its answer. Rejects when the store can't be asked.
   */
  refresh(metadata: Metadata, refreshToken: string, nowMs: number): Promise<Granted> {
    const refreshing = this.#refreshing.get(refreshToken)
    if (refreshing !== undefined) return refreshing
    if (this.#refreshing.size >= MOST_REFRESHING)
      return Promise.resolve({ is: 'failed', problem: `${MOST_REFRESHING} logins are being refreshed` })
    const asked = this.#refreshOnce(metadata, refreshToken, nowMs).finally(() => this.#refreshing.delete(refreshToken))
    this.#refreshing.set(refreshToken, asked)
    return asked
  }

  /** Says that a token is not needed any more (RFC 7009); a provider that can't be told forgets it in its own time. */
  async revoke(
    metadata: Metadata,
    token: string,
    hint: 'access_token' | 'refresh_token',
    nowMs: number,
  ): Promise<void> {
    if (metadata.revocationEndpoint === null) return
    const { headers, parameters } = await this.prove(metadata, nowMs)
    const form = { token, token_type_hint: hint, ...parameters }
    await this.#options.client.postForm('revocation', metadata.revocationEndpoint, form, headers)
  }

  prove(metadata: Metadata, nowMs: number): Promise<ClientProof> {
    const { identity, authMethod } = this.#options
    if (identity === null) return Promise.resolve({ headers: {}, parameters: {} })
    return proveClient(authMethod ?? chosen(metadata, identity), identity, metadata.issuer, nowMs)
  }

  /** In the name of another client. */
  proveAs(identity: ClientIdentity, metadata: Metadata, nowMs: number): Promise<ClientProof> {
    return proveClient(chosen(metadata, identity), identity, metadata.issuer, nowMs)
  }

  async #refreshOnce(metadata: Metadata, refreshToken: string, nowMs: number): Promise<Granted> {
    const { runtime, timeoutMs } = this.#options
    const done = await runtime.get('refreshed', refreshToken)
    if (done !== undefined) return done as Granted
    const lockMs = timeoutMs + 1000
    if (!(await runtime.putIfAbsent('refreshing', refreshToken, true, lockMs)))
      return this.#awaitOther(refreshToken, lockMs)
    // Another one may have finished between the two looks.
    const meanwhile = await runtime.get('refreshed', refreshToken)
    const granted =
      (meanwhile as Granted | undefined) ??
      (await this.grant(metadata, { grant_type: 'refresh_token', refresh_token: refreshToken }, nowMs))
    if (granted.is !== 'failed') await runtime.put('refreshed', refreshToken, granted, REFRESHED_MS)
    await runtime.delete('refreshing', refreshToken)
    return granted
  }

  async #awaitOther(refreshToken: string, atMostMs: number): Promise<Granted> {
    const { runtime } = this.#options
    for (let waited = 0; waited < atMostMs; waited += LOOK_AGAIN_MS) {
      await delay(LOOK_AGAIN_MS)
      const done = await runtime.get('refreshed', refreshToken)
      if (done !== undefined) return done as Granted
      if ((await runtime.get('refreshing', refreshToken)) === undefined) break
    }
    return { is: 'failed', problem: 'another request could not refresh the tokens' }
  }
}

function chosen({ clientAuthMethods }: Metadata, { secret, key }: ClientIdentity): ClientAuthMethod {
  if (key !== null) return 'private_key_jwt'
  if (secret === null) return 'none'
  // RFC 8414 2: without a list it is client_secret_basic.
  return clientAuthMethods !== null &&
    !clientAuthMethods.includes('client_secret_basic') &&
    clientAuthMethods.includes('client_secret_post')
    ? 'client_secret_post'
    : 'client_secret_basic'
}

function tokensOf(json: Claims): Tokens | null {
  const text = (name: string) => {
    const value = json[name]
    return typeof value === 'string' && value !== '' ? value : null
  }
  const accessToken = text('access_token')
  const seconds = Number(json['expires_in'])
  return accessToken === null
    ? null
    : {
        accessToken,
        idToken: text('id_token'),
        refreshToken: text('refresh_token'),
        expiresInS: json['expires_in'] !== undefined && Number.isFinite(seconds) && seconds >= 0 ? seconds : null,
        scope: text('scope'),
      }
}
