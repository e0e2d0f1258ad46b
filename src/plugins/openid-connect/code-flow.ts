/** Logging a browser in: authorization code flow with PKCE, state and nonce (OpenID Connect Core 3.1, RFC 6749 4.1, RFC 7636, RFC 9207). */
import { createHash } from 'node:crypto'
import { storeFailure, type Exchange, type Exit } from '#pdk'
import { findArg } from '#pdk/form.ts'
import { textOf, type Claims } from '../identity/claims.ts'
import { admit } from './admit.ts'
import { subjectOf } from './login-subject.ts'
import type { Metadata } from './metadata.ts'
import type { PendingLogin } from './pending-logins.ts'
import { refuseLogin } from './refusal.ts'
import { addressOf, targetOf, withoutAnswer } from './request-address.ts'
import type { LiveSession, Login } from './sessions.ts'
import { askUserInfo } from './shown-token.ts'
import { failed, type State } from './state.ts'
import type { Tokens } from './token-endpoint.ts'

/** Sends the browser to the provider. */
export async function beginLogin(exchange: Exchange, state: State): Promise<Exit> {
  const { config, provider } = state
  const metadata = await provider.metadata(exchange.now)
  if ('problem' in metadata) return failed(exchange, state, metadata.problem)
  if (metadata.authorizationEndpoint === null)
    return failed(exchange, state, 'the provider has no authorization_endpoint')
  const begun = state.pending.begin(exchange, targetOf(exchange), config.redirect_uri?.[0] ?? addressOf(exchange))
  const url = new URL(metadata.authorizationEndpoint)
  const values = config.authorization_query_args_values
  for (const [at, name] of (config.authorization_query_args_names ?? []).entries())
    url.searchParams.set(name, values?.[at] ?? '')
  const parameters: Readonly<Record<string, string>> = {
    response_type: 'code',
    client_id: state.identity!.id,
    redirect_uri: begun.redirectUri,
    scope: config.scopes.join(' '),
    state: begun.state,
    nonce: begun.nonce,
    code_challenge: createHash('sha256').update(begun.verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(config.audience !== null && { audience: config.audience.join(' ') }),
    ...(config.max_age !== null && { max_age: String(config.max_age) }),
  }
  // After the operator's, so that none of these can be lost.
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return redirect(exchange, url.href)
}

/** Whether the provider may have sent this request: where it belongs, and with what it carries. */
export function isAnswer({ request }: Exchange, { config }: State): boolean {
  if (request.query === null || findArg(request.query, 'state') === null) return false
  if (findArg(request.query, 'code') === null && findArg(request.query, 'error') === null) return false
  const uri = config.redirect_uri?.[0]
  return uri === undefined || new URL(uri).pathname === request.path
}

/** The login of this browser that the answer is for; null when it has begun none, so that somebody else has. */
export function pendingOf(exchange: Exchange, state: State): PendingLogin | null {
  const value = findArg(exchange.request.query, 'state')
  return typeof value === 'string' ? state.pending.find(exchange, value) : null
}

/** Undefined lets the request on to the upstream, logged in. */
export async function finishLogin(
  exchange: Exchange,
  state: State,
  begun: PendingLogin,
  before: LiveSession | null,
): Promise<void | Exit> {
  state.pending.finish(exchange, begun.state)
  const metadata = await state.provider.metadata(exchange.now)
  if ('problem' in metadata) return failed(exchange, state, metadata.problem)
  const code = codeOf(exchange, metadata)
  if ('problem' in code) return refuseLogin(exchange, state, code.problem)
  try {
    // The cookie could be shown again; what it began ends once.
    const keptMs = state.config.authorization_rolling_timeout * 1000
    if (!(await state.runtime.putIfAbsent('states', begun.state, true, keptMs)))
      return refuseLogin(exchange, state, 'the state was used before')
    const { redirectUri, verifier } = begun
    const form = {
      grant_type: 'authorization_code',
      code: code.text,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }
    const granted = await state.tokens.grant(metadata, form, exchange.now)
    if (granted.is === 'failed') return failed(exchange, state, granted.problem)
    if (granted.is === 'refused') return refuseLogin(exchange, state, `the code was refused: ${granted.error}`)
    return await withTokens(exchange, state, begun, granted.tokens, before)
  } catch (error) {
    return storeFailure(exchange, error)
  }
}

function codeOf(
  { request: { query } }: Exchange,
  { issuer, namesItself }: Metadata,
): { text: string } | { problem: string } {
  const iss = findArg(query, 'iss')
  // RFC 9207 2.4: an answer of another provider than the one that was asked.
  if (iss !== null ? iss !== issuer : namesItself) return { problem: 'the answer is of another issuer' }
  const error = findArg(query, 'error')
  if (error !== null) return { problem: `the provider said ${String(error).slice(0, 100)}` }
  const code = findArg(query, 'code')
  return typeof code === 'string' && code !== '' ? { text: code } : { problem: 'there is no single code' }
}

async function withTokens(
  exchange: Exchange,
  state: State,
  begun: PendingLogin,
  tokens: Tokens,
  before: LiveSession | null,
): Promise<void | Exit> {
  const { idToken, accessToken } = tokens
  if (idToken === null) return refuseLogin(exchange, state, 'the provider gave no id_token')
  const clientId = state.identity!.id
  const verified = await state.verifier.verify(idToken, state.provider, { audience: clientId }, exchange.now)
  if (verified.is === 'failed') return failed(exchange, state, verified.problem)
  if (verified.is === 'invalid') return refuseLogin(exchange, state, `id_token: ${verified.reason}`)
  const problem = problemOf(verified.claims, begun, clientId, state, exchange.now)
  if (problem !== null) return refuseLogin(exchange, state, `id_token: ${problem}`)
  let userInfo: Claims | null = null
  if (state.config.search_user_info) {
    const answer = await askUserInfo(state, accessToken, exchange.now)
    if (answer.is === 'failed') return failed(exchange, state, answer.problem)
    // OpenID Connect Core 5.3.2: else it may be about somebody else.
    if (answer.is === 'inactive' || answer.claims['sub'] !== verified.claims['sub'])
      return refuseLogin(exchange, state, 'userinfo: another sub than in the id_token')
    userInfo = answer.claims
  }
  return withLogin(exchange, state, begun, loginOf(tokens, idToken, userInfo, exchange.now), before)
}

/** OpenID Connect Core 3.1.3.7, what a signature does not say. */
function problemOf(
  claims: Claims,
  begun: PendingLogin,
  clientId: string,
  { config }: State,
  nowMs: number,
): string | null {
  if (claims['nonce'] !== begun.nonce) return 'another nonce than was asked for'
  if (textOf(claims['sub']) === null) return 'no sub'
  const { aud, azp } = claims
  if (azp !== undefined ? azp !== clientId : Array.isArray(aud) && aud.length > 1) return 'for another azp'
  if (config.max_age !== null) {
    const at = claims['auth_time']
    if (typeof at !== 'number' || nowMs / 1000 - at > config.max_age + config.leeway) return 'a login that is too old'
  }
  return null
}

export function loginOf(tokens: Tokens, idToken: string, userInfo: Claims | null, nowMs: number): Login {
  const { accessToken, refreshToken, expiresInS, scope } = tokens
  return {
    idToken,
    accessToken,
    refreshToken,
    expiresAtMs: expiresInS === null ? null : nowMs + expiresInS * 1000,
    scope,
    userInfo,
  }
}

async function withLogin(
  exchange: Exchange,
  state: State,
  begun: PendingLogin,
  login: Login,
  before: LiveSession | null,
): Promise<void | Exit> {
  const refused = await admit(exchange, state, subjectOf(login))
  // Who may not in gets no session, so that he can log in as somebody else.
  if (refused) return refused
  if (state.methods.has('session') && !(await state.sessions.begin(exchange, login, before))) {
    state.log.error({}, "a login's tokens do not fit in cookies; session_storage = kong would do")
    return exchange.fail(500, 'An unexpected error occurred')
  }
  const { login_action: action, login_redirect_uri: elsewhere } = state.config
  if (action === 'redirect') return redirect(exchange, elsewhere?.[0] ?? begun.target)
  if (action === 'response') return tokensAnswer(exchange, state, login)
  const { request } = exchange
  request.query = withoutAnswer(request.query)
}

function tokensAnswer(exchange: Exchange, { config }: State, login: Login): Exit {
  const asked = new Set(config.login_tokens)
  const body: Record<string, string> = {}
  if (asked.has('id_token') || asked.has('tokens')) body['id_token'] = login.idToken
  if (asked.has('access_token') || asked.has('tokens')) body['access_token'] = login.accessToken
  if (login.refreshToken !== null && (asked.has('refresh_token') || asked.has('tokens')))
    body['refresh_token'] = login.refreshToken
  return exchange.exit(200, body, { headers: { 'Cache-Control': 'no-store' } })
}

function redirect(exchange: Exchange, location: string): Exit {
  return exchange.exit(302, null, { headers: { Location: location, 'Cache-Control': 'no-store' } })
}
