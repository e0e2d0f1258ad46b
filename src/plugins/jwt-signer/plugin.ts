/** Tells the upstream who the client is in a token that the gateway signs, so that it need not trust the network between. */
import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { definePlugin, FieldName, type Exchange, type Exit } from '#pdk'
import { whenFound, type Outcome } from '#pdk/authentication.ts'
import { GivenKeys, RotatingKeys, type KeyRing } from './key-ring.ts'
import { schema, type Config } from './schema.ts'
import { loadKey, signClaims, type SigningKey } from './signing-key.ts'

interface State {
  readonly config: Config
  readonly keys: KeyRing
  readonly field: FieldName
  readonly prefix: string
  /** Claims of every token. */
  readonly fixed: Readonly<Record<string, unknown>>
  /** By who it is about: signing costs more than all else. */
  readonly tokens: LRUCache<string, Signed>
}

interface Signed {
  readonly text: string
  readonly kid: string
  /** Unix ms until which it is used again. */
  readonly untilMs: number
}

const MOST_REMEMBERED = 10_000
/** Names that the gateway itself gives a value. */
const OWN_CLAIMS = new Set([
  'iss',
  'sub',
  'aud',
  'exp',
  'iat',
  'jti',
  'consumer_id',
  'consumer_username',
  'consumer_custom_id',
  'credential',
  'groups',
])

export const jwtSigner = definePlugin({
  schema,

  refuse({ private_keys, algorithm, claims }) {
    const bad = (private_keys ?? []).findIndex(
      (pem) => !pem.startsWith('{vault://') && loadKey(pem, algorithm) === null,
    )
    if (bad >= 0) return { field: `private_keys.${bad}`, message: `expected a private key in PEM for ${algorithm}` }
    const taken = Object.keys(claims).find((name) => OWN_CLAIMS.has(name))
    return taken === undefined
      ? null
      : { field: `claims.${taken}`, message: 'expected a name that the gateway does not give' }
  },

  prepare(config, { runtime }): State {
    const [name = '', scheme] = config.header.split(':')
    const given = (config.private_keys ?? []).map((pem) => loadKey(pem, config.algorithm)).filter((key) => key !== null)
    // A vault that leads nowhere must not make the gateway sign with a key that nobody was told of.
    if (given.length === 0 && (config.private_keys?.length ?? 0) > 0)
      throw new Error('private_keys: none of them is a private key for the algorithm')
    return {
      config,
      keys:
        given.length > 0
          ? new GivenKeys(given)
          : new RotatingKeys(
              runtime,
              config.key_set,
              config.algorithm,
              config.rotation_period * 1000,
              config.lifetime * 1000,
            ),
      field: new FieldName(name),
      prefix: scheme === undefined ? '' : 'Bearer ',
      fixed: {
        iss: config.issuer,
        ...(config.audience !== null &&
          config.audience.length > 0 && { aud: config.audience.length === 1 ? config.audience[0] : config.audience }),
        ...config.claims,
      },
      tokens: new LRUCache({ max: MOST_REMEMBERED }),
    }
  },

  access(exchange, state): Outcome {
    const { jwks_path: path } = state.config
    if (path !== null && exchange.request.path === path) return publish(exchange, state)
    const who = identityOf(exchange)
    if (who === null) return state.field.remove(exchange.request.headers)
    return whenFound(exchange, state.keys.current(exchange.now), (key) => tell(exchange, state, key, who))
  },
})

/** Null: nobody has proven who he is. */
function identityOf({ consumer, credential, shared }: Exchange): Readonly<Record<string, unknown>> | null {
  if (credential === null) return null
  const groups: unknown = shared.get('authenticated_groups')
  return {
    sub: consumer?.id ?? credential.id,
    ...(consumer !== null && { consumer_id: consumer.id }),
    ...(consumer?.username != null && { consumer_username: consumer.username }),
    ...(consumer?.custom_id != null && { consumer_custom_id: consumer.custom_id }),
    credential: credential.id,
    ...(Array.isArray(groups) && { groups: groups as readonly string[] }),
  }
}

function tell(exchange: Exchange, state: State, key: SigningKey, who: Readonly<Record<string, unknown>>): void {
  const name = JSON.stringify(who)
  let signed = state.tokens.get(name)
  if (signed === undefined || signed.kid !== key.kid || signed.untilMs <= exchange.now) {
    signed = signFor(state, key, who, exchange.now)
    state.tokens.set(name, signed)
  }
  state.field.set(exchange.request.headers, state.prefix + signed.text)
}

/** Used again for half of its life, so that what an upstream gets lives at least the other half. */
function signFor({ config, fixed }: State, key: SigningKey, who: object, nowMs: number): Signed {
  const seconds = Math.floor(nowMs / 1000)
  const claims = { ...fixed, ...who, iat: seconds, exp: seconds + config.lifetime, jti: randomUUID() }
  return { text: signClaims(key, claims), kid: key.kid, untilMs: nowMs + config.lifetime * 500 }
}

function publish(exchange: Exchange, state: State): Outcome {
  const { method } = exchange.request
  if (method !== 'GET' && method !== 'HEAD') return exchange.exit(405, null, { headers: { Allow: 'GET, HEAD' } })
  return whenFound(exchange, state.keys.published(exchange.now), (keys): Exit =>
    exchange.exit(
      200,
      { keys: keys.map(({ publicJwk }) => publicJwk) },
      { headers: { 'Cache-Control': `public, max-age=${Math.min(300, state.config.rotation_period / 2)}` } },
    ),
  )
}
