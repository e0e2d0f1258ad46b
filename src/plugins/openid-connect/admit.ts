/** What follows when somebody has proven who he is: may he in, whose consumer is he, and what is the upstream told. */
import { FieldName, identify, type Consumer, type Document, type Exchange, type Exit } from '#pdk'
import { whenFound, type Outcome } from '#pdk/authentication.ts'
import { headerValue } from '#pdk/wire-text.ts'
import { clearClaimHeaders, setClaimHeaders } from '../identity/claim-headers.ts'
import { findClaim, isMet, textOf, textsOf, type Claims } from '../identity/claims.ts'
import { findConsumer } from '../identity/consumers.ts'
import type { State } from './state.ts'

/** Who he is, as tokens and provider say. */
export interface Subject {
  /** Where claims are looked for, the first first. */
  readonly sources: readonly Claims[]
  readonly accessToken: string | null
  readonly idToken: string | null
  readonly userInfo: Claims | null
  readonly introspected: Claims | null
}

const AUTHENTICATED_GROUPS = new FieldName('X-Authenticated-Groups')

/** Takes off what only the gateway may say. */
export function clearHeaders(exchange: Exchange, { claimHeaders, tokenHeaders, config }: State): void {
  const { headers } = exchange.request
  clearClaimHeaders(headers, claimHeaders)
  tokenHeaders.idToken?.remove(headers)
  tokenHeaders.userInfo?.remove(headers)
  tokenHeaders.introspection?.remove(headers)
  // Authorization has the client's own credentials, which are looked at first.
  if (tokenHeaders.accessToken?.isBearer === false) tokenHeaders.accessToken.field.remove(headers)
  // Another plugin may have found out groups.
  if (config.authenticated_groups_claim !== null && exchange.recall('authenticated_groups') === undefined)
    AUTHENTICATED_GROUPS.remove(headers)
}

/** Null lets in; else the refusal, which says that proving it again would not help. */
export function admit(exchange: Exchange, state: State, subject: Subject): Outcome {
  const { sources } = subject
  if (!state.requirements.every((requirement) => isMet(sources, requirement))) return forbid(exchange, state)
  const path = state.config.consumer_claim
  if (path === null || path.length === 0) return letIn(exchange, state, subject, null)
  const name = textOf(findClaim(sources, path))
  if (name === null) return withConsumer(exchange, state, subject, null)
  return whenFound(exchange, findConsumer(state.entities, name, state.config.consumer_by), (consumer) =>
    withConsumer(exchange, state, subject, consumer),
  )
}

function withConsumer(exchange: Exchange, state: State, subject: Subject, consumer: Document | null): Outcome {
  if (consumer === null && !state.config.consumer_optional) return forbid(exchange, state)
  return letIn(exchange, state, subject, consumer)
}

function letIn(exchange: Exchange, state: State, subject: Subject, consumer: Document | null): void {
  const { sources, accessToken, idToken, userInfo, introspected } = subject
  const { headers } = exchange.request
  const { config, tokenHeaders } = state
  state.isFailing = false
  if (state.methods.has('session')) {
    state.sessions.hideCookies(exchange)
    state.pending.hideCookie(exchange)
  }
  // Whoever it is has proven it: without a name of his own he is who the provider speaks of.
  const id = textOf(findClaim(sources, config.credential_claim)) ?? textOf(findClaim(sources, ['sub'])) ?? config.issuer
  identify(exchange, consumer as unknown as Consumer | null, { id }, id)
  if (config.authenticated_groups_claim !== null) {
    const groups = textsOf(findClaim(sources, config.authenticated_groups_claim))
    exchange.shared.set('authenticated_groups', groups)
    if (groups.length > 0) AUTHENTICATED_GROUPS.set(headers, headerValue(groups.join(', ')))
  }
  setClaimHeaders(headers, state.claimHeaders, sources)
  if (accessToken !== null && tokenHeaders.accessToken !== null) {
    const { field, isBearer } = tokenHeaders.accessToken
    field.set(headers, headerValue(isBearer ? `Bearer ${accessToken}` : accessToken))
  }
  if (idToken !== null) tokenHeaders.idToken?.set(headers, headerValue(idToken))
  if (userInfo !== null) tokenHeaders.userInfo?.set(headers, encoded(userInfo))
  if (introspected !== null) tokenHeaders.introspection?.set(headers, encoded(introspected))
}

function forbid(exchange: Exchange, state: State): Exit {
  return exchange.exit(
    403,
    { message: state.config.forbidden_error_message },
    { headers: { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' } },
  )
}

/** As Kong passes objects: base64 of JSON. */
function encoded(claims: Claims): string {
  return Buffer.from(JSON.stringify(claims)).toString('base64')
}
