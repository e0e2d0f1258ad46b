/** Answers to who has not proven who he is. */
import type { Exchange, Exit } from '#pdk'
import type { Outcome } from '#pdk/authentication.ts'
import type { State } from './state.ts'

/** A request that shows nothing (RFC 6750 3: it is told no error). */
export function refuse(exchange: Exchange, state: State): Outcome {
  return state.anonymous.standIn(exchange, unauthorized(exchange, state, 'Bearer'))
}

/** One that shows a token which does not count. The reason is for the log: it says what a forger should try next. */
export function refuseToken(exchange: Exchange, state: State, reason: string): Outcome {
  state.log.debug({ request_id: exchange.id, reason }, 'a token was refused')
  return state.anonymous.standIn(exchange, unauthorized(exchange, state, 'Bearer error="invalid_token"'))
}

/** A login that went wrong: never another try by itself, which could go round for ever. */
export function refuseLogin(exchange: Exchange, state: State, reason: string): Exit {
  state.log.debug({ request_id: exchange.id, reason }, 'a login was refused')
  return unauthorized(exchange, state, 'Bearer')
}

function unauthorized(exchange: Exchange, state: State, challenge: string): Exit {
  return exchange.exit(
    401,
    { message: state.config.unauthorized_error_message },
    { headers: { 'WWW-Authenticate': challenge, 'Cache-Control': 'no-store' } },
  )
}
