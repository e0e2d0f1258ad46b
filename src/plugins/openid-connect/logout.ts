/** Ends of logins: asked for by the browser (OpenID Connect RP-Initiated Logout 1.0), or told by the provider in two ways. */
import { storeFailure, type Exchange, type Exit } from '#pdk'
import { findArg, parseArgs } from '#pdk/form.ts'
import { textOf } from '../identity/claims.ts'
import { isLogout as isAskedFor } from '../session/logout.ts'
import { factsOf } from './login-subject.ts'
import type { LiveSession } from './sessions.ts'
import { failed, type State } from './state.ts'
import { isLogoutToken } from './verify.ts'

const LOGOUT_BODY_BYTES = 64 * 1024
/** A logout token may be so old (Back-Channel Logout 2.6, step 10 leaves it to us), and is remembered for so long. */
const LOGOUT_TOKEN_MS = 300_000

export function isLogout(exchange: Exchange, { config }: State): boolean | Promise<boolean> {
  const { logout_uri_suffix: suffix, logout_query_arg: queryArg, logout_post_arg: bodyField } = config
  if (!(config.logout_methods as readonly string[]).includes(exchange.request.method)) return false
  if (suffix !== null && exchange.request.path.endsWith(suffix)) return true
  if (queryArg === null && bodyField === null) return false
  return isAskedFor(exchange, { methods: config.logout_methods, queryArg, bodyField })
}

/** Ends the session here, then sends the browser to the provider to end it there. */
export async function logOut(exchange: Exchange, state: State, live: LiveSession): Promise<Exit> {
  const { config } = state
  const { login } = live
  try {
    await state.sessions.end(exchange, live)
  } catch (error) {
    return storeFailure(exchange, error)
  }
  const metadata = await state.provider.metadata(exchange.now)
  const back = config.logout_redirect_uri?.[0] ?? null
  if ('problem' in metadata) {
    // Here it is over, which is what was asked for.
    state.log.warn({ problem: metadata.problem }, 'the identity provider was not told of a logout')
    return leave(exchange, back)
  }
  if (config.logout_revoke) {
    const { refreshToken, accessToken } = login
    if (config.logout_revoke_refresh_token && refreshToken !== null)
      await state.tokens.revoke(metadata, refreshToken, 'refresh_token', exchange.now)
    if (config.logout_revoke_access_token)
      await state.tokens.revoke(metadata, accessToken, 'access_token', exchange.now)
  }
  if (metadata.endSessionEndpoint === null) return leave(exchange, back)
  const url = new URL(metadata.endSessionEndpoint)
  url.searchParams.set('id_token_hint', login.idToken)
  url.searchParams.set('client_id', state.identity!.id)
  if (back !== null) url.searchParams.set('post_logout_redirect_uri', back)
  return leave(exchange, url.href)
}

function leave(exchange: Exchange, location: string | null): Exit {
  const headers = { 'Cache-Control': 'no-store' }
  return location === null
    ? exchange.exit(200, null, { headers })
    : exchange.exit(302, null, { headers: { ...headers, Location: location } })
}

/** What the provider tells the gateway itself; null when the request is something else. */
export function providerLogout(exchange: Exchange, state: State): Promise<Exit> | Exit | null {
  const { frontchannel_logout_path: front, backchannel_logout_path: back } = state.config
  const { request } = exchange
  if (back !== null && request.path === back)
    return request.method === 'POST' ? backChannel(exchange, state) : notAllowed(exchange, 'POST')
  if (front !== null && request.path === front)
    return request.method === 'GET' ? frontChannel(exchange, state) : notAllowed(exchange, 'GET')
  return null
}

/** In a frame of the provider's page, where browsers send no cookies: the provider's session says whose login it is. */
async function frontChannel(exchange: Exchange, state: State): Promise<Exit> {
  const { query } = exchange.request
  const [iss, sid] = [findArg(query, 'iss'), findArg(query, 'sid')]
  const metadata = await state.provider.metadata(exchange.now)
  if ('problem' in metadata) return failed(exchange, state, metadata.problem)
  if (typeof sid !== 'string' || iss !== metadata.issuer) return told(exchange, 400, 'expected iss and sid of a login')
  try {
    await state.ended!.endSession(metadata.issuer, sid, exchange.now)
    const live = await state.sessions.find(exchange)
    if (live !== null && factsOf(live.login).sid === sid) await state.sessions.end(exchange, live)
  } catch (error) {
    return storeFailure(exchange, error)
  }
  return told(exchange, 200, null)
}

async function backChannel(exchange: Exchange, state: State): Promise<Exit> {
  const bytes = await exchange.request.body.read(LOGOUT_BODY_BYTES)
  const values = Buffer.isBuffer(bytes) ? parseArgs(bytes.toString('latin1')).get('logout_token') : undefined
  const [text] = values ?? []
  if (values?.length !== 1 || typeof text !== 'string') return told(exchange, 400, 'expected one logout_token')
  const { provider, verifier } = state
  // A logout token need not end by itself (2.4 of the version from before the final one): it has to be new then.
  const verified = await verifier.verify(
    text,
    provider,
    { audience: state.identity!.id, needsEnd: false },
    exchange.now,
  )
  if (verified.is === 'failed') return failed(exchange, state, verified.problem)
  if (verified.is === 'invalid') return told(exchange, 400, verified.reason)
  const { iss, sid, sub, jti, iat, nonce } = verified.claims
  const issuer = String(iss)
  const [session, subject, id] = [textOf(sid), textOf(sub), textOf(jti)]
  // With a nonce it is an ID token, which a browser may have seen (2.6, step 7).
  if (!isLogoutToken(verified.claims) || nonce !== undefined || (session === null && subject === null) || id === null)
    return told(exchange, 400, 'expected a logout token')
  const { leeway } = state.config
  if (typeof iat !== 'number' || Math.abs(exchange.now - iat * 1000) > LOGOUT_TOKEN_MS + leeway * 1000)
    return told(exchange, 400, 'expected a new logout token')
  try {
    if (await state.ended!.isSpent(issuer, id, 2 * (LOGOUT_TOKEN_MS + leeway * 1000)))
      return told(exchange, 400, 'this logout token was used before')
    if (session !== null) await state.ended!.endSession(issuer, session, exchange.now)
    else await state.ended!.endSubject(issuer, subject!, exchange.now)
  } catch (error) {
    return storeFailure(exchange, error)
  }
  return told(exchange, 200, null)
}

function told(exchange: Exchange, status: number, problem: string | null): Exit {
  const body = problem === null ? null : { error: 'invalid_request', error_description: problem }
  return exchange.exit(status, body, { headers: { 'Cache-Control': 'no-store' } })
}

function notAllowed(exchange: Exchange, method: string): Exit {
  return exchange.exit(405, null, { headers: { Allow: method } })
}
