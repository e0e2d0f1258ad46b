/** Authentication by an API key in a header, a query argument or a body field, as Kong's key-auth does it. */
import {
  definePlugin,
  EXPIRES_AT,
  identify,
  storeFailure,
  type Consumer,
  type Credential,
  type Document,
  type EntityReader,
  type Exchange,
  type Exit,
  type PluginLog,
} from '#pdk'
import { headerValue } from '#pdk/wire-text.ts'
import { keyauthCredentials } from './entities.ts'
import { findKey, hideKey, keyNames, type FoundKey, type KeyPlaces } from './key.ts'
import { schema } from './schema.ts'

interface State {
  readonly entities: EntityReader
  readonly log: PluginLog
  readonly places: KeyPlaces
  readonly hidesCredentials: boolean
  readonly runsOnPreflight: boolean
  /** Id or user name of the consumer for requests that nobody proved to be somebody's; null refuses them. */
  readonly anonymous: string | null
  readonly challenge: { readonly headers: Readonly<Record<string, string>> }
  /** Whether the log has said that the anonymous consumer is not there. */
  hasWarned: boolean
}

type Outcome = void | Exit | Promise<void | Exit>

export const keyAuth = definePlugin({
  schema,
  entities: [keyauthCredentials],

  prepare(config, { entities, log }): State {
    return {
      entities,
      log,
      places: {
        names: keyNames(config.key_names),
        inHeader: config.key_in_header,
        inQuery: config.key_in_query,
        inBody: config.key_in_body,
      },
      hidesCredentials: config.hide_credentials,
      runsOnPreflight: config.run_on_preflight,
      anonymous: config.anonymous,
      challenge: { headers: { 'WWW-Authenticate': challenge(config.realm) } },
      hasWarned: false,
    }
  },

  access(exchange, state): Outcome {
    if (!state.runsOnPreflight && exchange.request.method === 'OPTIONS') return
    // With an anonymous consumer, several authentication plugins mean 'or': one that succeeded is enough.
    if (state.anonymous !== null && exchange.credential !== null) return
    if (state.places.names.length === 0) return exchange.fail(500, 'Invalid plugin configuration')
    const found = findKey(exchange, state.places)
    return found instanceof Promise
      ? found.then((key) => withKey(exchange, state, key))
      : withKey(exchange, state, found)
  },
})

/** The scheme, with the realm as a quoted string (RFC 9110 5.6.4). */
function challenge(realm: string | null): string {
  return realm === null ? 'Key' : `Key realm="${headerValue(realm.replaceAll(/["\\]/g, '\\$&'))}"`
}

function withKey(exchange: Exchange, state: State, key: FoundKey | null): Outcome {
  if (key === null) return refuse(exchange, state, 'No API key found in request')
  if (key.isRepeated) return refuse(exchange, state, 'Duplicate API key found')
  if (state.hidesCredentials) {
    const hiding = hideKey(exchange, state.places, key.name)
    if (hiding !== null) return hiding.then(() => withText(exchange, state, key.text))
  }
  return withText(exchange, state, key.text)
}

function withText(exchange: Exchange, state: State, text: string): Outcome {
  const credential = state.entities.lookup('keyauth_credentials', 'key', text)
  if (!(credential instanceof Promise)) return withCredential(exchange, state, credential)
  return answered(
    exchange,
    credential.then((found) => withCredential(exchange, state, found)),
  )
}

function withCredential(exchange: Exchange, state: State, credential: Document | null): Outcome {
  if (credential === null || hasExpired(credential, exchange.now)) return refuse(exchange, state, 'Unauthorized')
  const { id } = credential['consumer'] as { readonly id: string }
  const consumer = state.entities.get('consumers', id)
  if (!(consumer instanceof Promise)) return withConsumer(exchange, state, credential, consumer)
  return answered(
    exchange,
    consumer.then((found) => withConsumer(exchange, state, credential, found)),
  )
}

function withConsumer(exchange: Exchange, state: State, credential: Credential, consumer: Document | null): Outcome {
  // Deleted between the two look-ups: its credentials went with it.
  if (consumer === null) return refuse(exchange, state, 'Unauthorized')
  identify(exchange, consumer as unknown as Consumer, credential, credential.id)
}

function refuse(exchange: Exchange, state: State, message: string): Outcome {
  const { anonymous } = state
  if (anonymous === null) return exchange.fail(401, message, state.challenge)
  const consumer = anonymousConsumer(state.entities, anonymous)
  if (!(consumer instanceof Promise)) return asAnonymous(exchange, state, consumer)
  return answered(
    exchange,
    consumer.then((found) => asAnonymous(exchange, state, found)),
  )
}

function asAnonymous(exchange: Exchange, state: State, consumer: Document | null): Outcome {
  if (consumer !== null) return identify(exchange, consumer as unknown as Consumer, null, null)
  if (!state.hasWarned) {
    state.hasWarned = true
    state.log.error({ consumer: state.anonymous }, 'the consumer named by config.anonymous does not exist')
  }
  return exchange.fail(500, 'An unexpected error occurred')
}

/** By id, else by user name: a user name may look like an id. */
function anonymousConsumer(entities: EntityReader, idOrName: string): Document | null | Promise<Document | null> {
  const byId = UUID.test(idOrName) ? entities.get('consumers', idOrName) : null
  if (byId instanceof Promise) return byId.then((found) => found ?? entities.lookup('consumers', 'username', idOrName))
  return byId ?? entities.lookup('consumers', 'username', idOrName)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** A cached credential may outlive its end; the store itself no longer returns it then. */
function hasExpired(credential: Document, nowMs: number): boolean {
  const expiresAt = credential[EXPIRES_AT]
  return typeof expiresAt === 'number' && expiresAt * 1000 <= nowMs
}

/** The outcome of what had to be looked up, or 503 when nobody could be asked. */
async function answered(exchange: Exchange, outcome: Promise<void | Exit>): Promise<void | Exit> {
  try {
    return await outcome
  } catch (error) {
    return storeFailure(exchange, error)
  }
}
