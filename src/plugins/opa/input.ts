/** The input document of a policy, in the form in which Kong's plugin gives it. */
import type { Exchange } from '#pdk'
import { parseArgs } from '#pdk/form.ts'
import { fromWire } from '#pdk/wire-text.ts'
import type { Config } from './schema.ts'

export interface Input {
  readonly request: { readonly http: Readonly<Record<string, unknown>> }
  readonly client_ip: string
  readonly [part: string]: unknown
}

/** @param body null where the policy does not look at it */
export function inputOf(exchange: Exchange, config: Config, body: Buffer | null): Input {
  const { request } = exchange
  const http: Record<string, unknown> = {
    host: fromWire(request.host),
    port: String(request.port),
    tls: tlsOf(exchange),
    method: request.method,
    scheme: request.scheme,
    path: fromWire(request.path),
    querystring: textsOf(parseArgs(request.query)),
    headers: headersOf(exchange, config.input_headers),
  }
  if (body !== null && config.include_body_in_opa_input) {
    http['body'] = body.toString('utf8')
    http['body_size'] = body.length
  }
  const parsed = body !== null && config.include_parsed_json_body_in_opa_input ? parsedJson(exchange, body) : undefined
  if (parsed !== undefined) http['parsed_body'] = parsed
  if (config.include_uri_captures_in_opa_input && exchange.captures !== null) http['uri_captures'] = exchange.captures
  return {
    request: { http },
    client_ip: request.clientIp,
    ...(config.include_service_in_opa_input && { service: exchange.service }),
    ...(config.include_route_in_opa_input && { route: exchange.route }),
    ...(config.include_consumer_in_opa_input && { consumer: exchange.consumer }),
  }
}

function tlsOf({ request: { tls, sni } }: Exchange): object {
  if (tls === null) return {}
  return { version: tls.version, cipher: tls.cipher, client_verify: tls.clientVerify, ...(sni !== null && { sni }) }
}

/** Several values become a list. */
function textsOf(args: ReturnType<typeof parseArgs>): Record<string, unknown> {
  const texts: [string, unknown][] = []
  for (const [name, values] of args) {
    const shown = values.map((value) => (value === true ? true : fromWire(value)))
    texts.push([fromWire(name), shown.length === 1 ? shown[0] : shown])
  }
  // Not by assignment: a name that a client chose must be a name and nothing else.
  return Object.fromEntries(texts)
}

function headersOf({ request }: Exchange, wanted: readonly string[] | null): Record<string, string> {
  const names = wanted === null ? null : new Set(wanted.map((name) => name.toLowerCase()))
  const entries = Object.entries(request.headers.toObject()).filter(([name]) => names === null || names.has(name))
  return Object.fromEntries(
    entries.map(([name, value]) => [name, fromWire(Array.isArray(value) ? value.join(', ') : value)]),
  )
}

/** Undefined for what is no JSON. */
function parsedJson({ request: { headers } }: Exchange, body: Buffer): unknown {
  if (!/^application\/json\b/i.test(headers.get('content-type') ?? '')) return undefined
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch {
    // The policy sees that there is none, and decides.
    return undefined
  }
}
