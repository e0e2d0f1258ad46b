/** Who a login is about. Its tokens came from the provider itself, and were sealed since: they are read and not verified again. */
import { textOf, type Claims } from '../identity/claims.ts'
import type { Subject } from './admit.ts'
import type { Login } from './sessions.ts'
import { unprovenClaims } from './verify.ts'

export function subjectOf({ idToken, accessToken, scope, userInfo }: Login): Subject {
  const sources: Claims[] = []
  const access = unprovenClaims(accessToken)
  if (access !== null) sources.push(access)
  const id = unprovenClaims(idToken)
  if (id !== null) sources.push(id)
  if (userInfo !== null) sources.push(userInfo)
  if (scope !== null) sources.push({ scope })
  return { sources, accessToken, idToken, userInfo, introspected: null }
}

export interface LoginFacts {
  readonly issuer: string
  readonly subject: string
  /** The provider's session; null when it names none. */
  readonly sid: string | null
}

export function factsOf({ idToken }: Login): LoginFacts {
  const claims = unprovenClaims(idToken) ?? {}
  return { issuer: textOf(claims['iss']) ?? '', subject: textOf(claims['sub']) ?? '', sid: textOf(claims['sid']) }
}
