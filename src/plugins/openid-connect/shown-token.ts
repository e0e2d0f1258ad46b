/** Requests that show an access token, or a client's name and secret. */
import { hash } from 'node:crypto'
import { FieldName, type Exchange } from '#pdk'
import type { Outcome } from '#pdk/authentication.ts'
import { hideBearerToken, type FoundToken } from '../identity/bearer-token.ts'
import { introspect } from '../identity/introspection.ts'
import type { Claims } from '../identity/claims.ts'
import type { TokenAnswer } from '../identity/token-answers.ts'
import { admit } from './admit.ts'
import { refuseToken } from './refusal.ts'
import { failed, type State } from './state.ts'
import { isLogoutToken, unprovenClaims, type Verified } from './verify.ts'

const AUTHORIZATION = new FieldName('Authorization')

/** A JWT is verified here; one that says nothing by itself is asked for. */
export function withToken(exchange: Exchange, state: State, found: FoundToken): Outcome {
  const { methods, config, verifier } = state
  const isVerifiedHere = methods.has('bearer') && !(config.introspect_jwt_tokens && methods.has('introspection'))
  const known = isVerifiedHere ? verifier.recall(found.text, exchange.now) : null
  if (known !== null) return withClaims(exchange, state, found, known)
  const claims = isVerifiedHere ? unprovenClaims(found.text) : null
  if (claims !== null) {
    const provider = state.trusted.get(String(claims['iss']).replace(/\/$/, ''))
    if (provider === undefined) return refuseToken(exchange, state, 'the issuer is not trusted')
    const verified = verifier.verifyShown(found.text, provider, exchange.now)
    return verified.then((one) => withVerified(exchange, state, found, one))
  }
  if (methods.has('introspection')) return withAnswer(exchange, state, found, 'introspection')
  if (methods.has('userinfo')) return withAnswer(exchange, state, found, 'userinfo')
  return refuseToken(exchange, state, 'tokens of this kind are not taken')
}

function withVerified(exchange: Exchange, state: State, found: FoundToken, verified: Verified): Outcome {
  if (verified.is === 'failed') return failed(exchange, state, verified.problem)
  if (verified.is === 'invalid') return refuseToken(exchange, state, verified.reason)
  return withClaims(exchange, state, found, verified.claims)
}

function withClaims(exchange: Exchange, state: State, found: FoundToken, claims: Claims): Outcome {
  // What the provider signed for another use is no access token (RFC 8725 3.12).
  if (isLogoutToken(claims)) return refuseToken(exchange, state, 'a logout token is no access token')
  if (state.config.hide_credentials) hideBearerToken(exchange, found.place)
  return admit(exchange, state, {
    sources: [claims],
    accessToken: found.text,
    idToken: null,
    userInfo: null,
    introspected: null,
  })
}

function withAnswer(exchange: Exchange, state: State, found: FoundToken, by: 'introspection' | 'userinfo'): Outcome {
  const answers = by === 'introspection' ? state.introspected : state.userInfos
  const answer = answers.ask(found.text, exchange.now, () =>
    by === 'introspection'
      ? askIntrospection(state, found.text, exchange.now)
      : askUserInfo(state, found.text, exchange.now),
  )
  const next = (one: TokenAnswer): Outcome => {
    if (one.is === 'failed') return failed(exchange, state, one.problem)
    if (one.is === 'inactive') return refuseToken(exchange, state, 'the token is not active')
    if (state.config.hide_credentials) hideBearerToken(exchange, found.place)
    return admit(exchange, state, {
      sources: [one.claims],
      accessToken: found.text,
      idToken: null,
      userInfo: by === 'userinfo' ? one.claims : null,
      introspected: by === 'introspection' ? one.claims : null,
    })
  }
  return answer instanceof Promise ? answer.then(next) : next(answer)
}

async function askIntrospection(state: State, token: string, nowMs: number): Promise<TokenAnswer> {
  const metadata = await state.provider.metadata(nowMs)
  if ('problem' in metadata) return { is: 'failed', problem: metadata.problem }
  if (metadata.introspectionEndpoint === null)
    return { is: 'failed', problem: 'the provider has no introspection_endpoint' }
  return introspect(state.client, {
    url: metadata.introspectionEndpoint,
    proof: await state.tokens.prove(metadata, nowMs),
    token,
    parameters: { token_type_hint: state.config.introspection_hint },
  })
}

/** What a provider says to who has the token: OpenID Connect Core 5.3. */
export async function askUserInfo(state: State, token: string, nowMs: number): Promise<TokenAnswer> {
  const metadata = await state.provider.metadata(nowMs)
  if ('problem' in metadata) return { is: 'failed', problem: metadata.problem }
  if (metadata.userinfoEndpoint === null) return { is: 'failed', problem: 'the provider has no userinfo_endpoint' }
  const answer = await state.client.get('userinfo', metadata.userinfoEndpoint, { Authorization: `Bearer ${token}` })
  if (answer.is === 'ok') return { is: 'active', claims: answer.json }
  return answer.is === 'refused' ? { is: 'inactive' } : answer
}

/** Name and secret of a client that has not asked for a token itself; null when the request has none. */
export function basicCredentials({ request }: Exchange): { readonly id: string; readonly secret: string } | null {
  const header = AUTHORIZATION.get(request.headers)
  const base64 = header === null ? undefined : /^basic +([A-Za-z0-9+/]+=*)\s*$/i.exec(header)?.[1]
  if (base64 === undefined) return null
  const text = Buffer.from(base64, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 1 ? null : { id: text.slice(0, colon), secret: text.slice(colon + 1) }
}

/** Gets the client a token and goes on with that. Remembered as other answers are; a wrong secret for some seconds. */
export function withClient(exchange: Exchange, state: State, client: { id: string; secret: string }): Outcome {
  const key = hash('sha256', JSON.stringify([client.id, client.secret]), 'base64')
  const answer = state.clientTokens.ask(key, exchange.now, () => askClientToken(state, client, exchange.now))
  const next = (one: TokenAnswer): Outcome => {
    if (one.is === 'failed') return failed(exchange, state, one.problem)
    if (one.is === 'inactive') return refuseToken(exchange, state, 'the client is not known')
    if (state.config.hide_credentials) AUTHORIZATION.remove(exchange.request.headers)
    return withToken(exchange, state, { text: one.claims['token'] as string, place: 'header' })
  }
  return answer instanceof Promise ? answer.then(next) : next(answer)
}

async function askClientToken(
  state: State,
  { id, secret }: { id: string; secret: string },
  nowMs: number,
): Promise<TokenAnswer> {
  const metadata = await state.provider.metadata(nowMs)
  if ('problem' in metadata) return { is: 'failed', problem: metadata.problem }
  const { scopes, audience } = state.config
  const proof = await state.tokens.proveAs({ id, secret, key: null, algorithm: null }, metadata, nowMs)
  // These are about a user, who is not there.
  const asked = scopes.filter((scope) => scope !== 'openid' && scope !== 'offline_access')
  const parameters = {
    grant_type: 'client_credentials',
    ...(asked.length > 0 && { scope: asked.join(' ') }),
    ...(audience !== null && { audience: audience.join(' ') }),
  }
  const granted = await state.tokens.grant(metadata, parameters, nowMs, proof)
  if (granted.is === 'failed') return granted
  if (granted.is === 'refused') return { is: 'inactive' }
  const { accessToken, expiresInS } = granted.tokens
  return {
    is: 'active',
    claims: { token: accessToken, ...(expiresInS !== null && { exp: nowMs / 1000 + expiresInS }) },
  }
}
