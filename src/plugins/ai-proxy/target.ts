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

/** Only where requests are changed does anything of the client's own go that was meant for the gateway. */
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
  request.query = queryOf(url, isKept ? request.query : null, state)
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

/** The service's own arguments, those of a request that is passed as it is, and the one that authenticates. */
function queryOf(url: URL, own: string | null, { config: { auth } }: State): string | null {
  const args = new URLSearchParams(own ?? '')
  for (const [name, value] of url.searchParams) args.set(name, value)
  if (auth !== null && auth.param_location === 'query' && auth.param_name !== null) {
    if (!(auth.allow_override === true && args.has(auth.param_name))) args.set(auth.param_name, auth.param_value ?? '')
  }
  const text = args.toString()
  return text === '' ? null : text
}

/** Keys are for the service alone: logs, traces and access logs are written after this. */
export function hideKeys({ request }: Exchange, { config: { auth }, authHeader }: State): void {
  if (auth === null) return
  if (authHeader?.has(request.headers) === true) authHeader.set(request.headers, REDACTED)
  if (request.query === null || auth.param_location !== 'query' || auth.param_name === null) return
  const args = new URLSearchParams(request.query)
  if (!args.has(auth.param_name)) return
  args.set(auth.param_name, REDACTED)
  request.query = args.toString()
}
