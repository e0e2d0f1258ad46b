/** Who is asking: decided by the listener, a token or a client certificate, before anything of the request is acted on. */
import type { IncomingHttpHeaders } from 'node:http'
import { type Answer, answerMessage, withHeaders } from './answer.ts'
import type { AccessList, Principal } from './tokens.ts'

export interface Caller {
  readonly headers: IncomingHttpHeaders
  /** Whether the listener is bound to loopback (or a Unix socket) only; not whether this connection came that way. */
  readonly isLoopbackListener: boolean
  /** Common name of the client's certificate when the listener verified one. */
  readonly subject: string | null
}

export type Authentication =
  | { readonly ok: true; readonly principal: Principal }
  | { readonly ok: false; readonly answer: Answer }

/** On loopback everybody is admin unless they present a token; elsewhere a token or a certificate is needed. */
export function authenticate(caller: Caller, access: AccessList, nowMs: number): Authentication {
  const token = access.hasTokens ? presentedToken(caller.headers) : undefined
  if (token !== undefined) {
    const principal = access.byToken(token, nowMs)
    return principal === null ? refused('the token is unknown or has expired') : { ok: true, principal }
  }
  if (caller.subject !== null) {
    const principal = access.bySubject(caller.subject, nowMs)
    if (principal !== null) return { ok: true, principal }
  }
  if (caller.isLoopbackListener) return { ok: true, principal: { name: 'local', role: 'admin' } }
  return refused(
    caller.subject === null
      ? "expected a token in 'Kong-Admin-Token' or 'Authorization: Bearer'"
      : `the client certificate's subject '${caller.subject}' has no entry in admin_token_file`,
  )
}

function presentedToken(headers: IncomingHttpHeaders): string | undefined {
  const own = headers['kong-admin-token']
  if (own !== undefined) return String(own)
  return /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
}

function refused(reason: string): Authentication {
  return {
    ok: false,
    answer: withHeaders(answerMessage(401, `Unauthorized: ${reason}`), {
      'WWW-Authenticate': 'Bearer realm="meridian admin"',
    }),
  }
}
