/** Authentication by name and password, which an LDAP server knows, as Kong's ldap-auth does it. */
import { definePlugin, FieldName, identify, type Exchange, type PluginLog } from '#pdk'
import { AnonymousConsumer, challenge, type Outcome } from '#pdk/authentication.ts'
import { headerPattern, parseCredentials, type NamePassword } from './credentials.ts'
import { Directory, type BindOutcome } from './directory.ts'
import { escapeValue } from './distinguished-name.ts'
import { LoginCache } from './login-cache.ts'
import { schema } from './schema.ts'

const AUTHORIZATION = new FieldName('Authorization')
const PROXY_AUTHORIZATION = new FieldName('Proxy-Authorization')

interface State {
  readonly directory: Directory
  readonly cache: LoginCache
  readonly log: PluginLog
  readonly pattern: RegExp
  readonly attribute: string
  readonly baseDn: string
  readonly hidesCredentials: boolean
  readonly anonymous: AnonymousConsumer
  readonly challenge: { readonly headers: Readonly<Record<string, string>> }
  /** Whether the log has said that the directory fails. */
  isFailing: boolean
}

export const ldapAuth = definePlugin({
  schema,

  prepare(config, tools): State {
    const scheme = config.header_type ?? 'ldap'
    return {
      directory: new Directory({
        host: config.ldap_host,
        port: config.ldap_port,
        security: config.ldaps ? 'ldaps' : config.start_tls ? 'start_tls' : 'none',
        verifiesHost: config.verify_ldap_host,
        trusted: tools.trusted,
        lookup: tools.lookup,
        timeoutMs: config.timeout ?? 10_000,
        keepaliveMs: config.keepalive ?? 60_000,
      }),
      cache: new LoginCache(config.cache_ttl * 1000),
      log: tools.log,
      pattern: headerPattern(scheme),
      attribute: config.attribute,
      baseDn: config.base_dn,
      hidesCredentials: config.hide_credentials,
      anonymous: new AnonymousConsumer(config.anonymous, tools),
      challenge: {
        headers: { 'WWW-Authenticate': challenge(scheme === 'ldap' ? 'LDAP' : scheme, config.realm) },
      },
      isFailing: false,
    }
  },

  access(exchange, state): Outcome {
    if (state.anonymous.isSpared(exchange)) return
    const { headers } = exchange.request
    const first = parseCredentials(state.pattern, PROXY_AUTHORIZATION.get(headers))
    const second = parseCredentials(state.pattern, AUTHORIZATION.get(headers))
    const given = first ?? second
    if (given === null) return refuse(exchange, state)
    return tryNext(exchange, state, given, first === null ? null : second)
  },

  close({ directory }) {
    directory.close()
  },
})

/** As in Kong what Proxy-Authorization says comes first, and Authorization when that is wrong. */
function tryNext(exchange: Exchange, state: State, given: NamePassword, next: NamePassword | null): Outcome {
  const { name, password } = given
  const outcome = state.cache.check(name, password, () =>
    state.directory.bind(`${state.attribute}=${escapeValue(name)},${state.baseDn}`, password),
  )
  return outcome instanceof Promise
    ? outcome.then((one) => decide(exchange, state, name, one, next))
    : decide(exchange, state, name, outcome, next)
}

function decide(
  exchange: Exchange,
  state: State,
  name: string,
  outcome: BindOutcome,
  next: NamePassword | null,
): Outcome {
  if (outcome.is === 'failed') return fail(exchange, state, outcome.error)
  state.isFailing = false
  if (outcome.is === 'wrong') return next === null ? refuse(exchange, state) : tryNext(exchange, state, next, null)
  if (state.hidesCredentials) {
    AUTHORIZATION.remove(exchange.request.headers)
    PROXY_AUTHORIZATION.remove(exchange.request.headers)
  }
  identify(exchange, null, { id: name, username: name }, name)
}

/** Nobody passes because the directory can't be asked, also not as the anonymous consumer. */
function fail(exchange: Exchange, state: State, error: Error): Outcome {
  if (!state.isFailing) state.log.error({ err: error }, 'the LDAP server cannot be asked')
  state.isFailing = true
  return exchange.exit(500, { message: 'An unexpected error occurred' })
}

function refuse(exchange: Exchange, state: State): Outcome {
  return state.anonymous.standIn(exchange, exchange.fail(401, 'Unauthorized', state.challenge))
}
