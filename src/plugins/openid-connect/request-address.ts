/** Addresses of the request as its client sees them. */
import type { Exchange } from '#pdk'
import { removeArg } from '#pdk/form.ts'
import { safePath } from '#pdk/wire-text.ts'
import { schemeOf } from './cookie-rules.ts'

/** What the provider adds to the address that it sends a browser back to. */
const ANSWER_ARGS = ['code', 'state', 'iss', 'session_state', 'error', 'error_description', 'error_uri'] as const

/**
 * Path and query, to send a browser back to. One slash at the front, and no backslash, which browsers read as one: with two a browser
 * would go to another host.
 */
export function targetOf({ request }: Exchange): string {
  const path = safePath(request.rawPath).replace(/^\/*/, '/')
  const query = withoutAnswer(request.query)
  return query === null ? path : `${path}?${safePath(query)}`
}

/** The address of the request without its query: where the provider sends a browser when the configuration does not say. */
export function addressOf(exchange: Exchange): string {
  return `${schemeOf(exchange)}://${exchange.request.hostHeader}${safePath(exchange.request.rawPath)}`
}

export function withoutAnswer(query: string | null): string | null {
  return ANSWER_ARGS.reduce((left: string | null, name) => removeArg(left, name), query)
}
