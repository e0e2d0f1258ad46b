/** Answers of the authorization server (RFC 6749 5.1, 5.2): JSON that no cache may keep. */
import type { Exchange, Exit } from '#pdk'

/** What is wrong with a request, in OAuth's words. */
export interface Problem {
  readonly error: string
  readonly error_description: string
  /** The client's name and secret came in a header: then it is 401 with a challenge (RFC 6749 5.2). */
  readonly isChallenged?: boolean
}

export function problem(error: string, description: string): Problem {
  return { error, error_description: description }
}

export const INVALID_CLIENT = problem('invalid_client', 'Invalid client authentication')
export const INVALID_CLIENT_CHALLENGED: Problem = { ...INVALID_CLIENT, isChallenged: true }
export const INVALID_CODE = problem('invalid_request', 'Invalid code')
export const INVALID_REDIRECT_URI = problem(
  'invalid_request',
  'Invalid redirect_uri that does not match with any redirect_uri created with the application',
)
export const INVALID_PROVISION_KEY = problem('invalid_provision_key', 'Invalid provision_key')
export const MISSING_USER = problem('invalid_authenticated_userid', 'Missing authenticated_userid parameter')

export function isProblem(value: object | string | null): value is Problem {
  return typeof value === 'object' && value !== null && 'error' in value
}

export function endpointAnswer(exchange: Exchange, status: number, body: object): Exit {
  return exchange.exit(status, body, { headers: { 'Cache-Control': 'no-store', Pragma: 'no-cache' } })
}

export function problemAnswer(exchange: Exchange, found: Problem, state: string | null): Exit {
  const { error, error_description, isChallenged = false } = found
  const body = { error, error_description, ...(state === null ? {} : { state }) }
  return exchange.exit(isChallenged ? 401 : 400, body, {
    headers: {
      'Cache-Control': 'no-store',
      Pragma: 'no-cache',
      ...(isChallenged ? { 'WWW-Authenticate': 'Basic realm="OAuth2.0"' } : {}),
    },
  })
}
