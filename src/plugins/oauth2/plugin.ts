/** An authorization server and the guard for its tokens, as Kong's oauth2 does it (RFC 6749, 6750, 7636). */
import { definePlugin, FieldName, storeFailure, type Document, type Exchange, type Exit } from '#pdk'
import { AnonymousConsumer, challenge, identifyOwner, whenFound, type Outcome } from '#pdk/authentication.ts'
import { headerValue } from '#pdk/wire-text.ts'
import { findToken, hideToken, type FoundToken } from './access-token.ts'
import { authorize } from './authorize-endpoint.ts'
import type { Client } from './client.ts'
import { oauth2AuthorizationCodes, oauth2Credentials, oauth2Tokens } from './entities.ts'
import { readParameters } from './parameters.ts'
import { problem, problemAnswer, type Problem } from './problem.ts'
import { schema } from './schema.ts'
import type { State } from './state.ts'
import { issueToken } from './token-endpoint.ts'
import { Tokens, type AccessToken } from './tokens.ts'

const FORWARDED_PROTO = new FieldName('X-Forwarded-Proto')
const SCOPE = new FieldName('X-Authenticated-Scope')
const USER_ID = new FieldName('X-Authenticated-UserId')

const MISSING = problem('invalid_request', 'The access token is missing')
const INVALID = problem('invalid_token', 'The access token is invalid or has expired')
const GLOBAL = problem(
  'invalid_token',
  "The access token is global, but the current plugin is configured without 'global_credentials'",
)

export const oauth2 = definePlugin({
  schema,
  entities: [oauth2Credentials, oauth2AuthorizationCodes, oauth2Tokens],

  prepare(config, tools): State {
    const lifetimes = { accessS: config.token_expiration, refreshS: config.refresh_token_ttl }
    return {
      config,
      pluginId: tools.pluginId,
      entities: tools.entities,
      tokens: new Tokens(tools.runtime, tools.entities, lifetimes),
      header: new FieldName(config.auth_header_name ?? 'authorization'),
      anonymous: new AnonymousConsumer(config.anonymous, tools),
      challenge: challenge('Bearer', config.realm),
      serviceOf: config.global_credentials ? () => null : (exchange) => exchange.service?.id ?? null,
    }
  },

  access(exchange, state): Outcome {
    const endpoint = ENDPOINT.exec(exchange.request.path)
    if (endpoint !== null) return answerEndpoint(exchange, state, endpoint[1] as 'authorize' | 'token')
    if (state.anonymous.isSpared(exchange)) return
    SCOPE.remove(exchange.request.headers)
    USER_ID.remove(exchange.request.headers)
    const found = findToken(exchange, state.header)
    return found instanceof Promise
      ? found.then((token) => withToken(exchange, state, token))
      : withToken(exchange, state, found)
  },
})

const ENDPOINT = /\/oauth2\/(authorize|token)\/?$/

async function answerEndpoint(exchange: Exchange, state: State, endpoint: 'authorize' | 'token'): Promise<Exit> {
  const { method } = exchange.request
  if (method !== 'POST') {
    const name = endpoint === 'token' ? 'token' : 'authorization'
    const error_description = `The HTTP method ${method} is invalid for the ${name} endpoint`
    return exchange.exit(405, { error: 'invalid_method', error_description }, { headers: { Allow: 'POST' } })
  }
  const parameters = await readParameters(exchange)
  const refusal = checkSecure(exchange, state.config.accept_http_if_already_terminated)
  if (refusal !== null) return problemAnswer(exchange, problem('access_denied', refusal), parameters.text('state'))
  try {
    return await (endpoint === 'token' ? issueToken : authorize)(exchange, state, parameters)
  } catch (error) {
    return storeFailure(exchange, error)
  }
}

/** Secrets travel here: only over TLS, here or at a trusted proxy in front (RFC 6749 3.1, 3.2). Null: it is. */
function checkSecure({ request }: Exchange, acceptsTerminated: boolean): string | null {
  const refusal = 'You must use HTTPS'
  if (request.scheme === 'https') return null
  if (!acceptsTerminated || !request.isTrusted) return refusal
  const said = FORWARDED_PROTO.getAll(request.headers)
  if (said.length > 1) return 'Only one X-Forwarded-Proto header allowed'
  return said[0]?.toLowerCase() === 'https' ? null : refusal
}

function withToken(exchange: Exchange, state: State, found: FoundToken): Outcome {
  if (found.text === '') return refuse(exchange, state, MISSING)
  const hiding = state.config.hide_credentials ? hideToken(exchange, state.header, found) : null
  return hiding === null
    ? withText(exchange, state, found.text)
    : hiding.then(() => withText(exchange, state, found.text))
}

function withText(exchange: Exchange, state: State, text: string): Outcome {
  const token = state.tokens.find(text, exchange.now)
  return token instanceof Promise
    ? whenFound(exchange, token, (one) => withGrant(exchange, state, one))
    : withGrant(exchange, state, token)
}

function withGrant(exchange: Exchange, state: State, token: AccessToken | null): Outcome {
  if (token === null) return refuseToken(exchange, state)
  if (!state.config.global_credentials) {
    if (token.service === null) return refuse(exchange, state, GLOBAL)
    if (token.service !== exchange.service?.id) return refuseToken(exchange, state)
  }
  const client = state.entities.get('oauth2_credentials', token.credential)
  return client instanceof Promise
    ? whenFound(exchange, client, (one) => withClient(exchange, state, token, one))
    : withClient(exchange, state, token, client)
}

/** A token ends with the client that it was made for. */
function withClient(exchange: Exchange, state: State, token: AccessToken, client: Document | null): Outcome {
  if (client === null) return refuseToken(exchange, state)
  if (token.scope !== null) SCOPE.set(exchange.request.headers, headerValue(token.scope))
  if (token.userId !== null) USER_ID.set(exchange.request.headers, headerValue(token.userId))
  return identifyOwner(exchange, state, client, (client as Client).client_id, refuseGone)
}

/** Its consumer went between the look-ups: nothing of it may stay on the request. */
function refuseGone(exchange: Exchange, state: State): Outcome {
  SCOPE.remove(exchange.request.headers)
  USER_ID.remove(exchange.request.headers)
  return refuseToken(exchange, state)
}

function refuseToken(exchange: Exchange, state: State): Outcome {
  return refuse(exchange, state, INVALID)
}

/** RFC 6750 3: a request without a token is told no error in the challenge. */
function refuse(exchange: Exchange, state: State, { error, error_description }: Problem): Outcome {
  const told =
    error === 'invalid_token'
      ? `${state.challenge} error="${error}" error_description="${error_description}"`
      : state.challenge
  return state.anonymous.standIn(
    exchange,
    exchange.exit(401, { error, error_description }, { headers: { 'WWW-Authenticate': told } }),
  )
}
