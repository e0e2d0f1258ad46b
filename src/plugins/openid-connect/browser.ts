/** Requests of browsers: with a session, with the provider's answer to a login, or with nothing. */
import { storeFailure, type Exchange, type Exit } from '#pdk'
import { whenFound, type Outcome } from '#pdk/authentication.ts'
import { admit } from './admit.ts'
import { beginLogin, finishLogin, isAnswer, loginOf, pendingOf } from './code-flow.ts'
import { factsOf, subjectOf } from './login-subject.ts'
import { isLogout, logOut } from './logout.ts'
import { refuse, refuseLogin } from './refusal.ts'
import type { LiveSession } from './sessions.ts'
import { failed, type State } from './state.ts'

/** An access token that ends within this time is renewed now. */
const EARLY_MS = 5000

export function withBrowser(exchange: Exchange, state: State): Outcome {
  if (!state.methods.has('session')) return withSession(exchange, state, null)
  const found = state.sessions.find(exchange)
  return whenFound(exchange, found, (live) => withSession(exchange, state, live))
}

function withSession(exchange: Exchange, state: State, live: LiveSession | null): Outcome {
  const logsIn = state.methods.has('authorization_code')
  const isFromProvider = logsIn && isAnswer(exchange, state)
  const begun = isFromProvider ? pendingOf(exchange, state) : null
  if (begun !== null) return finishLogin(exchange, state, begun, live)
  if (live !== null) return withLive(exchange, state, live)
  // An answer to a login that this browser did not begin: somebody wants it to be logged in as he is.
  if (isFromProvider) return refuseLogin(exchange, state, 'the state is not of a login that this browser began')
  const { method } = exchange.request
  const canLogIn = logsIn && !state.anonymous.isThere && (method === 'GET' || method === 'HEAD')
  return canLogIn ? beginLogin(exchange, state) : refuse(exchange, state)
}

function withLive(exchange: Exchange, state: State, live: LiveSession): Outcome {
  const ends = isLogout(exchange, state)
  if (ends instanceof Promise)
    return ends.then((one) => (one ? logOut(exchange, state, live) : checkEnded(exchange, state, live)))
  return ends ? logOut(exchange, state, live) : checkEnded(exchange, state, live)
}

function checkEnded(exchange: Exchange, state: State, live: LiveSession): Outcome {
  if (state.ended === null) return checkTokens(exchange, state, live)
  const isEnded = state.ended.isEnded(factsOf(live.login), live.session.startedMs, exchange.now)
  return whenFound(exchange, isEnded, (isEnded) =>
    isEnded ? endAndAskAgain(exchange, state, live) : checkTokens(exchange, state, live),
  )
}

function checkTokens(exchange: Exchange, state: State, live: LiveSession): Outcome {
  const { expiresAtMs, refreshToken } = live.login
  const canRefresh = refreshToken !== null && state.config.refresh_tokens
  if (expiresAtMs === null || exchange.now < expiresAtMs - (canRefresh ? EARLY_MS : 0))
    return resume(exchange, state, live)
  return canRefresh ? refresh(exchange, state, live, refreshToken) : endAndAskAgain(exchange, state, live)
}

function resume(exchange: Exchange, state: State, live: LiveSession): Outcome {
  if (!state.sessions.isDue(exchange, live)) return admitLive(exchange, state, live)
  return whenFound(exchange, state.sessions.use(exchange, live), () => admitLive(exchange, state, live))
}

function admitLive(exchange: Exchange, state: State, live: LiveSession): Outcome {
  return admit(exchange, state, subjectOf(live.login))
}

async function refresh(
  exchange: Exchange,
  state: State,
  live: LiveSession,
  refreshToken: string,
): Promise<void | Exit> {
  const metadata = await state.provider.metadata(exchange.now)
  if ('problem' in metadata) return failed(exchange, state, metadata.problem)
  try {
    const granted = await state.tokens.refresh(metadata, refreshToken, exchange.now)
    if (granted.is === 'failed') return failed(exchange, state, granted.problem)
    if (granted.is === 'refused') return await endAndAskAgain(exchange, state, live)
    const { tokens } = granted
    const problem = tokens.idToken === null ? null : await idTokenProblem(exchange, state, live, tokens.idToken)
    if (problem !== null) return problem
    const idToken = tokens.idToken ?? live.login.idToken
    const login = loginOf(
      { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken, scope: tokens.scope ?? live.login.scope },
      idToken,
      live.login.userInfo,
      exchange.now,
    )
    return await resume(exchange, state, await state.sessions.replace(exchange, live, login))
  } catch (error) {
    return storeFailure(exchange, error)
  }
}

/** OpenID Connect Core 12.2: it is about the same user, of the same provider. */
async function idTokenProblem(
  exchange: Exchange,
  state: State,
  live: LiveSession,
  idToken: string,
): Promise<void | Exit | null> {
  const verified = await state.verifier.verify(idToken, state.provider, { audience: state.identity!.id }, exchange.now)
  if (verified.is === 'failed') return failed(exchange, state, verified.problem)
  if (verified.is === 'valid' && verified.claims['sub'] === factsOf(live.login).subject) return null
  return endAndAskAgain(exchange, state, live)
}

/** The session is over, as if the browser had none. */
async function endAndAskAgain(exchange: Exchange, state: State, live: LiveSession): Promise<void | Exit> {
  try {
    await state.sessions.end(exchange, live)
  } catch (error) {
    return storeFailure(exchange, error)
  }
  return withSession(exchange, state, null)
}
