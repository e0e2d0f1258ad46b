/** Authentication by user name and password in Authorization or Proxy-Authorization, as Kong's basic-auth does it. */
import { timingSafeEqual } from 'node:crypto'
import { saltedDigest } from '#core/salted-digest.ts'
import { definePlugin, FieldName, type Document, type EntityReader, type Exchange } from '#pdk'
import { AnonymousConsumer, challenge, identifyOwner, whenFound, type Outcome } from '#pdk/authentication.ts'
import { basicauthCredentials } from './entities.ts'
import { schema } from './schema.ts'
import { parseUserPassword, type UserPassword } from './user-password.ts'

const AUTHORIZATION = new FieldName('Authorization')
const PROXY_AUTHORIZATION = new FieldName('Proxy-Authorization')

interface State {
  readonly entities: EntityReader
  readonly hidesCredentials: boolean
  readonly anonymous: AnonymousConsumer
  readonly challenge: { readonly headers: Readonly<Record<string, string>> }
}

export const basicAuth = definePlugin({
  schema,
  entities: [basicauthCredentials],

  prepare(config, tools): State {
    return {
      entities: tools.entities,
      hidesCredentials: config.hide_credentials,
      anonymous: new AnonymousConsumer(config.anonymous, tools),
      challenge: { headers: { 'WWW-Authenticate': challenge('Basic', config.realm) } },
    }
  },

  access(exchange, state): Outcome {
    if (state.anonymous.isSpared(exchange)) return
    const first = take(exchange, state, PROXY_AUTHORIZATION)
    if (first === null) return withAuthorization(exchange, state)
    // A name that nobody has in Proxy-Authorization may be meant for another proxy.
    return whenFound(exchange, find(state, first), (credential) =>
      credential === null ? withAuthorization(exchange, state) : withCredential(exchange, state, first, credential),
    )
  },
})

function withAuthorization(exchange: Exchange, state: State): Outcome {
  const given = take(exchange, state, AUTHORIZATION)
  if (given === null) return refuse(exchange, state)
  return whenFound(exchange, find(state, given), (credential) =>
    credential === null ? refuse(exchange, state) : withCredential(exchange, state, given, credential),
  )
}

function withCredential(exchange: Exchange, state: State, given: UserPassword, credential: Document): Outcome {
  if (!isPassword(credential, given.password)) return refuse(exchange, state)
  return identifyOwner(exchange, state, credential, credential['username'] as string, refuse)
}

/** What the header says; taken out of what the upstream gets, when that is wanted. */
function take({ request }: Exchange, state: State, field: FieldName): UserPassword | null {
  const given = parseUserPassword(field.get(request.headers))
  if (state.hidesCredentials) field.remove(request.headers)
  return given
}

function find(state: State, { username }: UserPassword): Document | null | Promise<Document | null> {
  return state.entities.lookup('basicauth_credentials', 'username', username)
}

function isPassword(credential: Document, password: Buffer): boolean {
  const { id } = credential['consumer'] as { readonly id: string }
  const stored = Buffer.from(credential['password'] as string)
  const given = Buffer.from(saltedDigest(password, id))
  return stored.length === given.length && timingSafeEqual(stored, given)
}

function refuse(exchange: Exchange, state: State): Outcome {
  return state.anonymous.standIn(exchange, exchange.fail(401, 'Unauthorized', state.challenge))
}
