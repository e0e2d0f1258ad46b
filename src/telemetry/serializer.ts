/** The log record of an exchange in Kong's form: what log plugins send. Made after the last byte, only where a plugin wants it. */
import type { LoggedExchange } from './logged-exchange.ts'
import type { Masking } from './masking.ts'
import { REDACTED } from './sensitive-text.ts'

export interface LogRecord {
  readonly request: Readonly<Record<string, unknown>>
  readonly upstream_uri: string
  readonly upstream_status: string
  readonly response: Readonly<Record<string, unknown>>
  readonly latencies: Latencies
  readonly client_ip: string
  readonly started_at: number
  readonly source: 'upstream' | 'kong'
  readonly [field: string]: unknown
}

/** Milliseconds, whole; `proxy` is -1 when no upstream answered. */
export interface Latencies {
  readonly kong: number
  readonly proxy: number
  readonly request: number
  readonly receive: number
}

const NS_PER_MS = 1_000_000

/** A record of the caller's own, with what `masking` hides replaced; entities in it are those of the configuration. */
export function serializeExchange(exchange: LoggedExchange, masking: Masking): LogRecord {
  if (exchange.sessionProtocol != null) return serializeSession(exchange, masking)
  const { request, response, route, service, consumer, credential, workspace } = exchange
  const query = masking.query(request.query)
  const uri = withQuery(request.rawPath, query)
  const record: Record<string, unknown> = {
    request: {
      id: exchange.id,
      uri,
      url: `${request.scheme}://${request.host}:${request.port}${uri}`,
      querystring: parseQuery(request.query, masking),
      method: request.method,
      headers: masking.headers(textOf(request.headers.toObject())),
      size: request.bytesReceived,
      ...(request.tls !== null && {
        tls: { version: request.tls.version, cipher: request.tls.cipher, client_verify: request.tls.clientVerify },
      }),
    },
    upstream_uri: exchange.upstream.path === '' ? '' : withQuery(exchange.upstream.path, query),
    upstream_status: exchange.upstreamStatus === 0 ? '' : String(exchange.upstreamStatus),
    response: {
      status: response.status,
      headers: masking.headers(textOf(response.headers.toObject()), true),
      size: response.bytesSent,
    },
    latencies: latenciesOf(exchange),
    ...triesOf(exchange),
    ...(credential !== null && {
      authenticated_entity: { id: credential.id, ...(consumer !== null && { consumer_id: consumer.id }) },
    }),
    ...(route !== null && { route }),
    ...(service !== null && { service }),
    ...(consumer !== null && { consumer }),
    client_ip: request.clientIp,
    started_at: Math.floor(exchange.startedAtMs),
    source: response.source === 'service' ? 'upstream' : 'kong',
    ...(workspace !== null && { workspace: workspace.id, workspace_name: workspace.name ?? '' }),
    ...exchange.logFields,
  }
  masking.record(record)
  return record as unknown as LogRecord
}

/** Kong's record of a session below HTTP. */
function serializeSession(exchange: LoggedExchange, masking: Masking): LogRecord {
  const { request, response, route, service, workspace } = exchange
  const record: Record<string, unknown> = {
    session: {
      received: request.bytesReceived,
      sent: response.bytesSent,
      status: response.status,
      server_port: request.serverPort,
      ...(request.tls !== null && {
        tls: { version: request.tls.version, cipher: request.tls.cipher, client_verify: request.tls.clientVerify },
      }),
    },
    protocol: exchange.sessionProtocol,
    upstream: { received: response.bytesSent, sent: request.bytesReceived },
    latencies: { session: Math.round(Math.max(0, exchange.totalLatencyMs)) },
    ...triesOf(exchange),
    ...(route !== null && { route }),
    ...(service !== null && { service }),
    client_ip: request.clientIp,
    started_at: Math.floor(exchange.startedAtMs),
    ...(workspace !== null && { workspace: workspace.id, workspace_name: workspace.name ?? '' }),
  }
  masking.record(record)
  return record as unknown as LogRecord
}

function triesOf({ tries }: LoggedExchange): object | false {
  return (
    tries.length > 0 && {
      tries: tries.map(({ ip, port, startedAtMs, latencyMs, state, code }) => ({
        balancer_start: Math.floor(startedAtMs),
        balancer_start_ns: startedAtMs * NS_PER_MS,
        balancer_latency: Math.round(latencyMs),
        balancer_latency_ns: Math.round(latencyMs * NS_PER_MS),
        ip,
        port,
        ...(state !== '' && { state }),
        ...(code !== 0 && { code }),
      })),
    }
  )
}

/** `kong` is all but the wait for the upstream's head; `receive` the time that the rest of its response took. */
export function latenciesOf(exchange: LoggedExchange): Latencies {
  const { proxyLatencyMs, upstreamLatencyMs, totalLatencyMs } = exchange
  const request = Math.max(0, totalLatencyMs)
  if (upstreamLatencyMs < 0) return { kong: Math.round(request), proxy: -1, request: Math.round(request), receive: 0 }
  return {
    kong: Math.round(Math.max(0, request - upstreamLatencyMs)),
    proxy: Math.round(upstreamLatencyMs),
    request: Math.round(request),
    receive: Math.round(Math.max(0, request - upstreamLatencyMs - Math.max(0, proxyLatencyMs))),
  }
}

/** The target as the client sent it. */
export function uriOf({ request }: LoggedExchange): string {
  return withQuery(request.rawPath, request.query)
}

function withQuery(path: string, query: string | null): string {
  return query === null ? path : `${path}?${query}`
}

/** Values come with a character for each byte; most senders mean UTF-8. */
function textOf(fields: Readonly<Record<string, string | readonly string[]>>): Record<string, unknown> {
  const shown: Record<string, unknown> = { ...fields }
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string') {
      if (NOT_ASCII.test(value)) shown[name] = Buffer.from(value, 'latin1').toString('utf8')
    } else if (value.some((one) => NOT_ASCII.test(one)))
      shown[name] = value.map((one) => Buffer.from(one, 'latin1').toString('utf8'))
  }
  return shown
}

const NOT_ASCII = /[\u0080-\u00ff]/

/** Arguments that a log shows at most, as Kong. */
const MAX_ARGUMENTS = 100

/** Decoded; `true` for an argument without '=', a list where it came several times. */
function parseQuery(query: string | null, masking: Masking): Record<string, unknown> {
  const args: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  if (query === null) return args
  for (const part of query.split('&', MAX_ARGUMENTS)) {
    if (part === '') continue
    const at = part.indexOf('=')
    const name = decode(at < 0 ? part : part.slice(0, at))
    const value = at < 0 ? true : masking.hidesArgument(name) ? REDACTED : decode(part.slice(at + 1))
    const before = args[name]
    args[name] =
      before === undefined ? value : Array.isArray(before) ? [...(before as unknown[]), value] : [before, value]
  }
  return args
}

function decode(text: string): string {
  const spaced = text.replaceAll('+', ' ')
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    // Not UTF-8, or a stray '%': shown as it came.
    return spaced
  }
}
