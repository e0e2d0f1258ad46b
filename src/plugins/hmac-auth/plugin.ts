/** Authentication by a signature over parts of the request with a shared secret, as Kong's hmac-auth does it. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { definePlugin, FieldName, type Document, type EntityReader, type Exchange, type Exit } from '#pdk'
import { AnonymousConsumer, challenge, identifyOwner, whenFound, type Outcome } from '#pdk/authentication.ts'
import { hmacauthCredentials } from './entities.ts'
import { parseHttpDate } from './http-date.ts'
import { schema } from './schema.ts'
import { isSigned, parseParameters, type SignatureParameters } from './signature.ts'

/** A body is signed only as a whole, so it has to be in memory; bigger ones are refused. */
const BODY_LIMIT_BYTES = 8 << 20

const AUTHORIZATION = new FieldName('Authorization')
const PROXY_AUTHORIZATION = new FieldName('Proxy-Authorization')
const DATE = new FieldName('Date')
const X_DATE = new FieldName('X-Date')
const DIGEST = new FieldName('Digest')

const CANNOT_BE_VERIFIED = 'HMAC signature cannot be verified'
const NO_DATE = `${CANNOT_BE_VERIFIED}, a valid date or x-date header is required for HMAC Authentication`
const DOES_NOT_MATCH = 'HMAC signature does not match'

interface State {
  readonly entities: EntityReader
  readonly hidesCredentials: boolean
  readonly clockSkewSeconds: number
  readonly validatesBody: boolean
  /** Names in lower case of what has to be signed. */
  readonly enforced: readonly string[]
  readonly algorithms: ReadonlySet<string>
  readonly anonymous: AnonymousConsumer
  readonly challenge: { readonly headers: Readonly<Record<string, string>> }
}

export const hmacAuth = definePlugin({
  schema,
  entities: [hmacauthCredentials],

  prepare(config, tools): State {
    return {
      entities: tools.entities,
      hidesCredentials: config.hide_credentials,
      clockSkewSeconds: config.clock_skew ?? 300,
      validatesBody: config.validate_request_body,
      enforced: (config.enforce_headers ?? []).map((name) => name.toLowerCase()),
      algorithms: new Set(config.algorithms),
      anonymous: new AnonymousConsumer(config.anonymous, tools),
      challenge: { headers: { 'WWW-Authenticate': challenge('hmac', config.realm) } },
    }
  },

  access(exchange, state): Outcome {
    if (state.anonymous.isSpared(exchange)) return
    const { headers } = exchange.request
    if (!AUTHORIZATION.has(headers) && !PROXY_AUTHORIZATION.has(headers)) return refuse(exchange, state, 'Unauthorized')
    if (!isNow(exchange, state, X_DATE) && !isNow(exchange, state, DATE)) return refuse(exchange, state, NO_DATE)
    const parameters = take(exchange, state, PROXY_AUTHORIZATION) ?? take(exchange, state, AUTHORIZATION)
    if (parameters === null || !isAcceptable(parameters, state)) return refuse(exchange, state, CANNOT_BE_VERIFIED)
    const found = state.entities.lookup('hmacauth_credentials', 'username', parameters.username)
    return whenFound(exchange, found, (credential) =>
      credential === null
        ? refuse(exchange, state, CANNOT_BE_VERIFIED)
        : withCredential(exchange, state, parameters, credential),
    )
  },
})

/** Whether the header's date is near enough to be no replay of an old request. */
function isNow({ now, request }: Exchange, { clockSkewSeconds }: State, field: FieldName): boolean {
  const text = field.get(request.headers)
  const atMs = text === null ? null : parseHttpDate(text)
  return atMs !== null && Math.abs(Math.floor(now / 1000) - atMs / 1000) <= clockSkewSeconds
}

/** What the header says; taken out of what the upstream gets, when that is wanted. */
function take({ request }: Exchange, { hidesCredentials }: State, field: FieldName): SignatureParameters | null {
  const parameters = parseParameters(field.get(request.headers))
  if (parameters !== null && hidesCredentials) field.remove(request.headers)
  return parameters
}

function isAcceptable({ algorithm, headers }: SignatureParameters, { algorithms, enforced }: State): boolean {
  if (!algorithms.has(algorithm)) return false
  const signed = new Set(headers.map((name) => name.toLowerCase()))
  return enforced.every((name) => signed.has(name))
}

function withCredential(
  exchange: Exchange,
  state: State,
  parameters: SignatureParameters,
  credential: Document,
): Outcome {
  const secret = credential['secret'] as string | null
  // Without a secret everybody could sign.
  if (secret === null || secret === '') return refuse(exchange, state, CANNOT_BE_VERIFIED)
  if (!isSigned(exchange, parameters, secret)) return refuse(exchange, state, DOES_NOT_MATCH)
  const owner = () =>
    identifyOwner(exchange, state, credential, credential['username'] as string, () =>
      refuse(exchange, state, CANNOT_BE_VERIFIED),
    )
  return state.validatesBody ? withBody(exchange, state, owner) : owner()
}

async function withBody(exchange: Exchange, state: State, next: () => Outcome): Promise<void | Exit> {
  const { body, headers } = exchange.request
  const bytes = body.exists ? await body.read(BODY_LIMIT_BYTES) : Buffer.alloc(0)
  if (!Buffer.isBuffer(bytes)) {
    return bytes.error === 'too_large' ? exchange.fail(413, 'Payload too large') : exchange.fail(400, 'Bad request')
  }
  const matches = hasDigest(bytes, DIGEST.get(headers))
  return await (matches ? next() : refuse(exchange, state, DOES_NOT_MATCH))
}

/** Whether the header holds the body's digest (RFC 3230); an empty body needs none. */
function hasDigest(body: Buffer, header: string | null): boolean {
  if (header === null) return body.length === 0
  const given = Buffer.from(header)
  const expected = Buffer.from(`SHA-256=${createHash('sha256').update(body).digest('base64')}`)
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function refuse(exchange: Exchange, state: State, message: string): Outcome {
  return state.anonymous.standIn(exchange, exchange.fail(401, message, state.challenge))
}
