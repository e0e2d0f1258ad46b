/** Cross-origin resource sharing (WHATWG Fetch 3.2): answers preflights and marks responses, as Kong's cors does. */
import { definePlugin, FieldName, type Exchange, type Exit } from '#pdk'
import { headerValue } from '#pdk/wire-text.ts'
import { compileOrigins, parseOrigin, type AllowedOrigins } from './origin.ts'
import { schema } from './schema.ts'

interface State {
  readonly origins: AllowedOrigins
  readonly allowsCredentials: boolean
  readonly allowsPrivateNetwork: boolean
  readonly passesPreflights: boolean
  readonly methods: string
  /** Null echoes what the client asks for. */
  readonly requestHeaders: string | null
  readonly exposedHeaders: string | null
  readonly maxAge: string | null
}

const DEFAULT_METHODS = ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']
/** Set for exchanges whose CORS headers are somebody else's: preflights that were passed on, or already answered. */
const DONE = 'cors.done'

const VARY = new FieldName('Vary')
const ALLOW_ORIGIN = new FieldName('Access-Control-Allow-Origin')
const ALLOW_CREDENTIALS = new FieldName('Access-Control-Allow-Credentials')
const EXPOSE_HEADERS = new FieldName('Access-Control-Expose-Headers')

export const cors = definePlugin({
  schema,

  prepare(config): State {
    return {
      origins: compileOrigins(config.origins),
      allowsCredentials: config.credentials,
      allowsPrivateNetwork: config.private_network,
      passesPreflights: config.preflight_continue,
      methods: (config.methods ?? DEFAULT_METHODS).join(','),
      requestHeaders: joined(config.headers),
      exposedHeaders: joined(config.exposed_headers),
      maxAge: config.max_age === null ? null : String(config.max_age),
    }
  },

  access(exchange, state): void | Exit {
    if (exchange.request.method !== 'OPTIONS' || !isPreflight(exchange)) return
    exchange.shared.set(DONE, true)
    if (!state.passesPreflights) return exchange.exit(200, null, { headers: preflightHeaders(exchange, state) })
  },

  responseHeaders(exchange, state) {
    // Only a preflight can be done with, so other methods need no look.
    if (exchange.request.method === 'OPTIONS' && exchange.shared.has(DONE)) return
    const { headers } = exchange.response
    const allowed = allowedOrigin(exchange, state)
    if (allowed.varies) VARY.append(headers, 'Origin')
    if (allowed.origin === null) ALLOW_ORIGIN.remove(headers)
    else ALLOW_ORIGIN.set(headers, allowed.origin)
    if (allowed.withCredentials) ALLOW_CREDENTIALS.set(headers, 'true')
    if (state.exposedHeaders !== null) EXPOSE_HEADERS.set(headers, state.exposedHeaders)
  },
})

function isPreflight({ request: { headers } }: Exchange): boolean {
  return headers.has('origin') && headers.has('access-control-request-method')
}

function preflightHeaders(exchange: Exchange, state: State): Record<string, string> {
  const asked = exchange.request.headers
  const allowed = allowedOrigin(exchange, state)
  const headers: Record<string, string> = {}
  if (allowed.varies) headers['Vary'] = 'Origin'
  if (allowed.origin !== null) headers['Access-Control-Allow-Origin'] = allowed.origin
  if (allowed.withCredentials) headers['Access-Control-Allow-Credentials'] = 'true'
  const requestHeaders = state.requestHeaders ?? asked.get('access-control-request-headers')
  if (requestHeaders !== null) headers['Access-Control-Allow-Headers'] = requestHeaders
  headers['Access-Control-Allow-Methods'] = state.methods
  if (state.maxAge !== null) headers['Access-Control-Max-Age'] = state.maxAge
  if (state.allowsPrivateNetwork && asked.get('access-control-request-private-network') === 'true') {
    headers['Access-Control-Allow-Private-Network'] = 'true'
  }
  return headers
}

interface Allowed {
  /** Value of Access-Control-Allow-Origin; null for none. */
  readonly origin: string | null
  readonly withCredentials: boolean
  /** Whether the answer depends on who asks, so that caches must keep it apart. */
  readonly varies: boolean
}

const ANYBODY: Allowed = { origin: '*', withCredentials: false, varies: false }

function allowedOrigin(exchange: Exchange, { origins, allowsCredentials }: State): Allowed {
  if (origins.kind === 'one') return { origin: origins.origin, withCredentials: allowsCredentials, varies: true }
  if (origins.kind === 'any' && !allowsCredentials) return ANYBODY
  const asking = exchange.request.headers.get('origin')
  // Browsers refuse `*` together with credentials, so the origin is named.
  if (origins.kind === 'any') return asking === null ? ANYBODY : { origin: asking, withCredentials: true, varies: true }
  const origin = asking === null ? null : parseOrigin(asking)
  return {
    origin: origin !== null && origins.takes(origin) ? origin.text : null,
    withCredentials: allowsCredentials,
    varies: true,
  }
}

function joined(names: readonly string[] | null): string | null {
  return names === null || names.length === 0 ? null : headerValue(names.join(','))
}
