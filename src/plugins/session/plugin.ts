/**
 * Sessions for browsers, as Kong's session plugin has them: after a request that another plugin authenticated the browser gets a
 * cookie, and who shows that is who he was then. It runs before those plugins, which pass over requests that have a credential
 * when they name an anonymous consumer.
 */
import {
  definePlugin,
  FieldName,
  FOREVER_MS,
  identify,
  storeFailure,
  type Consumer,
  type Document,
  type EntityReader,
  type Exchange,
  type Exit,
  type PluginLog,
} from '#pdk'
import { whenFound, type Outcome } from '#pdk/authentication.ts'
import { cookieValues, forgetCookie, setCookie, type CookieAttributes } from '#pdk/cookies.ts'
import { TextSeal } from '#pdk/text-seal.ts'
import { headerValue } from '#pdk/wire-text.ts'
import { openSession, sealSession, type Opened } from './cookie.ts'
import { sessions } from './entities.ts'
import { LoginStore } from './login-store.ts'
import { isLogout, type LogoutRules } from './logout.ts'
import { schema } from './schema.ts'
import { dueOf, isLive, newSession, remaining, renewed, type Login, type Session, type Timeouts } from './session.ts'
import { tell, toldFields, type ToldField } from './told-headers.ts'

const AUTHENTICATED_GROUPS = new FieldName('X-Authenticated-Groups')
/** Browsers keep cookies of 4096 bytes with name and attributes (RFC 6265 6.1). */
const LONGEST_COOKIE = 3900

/** One of the two cookies: of the session, and of what outlives the browser. */
interface CookieKind {
  readonly name: string
  readonly seal: TextSeal
  readonly timeouts: Timeouts
  readonly isKept: boolean
}

interface State {
  readonly entities: EntityReader
  readonly log: PluginLog
  /** Null: the login is in the cookie. */
  readonly store: LoginStore | null
  readonly cookie: CookieKind
  readonly remember: CookieKind | null
  readonly attributes: CookieAttributes
  readonly audience: string
  readonly staleMs: number
  readonly logout: LogoutRules
  readonly requestFields: readonly ToldField[]
  readonly responseFields: readonly ToldField[]
  /** What the access phase found, for the response phase of the same exchange. */
  readonly found: WeakMap<Exchange, Found>
}

interface Found {
  readonly session: Session
  readonly login: Login
  /** `remembered`: the browser was closed meanwhile, and gets a new session. */
  readonly how: 'live' | 'remembered' | 'ended'
}

export const session = definePlugin({
  schema,
  entities: [sessions],

  prepare(config, { entities, log, runtime }): State {
    const ms = (seconds: number | null) => (seconds ?? 0) * 1000
    const cookieName = config.cookie_name ?? 'session'
    const secret = config.secret ?? ''
    return {
      entities,
      log,
      store: config.storage === 'kong' ? new LoginStore(runtime, log) : null,
      cookie: {
        name: cookieName,
        seal: new TextSeal(secret, `session ${cookieName}`),
        timeouts: {
          idlingMs: ms(config.idling_timeout),
          rollingMs: ms(config.rolling_timeout),
          absoluteMs: ms(config.absolute_timeout),
        },
        isKept: false,
      },
      remember:
        config.remember === true
          ? {
              name: config.remember_cookie_name ?? 'remember',
              seal: new TextSeal(secret, `remember ${cookieName}`),
              timeouts: {
                idlingMs: 0,
                rollingMs: ms(config.remember_rolling_timeout),
                absoluteMs: ms(config.remember_absolute_timeout),
              },
              isKept: true,
            }
          : null,
      attributes: {
        path: config.cookie_path ?? '/',
        domain: config.cookie_domain,
        sameSite: config.cookie_same_site === 'Default' ? null : config.cookie_same_site,
        isHttpOnly: config.cookie_http_only !== false,
        isSecure: config.cookie_secure !== false,
      },
      audience: config.audience ?? 'default',
      staleMs: ms(config.stale_ttl),
      logout: {
        methods: config.logout_methods ?? [],
        queryArg: config.logout_query_arg,
        bodyField: config.read_body_for_logout === true ? config.logout_post_arg : null,
      },
      requestFields: toldFields(config.request_headers),
      responseFields: toldFields(config.response_headers),
      found: new WeakMap(),
    }
  },

  access(exchange, state): Outcome {
    for (const { field } of state.requestFields) field.remove(exchange.request.headers)
    const opened = openCookie(exchange, state, state.cookie)
    if (opened !== null) return withCookie(exchange, state, opened, 'live')
    const remembered = state.remember === null ? null : openCookie(exchange, state, state.remember)
    return remembered === null ? undefined : withCookie(exchange, state, remembered, 'remembered')
  },

  responseHeaders(exchange, state): void {
    if (!exchange.hasClient) return
    const found = state.found.get(exchange) ?? null
    const login = loginOf(exchange)
    if (login !== null) return withLoggedIn(exchange, state, found, login)
    if (found?.how === 'ended') forgetCookies(exchange, state)
  },
})

function withLoggedIn(exchange: Exchange, state: State, found: Found | null, login: Login): void {
  const isHis = found !== null && isSame(found.login, login)
  const live = found?.how === 'live' && isHis ? refresh(exchange, state, found.session, login) : null
  const remembered = found?.how === 'remembered' && isHis ? found.session : null
  const current = live ?? begin(exchange, state, login, remembered)
  if (found !== null && !isHis) state.store?.drop(found.session)
  if (current === null) return
  tell(exchange.response.headers, state.responseFields, current, login, state.cookie.timeouts, exchange.now)
}

function forgetCookies({ response }: Exchange, state: State): void {
  forgetCookie(response.headers, state.cookie.name, state.attributes)
  if (state.remember !== null) forgetCookie(response.headers, state.remember.name, state.attributes)
}

/** The first cookie of the name that is one of ours, for this audience, and not over. */
function openCookie(exchange: Exchange, state: State, { name, seal, timeouts }: CookieKind): Opened | null {
  for (const value of cookieValues(exchange.request.headers, name)) {
    const opened = openSession(seal, value)
    if (opened === null || opened.session.audience !== state.audience) continue
    if ((opened.login === null) !== (state.store !== null)) continue
    if (isLive(opened.session, timeouts, exchange.now)) return opened
  }
  return null
}

function withCookie(exchange: Exchange, state: State, { session, login }: Opened, how: 'live' | 'remembered'): Outcome {
  const found = login ?? state.store!.find(session, exchange.now)
  return whenFound(exchange, found, (one) =>
    one === null ? undefined : withLogin(exchange, state, { session, login: one, how }),
  )
}

function withLogin(exchange: Exchange, state: State, found: Found): Outcome {
  const ends = isLogout(exchange, state.logout)
  const next = (isEnding: boolean): Outcome =>
    isEnding ? logOut(exchange, state, found) : withOwner(exchange, state, found)
  return ends instanceof Promise ? ends.then(next) : next(ends)
}

function withOwner(exchange: Exchange, state: State, found: Found): Outcome {
  const { consumer: id } = found.login
  if (id === null) return resume(exchange, state, found, null)
  return whenFound(exchange, state.entities.get('consumers', id), (consumer) =>
    consumer === null ? end(exchange, state, found) : resume(exchange, state, found, consumer),
  )
}

function resume(exchange: Exchange, state: State, found: Found, consumer: Document | null): void {
  const { login, session } = found
  state.found.set(exchange, found)
  identify(exchange, consumer as unknown as Consumer | null, { id: login.credential }, login.credential)
  const { headers } = exchange.request
  if (login.groups === null) AUTHENTICATED_GROUPS.remove(headers)
  else {
    exchange.shared.set('authenticated_groups', login.groups)
    AUTHENTICATED_GROUPS.set(headers, headerValue(login.groups.join(', ')))
  }
  tell(headers, state.requestFields, session, login, state.cookie.timeouts, exchange.now)
}

function logOut(exchange: Exchange, state: State, found: Found): Outcome {
  const ended = end(exchange, state, found)
  const done = (failure: void | Exit): Exit => failure ?? exchange.exit(200)
  return ended instanceof Promise ? ended.then(done) : done(ended)
}

/** Removes the login before the answer says that it is gone; 503 when it can't be removed. */
function end(exchange: Exchange, state: State, found: Found): Outcome {
  state.found.set(exchange, { ...found, how: 'ended' })
  if (state.store === null) return
  const kinds = [state.cookie, ...(state.remember === null ? [] : [state.remember])]
  const removals = kinds
    .flatMap((kind) => openAll(exchange, state, kind))
    .map((session) => state.store!.remove(session))
  return Promise.all(removals).then(
    () => undefined,
    (error: unknown) => {
      // The cookie stays, because what it opens is still there.
      state.found.delete(exchange)
      return storeFailure(exchange, error)
    },
  )
}

function openAll(exchange: Exchange, state: State, { name, seal }: CookieKind): Session[] {
  return cookieValues(exchange.request.headers, name).flatMap((value) => {
    const opened = openSession(seal, value)
    return opened === null || opened.session.audience !== state.audience ? [] : [opened.session]
  })
}

/** Null for nobody, and for the anonymous consumer, who has no credential. */
function loginOf({ consumer, credential, shared }: Exchange): Login | null {
  if (credential === null) return null
  const groups: unknown = shared.get('authenticated_groups')
  return {
    consumer: consumer?.id ?? null,
    credential: credential.id,
    groups: Array.isArray(groups) ? (groups as readonly string[]) : null,
  }
}

function isSame(one: Login, other: Login): boolean {
  return one.consumer === other.consumer && one.credential === other.credential
}

function refresh(exchange: Exchange, state: State, before: Session, login: Login): Session | null {
  switch (dueOf(before, state.cookie.timeouts, exchange.now)) {
    case 'nothing':
      return before
    case 'touch': {
      const touched = { ...before, touchedMs: exchange.now }
      return write(exchange, state, state.cookie, touched, login, false) ? touched : null
    }
    case 'renew': {
      const next = renewed(before, exchange.now)
      if (!write(exchange, state, state.cookie, next, login, true)) return null
      // Requests under way still carry the one before.
      state.store?.keep(before, login, Math.max(1, state.staleMs))
      return next
    }
  }
}

/** A session of its own for each login: never one that the client brought (session fixation). */
function begin(exchange: Exchange, state: State, login: Login, remembered: Session | null): Session | null {
  const { now } = exchange
  const made = newSession(state.audience, now, now)
  if (!write(exchange, state, state.cookie, made, login, true)) return null
  if (state.remember !== null) {
    const kept = newSession(state.audience, remembered?.startedMs ?? now, now)
    write(exchange, state, state.remember, kept, login, true)
    if (remembered !== null) state.store?.keep(remembered, login, Math.max(1, state.staleMs))
  }
  return made
}

/** Puts the session in its cookie, and its login in the store when that is new; false when the cookie would be too long. */
function write(
  exchange: Exchange,
  state: State,
  kind: CookieKind,
  made: Session,
  login: Login,
  isNew: boolean,
): boolean {
  const value = sealSession(kind.seal, { session: made, login: state.store === null ? login : null })
  if (kind.name.length + value.length > LONGEST_COOKIE) {
    state.log.warn(
      { cookie: kind.name, bytes: value.length },
      'a session does not fit in a cookie, storage = kong would do',
    )
    return false
  }
  const [, rolling, absolute] = remaining(made, kind.timeouts, exchange.now)
  const leftMs = Math.min(rolling, absolute)
  if (isNew) state.store?.keep(made, login, leftMs === Infinity ? FOREVER_MS : leftMs)
  setCookie(
    exchange.response.headers,
    kind.name,
    value,
    state.attributes,
    kind.isKept && leftMs !== Infinity ? leftMs / 1000 : null,
  )
  return true
}
