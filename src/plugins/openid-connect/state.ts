import type { EntityReader, Exchange, Exit, FieldName, PluginLog, RuntimeValues } from '#pdk'
import type { AnonymousConsumer } from '#pdk/authentication.ts'
import type { ClaimHeader } from '../identity/claim-headers.ts'
import type { Requirement } from '../identity/claims.ts'
import type { ClientAuthMethod, ClientIdentity } from '../identity/client-auth.ts'
import type { ProviderClient } from '../identity/provider-client.ts'
import type { TokenAnswers } from '../identity/token-answers.ts'
import type { CookiesOut } from './cookies-out.ts'
import type { EndedLogins } from './ended-logins.ts'
import type { PendingLogins } from './pending-logins.ts'
import type { Provider } from './provider.ts'
import type { Config } from './schema.ts'
import type { Sessions } from './sessions.ts'
import type { TokenEndpoint } from './token-endpoint.ts'
import type { TokenVerifier } from './verify.ts'

/** What a configuration of openid-connect is prepared to. */
export interface State {
  readonly config: Config
  readonly methods: ReadonlySet<string>
  readonly entities: EntityReader
  readonly runtime: RuntimeValues
  readonly log: PluginLog
  readonly client: ProviderClient
  /** Who the gateway is at the provider; null for one that only takes tokens. */
  readonly identity: ClientIdentity | null
  readonly authMethod: ClientAuthMethod | null
  /** The one that browsers log in at. */
  readonly provider: Provider
  /** Those whose tokens count, by issuer without a slash at its end. */
  readonly trusted: ReadonlyMap<string, Provider>
  readonly verifier: TokenVerifier
  readonly tokens: TokenEndpoint
  readonly introspected: TokenAnswers
  readonly userInfos: TokenAnswers
  /** Tokens of clients that show their secret, by its digest. */
  readonly clientTokens: TokenAnswers
  readonly cookies: CookiesOut
  readonly pending: PendingLogins
  readonly sessions: Sessions
  /** Null where no provider tells of logouts. */
  readonly ended: EndedLogins | null
  readonly requirements: readonly Requirement[]
  readonly claimHeaders: readonly ClaimHeader[]
  readonly tokenHeaders: TokenHeaders
  readonly anonymous: AnonymousConsumer
  /** Whether the log has said that the provider can't be asked. */
  isFailing: boolean
}

/** What else the upstream is told. */
export interface TokenHeaders {
  readonly accessToken: { readonly field: FieldName; readonly isBearer: boolean } | null
  readonly idToken: FieldName | null
  readonly userInfo: FieldName | null
  readonly introspection: FieldName | null
}

/** Nobody passes because the provider can't be asked, also not as the anonymous consumer. */
export function failed(exchange: Exchange, state: State, problem: string): Exit {
  if (!state.isFailing)
    state.log.error({ issuer: state.config.issuer, problem }, 'the identity provider cannot be asked')
  state.isFailing = true
  return exchange.fail(503, 'Service unavailable', { headers: { 'Retry-After': '5' } })
}
