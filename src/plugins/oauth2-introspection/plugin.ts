/** Lets in who shows a token that an authorization server says is active (RFC 7662), with the configuration of Kong's plugin of that name. */
import {
  definePlugin,
  FieldName,
  identify,
  type Consumer,
  type Document,
  type EntityReader,
  type Exchange,
  type Exit,
  type PluginLog,
} from '#pdk'
import { AnonymousConsumer, whenFound, type Outcome } from '#pdk/authentication.ts'
import { HttpAsker } from '#pdk/ask-http.ts'
import { safeHeaderValue } from '#pdk/wire-text.ts'
import { findBearerToken, hideBearerToken, type FoundToken, type TokenPlace } from '../identity/bearer-token.ts'
import { clearClaimHeaders, setClaimHeaders, type ClaimHeader } from '../identity/claim-headers.ts'
import { textOf, type Claims } from '../identity/claims.ts'
import { findConsumer } from '../identity/consumers.ts'
import { introspect } from '../identity/introspection.ts'
import { ProviderClient } from '../identity/provider-client.ts'
import { TokenAnswers, type TokenAnswer } from '../identity/token-answers.ts'
import { schema, type Config } from './schema.ts'

interface State {
  readonly config: Config
  readonly entities: EntityReader
  readonly log: PluginLog
  readonly client: ProviderClient
  readonly answers: TokenAnswers
  readonly url: URL
  readonly parameters: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  readonly claimHeaders: readonly ClaimHeader[]
  readonly anonymous: AnonymousConsumer
  /** Whether the log has said that the server can't be asked. */
  isFailing: boolean
}

const PLACES: readonly TokenPlace[] = ['header', 'query']
const ANSWER_BYTES_MAX = 256 * 1024
const CONNECTIONS = 16
/** With `ttl` 0 an answer holds until the token's end, and a token without an end for so long. */
const LONGEST_TTL_S = 3600

/** Claims that the upstream is told as `X-Credential-*`. */
const TOLD = ['scope', 'client_id', 'username', 'token_type', 'exp', 'iat', 'nbf', 'sub', 'aud', 'iss', 'jti']

export const oauth2Introspection = definePlugin({
  schema,

  prepare(config, { entities, log, lookup, trusted, metrics, ...tools }): State {
    const asker = new HttpAsker({
      timeoutMs: config.timeout,
      connections: CONNECTIONS,
      keepaliveMs: config.keepalive,
      isVerified: config.ssl_verify,
      trusted,
      lookup,
      answerBytesMax: ANSWER_BYTES_MAX,
    })
    const told = new Set([...TOLD, ...config.custom_claims_forward])
    return {
      config,
      entities,
      log,
      client: new ProviderClient(asker, metrics, schema.name),
      answers: new TokenAnswers(config.ttl > 0 ? config.ttl : LONGEST_TTL_S),
      url: new URL(config.introspection_url),
      parameters: config.token_type_hint === null ? {} : { token_type_hint: config.token_type_hint },
      headers: { ...config.custom_introspection_headers, Authorization: config.authorization_value },
      claimHeaders: [...told].map((claim) => ({ path: [claim], field: new FieldName(headerNameOf(claim)) })),
      anonymous: new AnonymousConsumer(config.anonymous === '' ? null : config.anonymous, {
        entities,
        log,
        ...tools,
      }),
      isFailing: false,
    }
  },

  access(exchange, state): Outcome {
    // Also of requests that another plugin has let in: nobody but this one may say these.
    clearClaimHeaders(exchange.request.headers, state.claimHeaders)
    if (!state.config.run_on_preflight && exchange.request.method === 'OPTIONS') return
    if (state.anonymous.isSpared(exchange)) return
    const found = findBearerToken(exchange, PLACES, null)
    if (found === null) return refuse(exchange, state, 'invalid_request', 'The access token is missing')
    if (found === 'malformed') return refuseToken(exchange, state)
    const answer = state.answers.ask(keyOf(exchange, state, found), exchange.now, () => ask(exchange, state, found))
    return answer instanceof Promise
      ? answer.then((one) => withAnswer(exchange, state, found, one))
      : withAnswer(exchange, state, found, answer)
  },

  close({ client }) {
    client.close()
  },
})

/** Where the server is told of the request its answer is for that request only. */
function keyOf({ request }: Exchange, { config }: State, { text }: FoundToken): string {
  return config.introspect_request ? `${text} ${request.method} ${request.path}` : text
}

function ask({ request }: Exchange, state: State, { text }: FoundToken): Promise<TokenAnswer> {
  const headers = state.config.introspect_request
    ? {
        ...state.headers,
        'X-Request-Path': safeHeaderValue(request.path),
        'X-Request-Http-Method': request.method,
      }
    : state.headers
  const proof = { headers: {}, parameters: {} }
  return introspect(state.client, { url: state.url, proof, token: text, parameters: state.parameters, headers })
}

function withAnswer(exchange: Exchange, state: State, found: FoundToken, answer: TokenAnswer): Outcome {
  if (answer.is === 'failed') return fail(exchange, state, answer.problem)
  state.isFailing = false
  if (answer.is === 'inactive') return refuseToken(exchange, state)
  const { claims } = answer
  const name = textOf(claims[state.config.consumer_by])
  if (name === null) return letIn(exchange, state, found, claims, null)
  const consumer = findConsumer(state.entities, name, [
    state.config.consumer_by === 'username' ? 'username' : 'custom_id',
  ])
  return whenFound(exchange, consumer, (one) => letIn(exchange, state, found, claims, one))
}

function letIn(exchange: Exchange, state: State, found: FoundToken, claims: Claims, consumer: Document | null): void {
  if (state.config.hide_credentials) hideBearerToken(exchange, found.place)
  const id = textOf(claims['client_id']) ?? textOf(claims['username']) ?? textOf(claims['sub']) ?? state.url.host
  identify(exchange, consumer as unknown as Consumer | null, { id }, id)
  setClaimHeaders(exchange.request.headers, state.claimHeaders, [claims])
}

/** `client_id` is told as X-Credential-Client-ID. */
function headerNameOf(claim: string): string {
  const words = claim.split(/[_-]/).map((word) => (word === 'id' ? 'ID' : word.charAt(0).toUpperCase() + word.slice(1)))
  return `X-Credential-${words.join('-')}`
}

/** Nobody passes because the server can't be asked, also not as the anonymous consumer. */
function fail(exchange: Exchange, state: State, problem: string): Exit {
  if (!state.isFailing) state.log.error({ problem }, 'the introspection endpoint cannot be asked')
  state.isFailing = true
  return exchange.fail(503, 'Service unavailable', { headers: { 'Retry-After': '5' } })
}

function refuseToken(exchange: Exchange, state: State): Outcome {
  return refuse(exchange, state, 'invalid_token', 'The access token is invalid or has expired')
}

function refuse(exchange: Exchange, state: State, error: string, error_description: string): Outcome {
  const challenge =
    error === 'invalid_token' ? `Bearer error="${error}", error_description="${error_description}"` : 'Bearer'
  return state.anonymous.standIn(
    exchange,
    exchange.exit(401, { error, error_description }, { headers: { 'WWW-Authenticate': challenge } }),
  )
}
