/** Authentication by a JSON Web Token that a consumer's key signed, as Kong's jwt does it. */
import { definePlugin, type Document, type EntityReader, type Exchange } from '#pdk'
import { AnonymousConsumer, challenge, identifyOwner, whenFound, type Outcome } from '#pdk/authentication.ts'
import { livesTooLong, timeProblems, type TimeClaim } from './claims.ts'
import { jwtSecrets } from './entities.ts'
import { schema } from './schema.ts'
import { isAlgorithm, isSigned, isSymmetric, loadPublicKey, type VerificationKey } from './signature.ts'
import { decodeBase64, parseToken, type Token } from './token.ts'
import { findTokens, tokenPlaces, type TokenPlaces } from './token-places.ts'

interface State {
  readonly entities: EntityReader
  readonly places: TokenPlaces
  /** The claim, or else the header parameter, that names the credential. */
  readonly keyClaim: string
  readonly secretIsBase64: boolean
  readonly toVerify: readonly TimeClaim[]
  /** 0 for any. */
  readonly maximumExpirationSeconds: number
  readonly runsOnPreflight: boolean
  readonly anonymous: AnonymousConsumer
  /** Challenge to who shows no token, and to who shows a bad one. */
  readonly challenge: { readonly headers: Readonly<Record<string, string>> }
  readonly badTokenChallenge: { readonly headers: Readonly<Record<string, string>> }
  /** What proves the signatures of a credential, as long as the worker's cache holds it: reading a key costs more than using it. */
  readonly keys: WeakMap<Document, { readonly key: VerificationKey | null }>
}

export const jwt = definePlugin({
  schema,
  entities: [jwtSecrets],

  prepare(config, tools): State {
    const bearer = challenge('Bearer', config.realm)
    return {
      entities: tools.entities,
      places: tokenPlaces({ args: config.uri_param_names, cookies: config.cookie_names, headers: config.header_names }),
      keyClaim: config.key_claim_name ?? 'iss',
      secretIsBase64: config.secret_is_base64,
      toVerify: (config.claims_to_verify ?? []) as readonly TimeClaim[],
      maximumExpirationSeconds: config.maximum_expiration ?? 0,
      runsOnPreflight: config.run_on_preflight,
      anonymous: new AnonymousConsumer(config.anonymous, tools),
      challenge: { headers: { 'WWW-Authenticate': bearer } },
      badTokenChallenge: { headers: { 'WWW-Authenticate': `${bearer} error="invalid_token"` } },
      keys: new WeakMap(),
    }
  },

  access(exchange, state): Outcome {
    if (!state.runsOnPreflight && exchange.request.method === 'OPTIONS') return
    if (state.anonymous.isSpared(exchange)) return
    const tokens = findTokens(exchange, state.places)
    if (tokens.size > 1) return refuse(exchange, state, 'Multiple tokens provided')
    const [text] = tokens
    if (text === undefined) {
      return state.anonymous.standIn(exchange, exchange.exit(401, { message: 'Unauthorized' }, state.challenge))
    }
    if (text === true) return refuse(exchange, state, 'Unrecognizable token')
    const token = parseToken(text, isAlgorithm)
    return 'problem' in token
      ? refuse(exchange, state, `Bad token; ${token.problem}`)
      : withToken(exchange, state, text, token)
  },
})

function withToken(exchange: Exchange, state: State, text: string, token: Token): Outcome {
  const { keyClaim } = state
  const name = credentialName(token, keyClaim)
  if (name === null) return refuse(exchange, state, `No mandatory '${keyClaim}' in claims`)
  if (name === '') return refuse(exchange, state, `Invalid '${keyClaim}' in claims`)
  return whenFound(exchange, state.entities.lookup('jwt_secrets', 'key', name), (credential) => {
    if (credential === null) return refuse(exchange, state, `No credentials found for given '${keyClaim}'`)
    const problem = signatureProblem(state, token, credential)
    if (problem !== null) return refuse(exchange, state, problem)
    const nowSeconds = Math.floor(exchange.now / 1000)
    const problems = timeProblems(token.claims, state.toVerify, nowSeconds)
    if (problems !== null) return refuse(exchange, state, problems)
    if (livesTooLong(token.claims, state.maximumExpirationSeconds, nowSeconds)) {
      return refuse(exchange, state, { exp: 'exceeds maximum allowed expiration' })
    }
    exchange.shared.set('authenticated_jwt_token', text)
    return identifyOwner(exchange, state, credential, name, () =>
      refuse(exchange, state, `Could not find consumer for '${keyClaim}=${name}'`),
    )
  })
}

/** Null where there is none. What is no text is nobody's name. */
function credentialName({ claims, header }: Token, keyClaim: string): string | null {
  for (const part of [claims, header]) {
    const value = Object.hasOwn(part, keyClaim) ? part[keyClaim] : null
    if (typeof value === 'string') return value
  }
  return null
}

/** The algorithm is the credential's and never only the token's: else a public key would pass as a secret. */
function signatureProblem(state: State, token: Token, credential: Document): string | null {
  const algorithm = (credential['algorithm'] as string | null) ?? 'HS256'
  if (token.algorithm !== algorithm) return 'Invalid algorithm'
  let known = state.keys.get(credential)
  if (known === undefined) {
    known = { key: loadKey(credential, algorithm, state.secretIsBase64) }
    state.keys.set(credential, known)
  }
  if (known.key === null) return 'Invalid key/secret'
  return isSigned(token.signedText, token.signature, algorithm, known.key) ? null : 'Invalid signature'
}

function loadKey(credential: Document, algorithm: string, isBase64: boolean): VerificationKey | null {
  const isSecret = isSymmetric(algorithm)
  const text = credential[isSecret ? 'secret' : 'rsa_public_key'] as string | null
  if (text === null || text === '') return null
  const bytes = isBase64 ? decodeBase64(text) : Buffer.from(text)
  // An empty secret would let everybody sign.
  if (bytes === null || bytes.length === 0) return null
  return isSecret ? bytes : loadPublicKey(algorithm, bytes)
}

/** With a message, or with what is wrong with each claim. */
function refuse(exchange: Exchange, state: State, reason: string | object): Outcome {
  const body = typeof reason === 'string' ? { message: reason } : reason
  return state.anonymous.standIn(exchange, exchange.exit(401, body, state.badTokenChallenge))
}
