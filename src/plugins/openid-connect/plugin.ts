/**
 * OpenID Connect: takes tokens of an identity provider (resource server), and logs browsers in at it (relying party), with the
 * configuration of Kong's plugin of that name.
 */
import { definePlugin, FieldName, type Exchange, type PluginTools } from '#pdk'
import { AnonymousConsumer, type Outcome } from '#pdk/authentication.ts'
import { HttpAsker } from '#pdk/ask-http.ts'
import { TextSeal } from '#pdk/text-seal.ts'
import { findBearerToken } from '../identity/bearer-token.ts'
import { claimHeaders } from '../identity/claim-headers.ts'
import { requirementOf } from '../identity/claims.ts'
import type { ClientIdentity } from '../identity/client-auth.ts'
import { ProviderClient } from '../identity/provider-client.ts'
import { TokenAnswers } from '../identity/token-answers.ts'
import { clearHeaders } from './admit.ts'
import { withBrowser } from './browser.ts'
import { cookieRules } from './cookie-rules.ts'
import { CookiesOut } from './cookies-out.ts'
import { EndedLogins } from './ended-logins.ts'
import { providerLogout } from './logout.ts'
import type { Metadata } from './metadata.ts'
import { PendingLogins } from './pending-logins.ts'
import { Provider } from './provider.ts'
import { refusalOf } from './refuse-config.ts'
import { refuseToken } from './refusal.ts'
import { schema, type Config } from './schema.ts'
import { Sessions } from './sessions.ts'
import { basicCredentials, withClient, withToken } from './shown-token.ts'
import type { State, TokenHeaders } from './state.ts'
import { TokenEndpoint } from './token-endpoint.ts'
import { TokenVerifier } from './verify.ts'

/** Discovery documents and sets of keys have some kilobytes. */
const ANSWER_BYTES_MAX = 1024 * 1024
const CONNECTIONS = 16
const KEEPALIVE_MS = 60_000

export const openidConnect = definePlugin({
  schema,
  refuse: refusalOf,
  prepare: stateOf,

  access(exchange, state): Outcome {
    // Also of requests that another plugin has let in: nobody but this one may say these.
    clearHeaders(exchange, state)
    if (!state.config.run_on_preflight && exchange.request.method === 'OPTIONS') return
    if (state.anonymous.isSpared(exchange)) return
    if (state.ended !== null) {
      const told = providerLogout(exchange, state)
      if (told !== null) return told
    }
    return authenticate(exchange, state)
  },

  responseHeaders(exchange, state) {
    state.cookies.write(exchange)
  },

  close({ client }) {
    client.close()
  },
})

/** What a request shows by itself comes before what a browser adds to it. */
function authenticate(exchange: Exchange, state: State): Outcome {
  const { config, methods } = state
  if (methods.has('bearer') || methods.has('introspection') || methods.has('userinfo')) {
    const found = findBearerToken(exchange, config.bearer_token_param_type, config.bearer_token_cookie_name)
    if (found === 'malformed') return refuseToken(exchange, state, 'several tokens, or none that could be one')
    if (found !== null) return withToken(exchange, state, found)
  }
  const client = methods.has('client_credentials') ? basicCredentials(exchange) : null
  return client === null ? withBrowser(exchange, state) : withClient(exchange, state, client)
}

function stateOf(config: Config, tools: PluginTools): State {
  const { runtime, metrics, lookup, trusted, log, entities } = tools
  const client = new ProviderClient(
    new HttpAsker({
      timeoutMs: config.timeout,
      connections: CONNECTIONS,
      keepaliveMs: config.keepalive ? KEEPALIVE_MS : 1,
      isVerified: config.ssl_verify,
      trusted,
      lookup,
      answerBytesMax: ANSWER_BYTES_MAX,
    }),
    metrics,
    schema.name,
  )
  const identity = identityOf(config)
  const provider = new Provider({ ...providerOptions(config, client), issuer: config.issuer })
  const cookies = new CookiesOut()
  const methods = new Set<string>(config.auth_methods)
  // Without a client nobody can log in; tokens can be shown all the same.
  if (identity === null) for (const name of ['authorization_code', 'session']) methods.delete(name)
  const secret = config.session_secret ?? ''
  const ttlS = config.cache_ttl
  return {
    config,
    methods,
    entities,
    runtime,
    log,
    client,
    identity,
    authMethod: config.client_auth?.[0] ?? null,
    provider,
    trusted: trustedProviders(config, provider, client),
    verifier: new TokenVerifier({
      leewayS: config.leeway,
      hmacSecret: config.enable_hs_signatures ? (config.client_secret?.[0] ?? null) : null,
    }),
    tokens: new TokenEndpoint({
      client,
      runtime,
      identity,
      authMethod: config.client_auth?.[0] ?? null,
      parameters: pairs(config.token_post_args_names, config.token_post_args_values),
      timeoutMs: config.timeout,
    }),
    introspected: new TokenAnswers(config.cache_introspection ? ttlS : 0),
    userInfos: new TokenAnswers(ttlS),
    clientTokens: new TokenAnswers(ttlS),
    cookies,
    pending: new PendingLogins(
      new TextSeal(secret, `openid-connect login ${config.issuer}`),
      cookieRules({
        name: config.authorization_cookie_name,
        path: config.authorization_cookie_path,
        domain: config.authorization_cookie_domain,
        // The provider sends the browser back from its own site.
        sameSite: config.authorization_cookie_same_site === 'Strict' ? 'Lax' : config.authorization_cookie_same_site,
        isHttpOnly: config.authorization_cookie_http_only,
        isSecure: config.authorization_cookie_secure,
      }),
      cookies,
      config.authorization_rolling_timeout * 1000,
    ),
    sessions: new Sessions({
      seal: new TextSeal(secret, `openid-connect session ${config.issuer}`),
      rules: cookieRules({
        name: config.session_cookie_name,
        path: config.session_cookie_path,
        domain: config.session_cookie_domain,
        sameSite: config.session_cookie_same_site,
        isHttpOnly: config.session_cookie_http_only,
        isSecure: config.session_cookie_secure,
      }),
      out: cookies,
      timeouts: {
        idlingMs: config.session_idling_timeout * 1000,
        rollingMs: config.session_rolling_timeout * 1000,
        absoluteMs: config.session_absolute_timeout * 1000,
      },
      audience: `${config.issuer} ${config.session_audience}`,
      store: config.session_storage === 'kong' ? runtime : null,
    }),
    ended:
      config.frontchannel_logout_path === null && config.backchannel_logout_path === null
        ? null
        : new EndedLogins(runtime, config.session_absolute_timeout * 1000),
    requirements: [
      requirementOf(config.audience_required, config.audience_claim, 'aud'),
      requirementOf(config.scopes_required, config.scopes_claim, 'scope'),
      requirementOf(config.groups_required, config.groups_claim, 'groups'),
      requirementOf(config.roles_required, config.roles_claim, 'roles'),
    ].filter((one) => one !== null),
    claimHeaders: claimHeaders(config.upstream_headers_claims, config.upstream_headers_names),
    tokenHeaders: tokenHeadersOf(config),
    anonymous: new AnonymousConsumer(config.anonymous, tools),
    isFailing: false,
  }
}

function identityOf({ client_id, client_secret, client_jwk, client_alg }: Config): ClientIdentity | null {
  const id = client_id?.[0]
  if (id === undefined) return null
  const key = client_jwk?.[0]
  return {
    id,
    secret: client_secret?.[0] ?? null,
    key: key === undefined ? null : Object.fromEntries(Object.entries(key).filter(([, value]) => value !== null)),
    algorithm: client_alg?.[0] ?? null,
  }
}

function providerOptions(config: Config, client: ProviderClient) {
  const named: readonly (readonly [keyof Metadata, string | null])[] = [
    ['authorizationEndpoint', config.authorization_endpoint],
    ['tokenEndpoint', config.token_endpoint],
    ['introspectionEndpoint', config.introspection_endpoint],
    ['userinfoEndpoint', config.userinfo_endpoint],
    ['revocationEndpoint', config.revocation_endpoint],
    ['endSessionEndpoint', config.end_session_endpoint],
  ]
  const endpoints = named.flatMap(([name, url]) => (url === null ? [] : [[name, new URL(url)] as const]))
  return {
    client,
    rediscoveryMs: config.rediscovery_lifetime * 1000,
    extraKeys: (config.extra_jwks_uris ?? []).map((url) => new URL(url)),
    endpoints: Object.fromEntries(endpoints) as Partial<Metadata>,
  }
}

/** Each issuer's tokens are held against its own keys only: none can speak for another. */
function trustedProviders(config: Config, main: Provider, client: ProviderClient): ReadonlyMap<string, Provider> {
  const nameOf = (issuer: string) => issuer.replace(/\/\.well-known\/openid-configuration$/, '').replace(/\/$/, '')
  const issuers = config.issuers_allowed ?? [config.issuer]
  const { rediscoveryMs } = providerOptions(config, client)
  return new Map(
    issuers.map((issuer) => [
      nameOf(issuer),
      nameOf(issuer) === nameOf(config.issuer)
        ? main
        : new Provider({ issuer, client, rediscoveryMs, extraKeys: [], endpoints: {} }),
    ]),
  )
}

/** As Kong writes it: `authorization:bearer` is a name and the scheme before the token. */
function tokenHeadersOf(config: Config): TokenHeaders {
  const [name = '', scheme] = (config.upstream_access_token_header ?? '').split(':')
  const field = (text: string | null) => (text === null ? null : new FieldName(text))
  return {
    accessToken:
      name === '' ? null : { field: new FieldName(titled(name)), isBearer: scheme?.toLowerCase() === 'bearer' },
    idToken: field(config.upstream_id_token_header),
    userInfo: field(config.upstream_user_info_header),
    introspection: field(config.upstream_introspection_header),
  }
}

function titled(name: string): string {
  return name === 'authorization' ? 'Authorization' : name
}

function pairs(names: readonly string[] | null, values: readonly string[] | null): Record<string, string> {
  return Object.fromEntries((names ?? []).map((name, at) => [name, values?.[at] ?? '']))
}
