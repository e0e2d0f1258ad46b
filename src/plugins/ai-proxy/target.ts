/** Sends a request to the service of a model in place of the route's own, with what authenticates there; and takes that out again for logs. */
import { FieldName, type Exchange } from '#pdk'
import type { ModelSettings } from '../ai/provider.ts'
import { urlOf } from '../ai/provider-url.ts'
import type { State } from './state.ts'

const AUTHORIZATION = new FieldName('Authorization')
const ACCEPT_ENCODING = new FieldName('Accept-Encoding')
const ANTHROPIC_VERSION = new FieldName('anthropic-version')
const CONTENT_TYPE = new FieldName('Content-Type')
const COOKIE = new FieldName('Cookie')
const REDACTED = 'REDACTED'
/** Name of what the client sent. */
const OWN_QUERY = 'ai-proxy query'

/** Of a request that is changed nothing goes along that the client meant for the gateway: cookies, query, its own key. */
export function sendToModel(
  exchange: Exchange,
  state: State,
  model: ModelSettings,
  name: string,
  isStreamed: boolean,
): void {
  const { request, upstream, chooser } = exchange
  const { config } = state
  const { headers } = request
  const routeType = config.route_type
  const isKept = routeType === 'preserve'
  const url = urlOf(model, routeType, name, isStreamed)
  chooser?.choose('origin', url.origin)
  upstream.path = url.pathname
  upstream.hostHeader = url.host
  exchange.shared.set(OWN_QUERY, request.query)
  request.query = queryOf(url, request.query, isKept, state)
  if (!isKept) {
    CONTENT_TYPE.set(headers, 'application/json')
    COOKIE.remove(headers)
    // What comes back is read here.
    ACCEPT_ENCODING.set(headers, 'identity')
  }
  if (state.model.provider === 'anthropic') ANTHROPIC_VERSION.set(headers, state.model.options?.anthropic_version ?? '')
  authenticate(exchange, state)
}

function authenticate({ request: { headers } }: Exchange, { config: { auth }, authHeader }: State): void {
  if (auth === null) return
  const isOwnKept = auth.allow_override === true
  if (authHeader !== null && !(isOwnKept && authHeader.has(headers))) authHeader.set(headers, auth.header_value ?? '')
  // With it the client has shown the gateway who it is: nobody else learns that.
  const isReplaced = authHeader?.name.toLowerCase() === 'authorization'
  if (!isOwnKept && !isReplaced && (authHeader !== null || auth.param_name !== null)) AUTHORIZATION.remove(headers)
}

/** The service's own arguments, the client's where its request is passed as it is, and the one that authenticates. */
function queryOf(url: URL, query: string | null, isKept: boolean, { config: { auth } }: State): string | null {
  const own = new URLSearchParams(query ?? '')
  const args = new URLSearchParams(isKept ? own : '')
  for (const [name, value] of url.searchParams) args.set(name, value)
  if (auth !== null && auth.param_location === 'query' && auth.param_name !== null) {
    const shown = auth.allow_override === true ? own.get(auth.param_name) : null
    args.set(auth.param_name, shown ?? auth.param_value ?? '')
  }
  const text = args.toString()
  return text === '' ? null : text
}

/** Keys are for the service alone. Logs, traces and access logs are written after this, and show the query that the client sent. */
export function hideKeys(exchange: Exchange, { config: { auth }, authHeader }: State): void {
  const { request } = exchange
  const own = exchange.recall(OWN_QUERY) as string | null | undefined
  if (own !== undefined) request.query = own
  if (auth === null) return
  if (authHeader?.has(request.headers) === true) authHeader.set(request.headers, REDACTED)
  if (request.query === null || auth.param_location !== 'query' || auth.param_name === null) return
  const args = new URLSearchParams(request.query)
  if (!args.has(auth.param_name)) return
  args.set(auth.param_name, REDACTED)
  request.query = args.toString()
}
