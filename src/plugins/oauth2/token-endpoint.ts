/** The token endpoint (RFC 6749 3.2). */
import type { Exchange, Exit } from '#pdk'
import { authenticateClient, clientCredentials, type Client } from './client.ts'
import type { Parameters } from './parameters.ts'
import { checkVerifier, requiresPkce } from './pkce.ts'
import * as problems from './problem.ts'
import { isProblem, problem, type Problem } from './problem.ts'
import { refreshedScope, requestedScope } from './scope.ts'
import { knowsProvisionKey } from './provision-key.ts'
import type { State } from './state.ts'
import type { Issued } from './tokens.ts'

type Outcome = Issued | Problem

export async function issueToken(exchange: Exchange, state: State, parameters: Parameters): Promise<Exit> {
  const given = parameters.text('state')
  const grantType = parameters.text('grant_type')
  const credentials = clientCredentials(exchange, parameters, state.header)
  const client = await authenticateClient(exchange, state.entities, credentials)
  if ('kind' in client) return client as Exit
  const outcome = isProblem(client) ? client : await granted(exchange, state, parameters, client, grantType)
  if (isProblem(outcome)) return problems.problemAnswer(exchange, outcome, given)
  const { accessToken, refreshToken, expiresIn } = outcome
  return problems.endpointAnswer(exchange, 200, {
    ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
    token_type: 'bearer',
    access_token: accessToken,
    ...(expiresIn === null ? {} : { expires_in: expiresIn }),
    ...(given === null ? {} : { state: given }),
  })
}

async function granted(
  exchange: Exchange,
  state: State,
  parameters: Parameters,
  client: Client,
  grantType: string | null,
): Promise<Outcome> {
  if (grantType !== 'client_credentials' && parameters.has('redirect_uri')) {
    const uri = parameters.text('redirect_uri')
    if (uri === null || !(client.redirect_uris ?? []).includes(uri)) return problems.INVALID_REDIRECT_URI
  }
  const { config } = state
  switch (grantType) {
    case 'authorization_code':
      return byCode(exchange, state, parameters, client)
    case 'refresh_token':
      return byRefreshToken(exchange, state, parameters, client)
    case 'client_credentials':
      if (config.enable_client_credentials) return byClient(exchange, state, parameters, client)
      break
    case 'password':
      if (config.enable_password_grant) return byPassword(exchange, state, parameters, client)
      break
  }
  return problem('unsupported_grant_type', 'Invalid grant_type')
}

/** A code that is somebody else's stays good for its owner; only the right client uses it up, once. */
async function byCode(exchange: Exchange, state: State, parameters: Parameters, client: Client): Promise<Outcome> {
  const text = parameters.text('code') ?? ''
  const code = text === '' ? null : await state.tokens.findCode(text)
  if (
    code === null ||
    code.credential !== client.id ||
    code.plugin !== state.pluginId ||
    code.service !== state.serviceOf(exchange) ||
    (code.challenge === null && requiresPkce(client, state.config.pkce))
  )
    return problems.INVALID_CODE
  const wrong = checkVerifier(parameters, code.challenge)
  if (wrong !== null) return wrong
  if (!(await state.tokens.spendCode(text))) return problems.INVALID_CODE
  const { credential, service, scope, userId } = code
  return state.tokens.issue({ credential, service, scope, userId }, { withRefresh: true }, exchange.now)
}

async function byClient(exchange: Exchange, state: State, parameters: Parameters, client: Client): Promise<Outcome> {
  const userId = parameters.text('authenticated_userid')
  // Only who knows the provision key may say for which user it asks.
  if (parameters.has('authenticated_userid') && !knowsProvisionKey(state.config, parameters))
    return problems.INVALID_PROVISION_KEY
  const scope = requestedScope(parameters, state.config)
  if (isProblem(scope)) return scope
  const grant = { credential: client.id, service: state.serviceOf(exchange), scope, userId }
  return state.tokens.issue(grant, { withRefresh: false }, exchange.now)
}

async function byPassword(exchange: Exchange, state: State, parameters: Parameters, client: Client): Promise<Outcome> {
  if (!knowsProvisionKey(state.config, parameters)) return problems.INVALID_PROVISION_KEY
  const userId = parameters.text('authenticated_userid')
  if (userId === null || userId.trim() === '') return problems.MISSING_USER
  const scope = requestedScope(parameters, state.config)
  if (isProblem(scope)) return scope
  const grant = { credential: client.id, service: state.serviceOf(exchange), scope, userId }
  return state.tokens.issue(grant, { withRefresh: true }, exchange.now)
}

async function byRefreshToken(
  exchange: Exchange,
  state: State,
  parameters: Parameters,
  client: Client,
): Promise<Outcome> {
  const invalid = problem('invalid_request', 'Invalid refresh_token')
  const text = parameters.text('refresh_token') ?? ''
  const found = text === '' ? null : await state.tokens.findRefresh(text)
  if (found === null || found.service !== state.serviceOf(exchange)) return invalid
  if (found.credential !== client.id) return problems.INVALID_CLIENT
  const scope = refreshedScope(parameters, found.scope)
  if (isProblem(scope)) return scope
  const grant = { credential: found.credential, service: found.service, scope, userId: found.userId }
  const { reuse_refresh_token: isReused } = state.config
  return (await state.tokens.refresh(text, found, grant, isReused, exchange.now)) ?? invalid
}
