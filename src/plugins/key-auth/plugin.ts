/** Authentication by an API key in a header, a query argument or a body field, as Kong's key-auth does it. */
import { definePlugin, EXPIRES_AT, type Document, type EntityReader, type Exchange } from '#pdk'
import { AnonymousConsumer, challenge, identifyOwner, whenFound, type Outcome } from '#pdk/authentication.ts'
import { keyauthCredentials } from './entities.ts'
import { findKey, hideKey, keyNames, type FoundKey, type KeyPlaces } from './key.ts'
import { schema } from './schema.ts'

interface State {
  readonly entities: EntityReader
  readonly places: KeyPlaces
  readonly hidesCredentials: boolean
  readonly runsOnPreflight: boolean
  readonly anonymous: AnonymousConsumer
  readonly challenge: { readonly headers: Readonly<Record<string, string>> }
}

export const keyAuth = definePlugin({
  schema,
  entities: [keyauthCredentials],

  prepare(config, tools): State {
    return {
      entities: tools.entities,
      places: {
        names: keyNames(config.key_names),
        inHeader: config.key_in_header,
        inQuery: config.key_in_query,
        inBody: config.key_in_body,
      },
      hidesCredentials: config.hide_credentials,
      runsOnPreflight: config.run_on_preflight,
      anonymous: new AnonymousConsumer(config.anonymous, tools),
      challenge: { headers: { 'WWW-Authenticate': challenge('Key', config.realm) } },
    }
  },

  access(exchange, state): Outcome {
    if (!state.runsOnPreflight && exchange.request.method === 'OPTIONS') return
    if (state.anonymous.isSpared(exchange)) return
    if (state.places.names.length === 0) return exchange.fail(500, 'Invalid plugin configuration')
    const found = findKey(exchange, state.places)
    return found instanceof Promise
      ? found.then((key) => withKey(exchange, state, key))
      : withKey(exchange, state, found)
  },
})

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
  return credential instanceof Promise
    ? whenFound(exchange, credential, (found) => withCredential(exchange, state, found))
    : withCredential(exchange, state, credential)
}

function withCredential(exchange: Exchange, state: State, credential: Document | null): Outcome {
  if (credential === null || hasExpired(credential, exchange.now)) return refuseKey(exchange, state)
  return identifyOwner(exchange, state, credential, credential.id, refuseKey)
}

function refuseKey(exchange: Exchange, state: State): Outcome {
  return refuse(exchange, state, 'Unauthorized')
}

function refuse(exchange: Exchange, state: State, message: string): Outcome {
  return state.anonymous.standIn(exchange, exchange.fail(401, message, state.challenge))
}

/** A cached credential may outlive its end; the store itself no longer returns it then. */
function hasExpired(credential: Document, nowMs: number): boolean {
  const expiresAt = credential[EXPIRES_AT]
  return typeof expiresAt === 'number' && expiresAt * 1000 <= nowMs
}
