/**
 * Lines of the access log: a format with nginx's variables is compiled once, so that writing a line is joining texts. Values are
 * escaped as nginx does (quotes, backslashes and everything that is not printable ASCII as \xHH), so that no request can
 * forge a line or a field.
 */
import { localTime } from './local-time.ts'
import { latenciesOf, uriOf } from './serializer.ts'
import type { LoggedExchange } from './logged-exchange.ts'

export type AccessFormatter = (exchange: LoggedExchange) => string

/** Kong's line, and nginx's `combined` with the request id after it. */
export const COMBINED_FORMAT =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" kong_request_id: "$kong_request_id"'
const BASIC_FORMAT =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'

/** `custom` is the operator's own format; the others ignore it. */
export function createAccessFormatter(name: string | null, custom: string | null): AccessFormatter {
  if (name === 'json') return jsonLine
  if (name === 'custom') return compileFormat(custom ?? COMBINED_FORMAT)
  return compileFormat(name === 'basic' ? BASIC_FORMAT : COMBINED_FORMAT)
}

interface Variable {
  /** What docs/logging.md says. */
  readonly meaning: string
  /** null is shown as `-`. */
  readonly read: (exchange: LoggedExchange) => string | null
  /** The value is made by the gateway and needs no escaping. */
  readonly isSafe?: boolean
}

const safe = (meaning: string, read: Variable['read']): Variable => ({ meaning, read, isSafe: true })
const seconds = (ms: number): string | null => (ms < 0 ? null : (ms / 1000).toFixed(3))

export const accessVariables: Readonly<Record<string, Variable>> = {
  remote_addr: { meaning: 'address of the client, after `trusted_ips`', read: ({ request }) => request.clientIp },
  remote_port: safe('port of the client', ({ request }) => String(request.clientPort)),
  remote_user: { meaning: 'user name of basic authentication', read: basicUser },
  time_local: safe('time of the last byte, local', (exchange) => localTime(Math.floor(endOf(exchange) / 1000))),
  time_iso8601: safe('time of the last byte, ISO 8601', (exchange) => new Date(endOf(exchange)).toISOString()),
  msec: safe('time of the last byte, Unix seconds with milliseconds', (exchange) => seconds(endOf(exchange))),
  request: {
    meaning: 'request line',
    read: (exchange) => `${exchange.request.method} ${uriOf(exchange)} ${protocolOf(exchange)}`,
  },
  request_method: { meaning: 'method', read: ({ request }) => request.method },
  request_uri: { meaning: 'target as received', read: uriOf },
  uri: { meaning: 'path as received', read: ({ request }) => request.rawPath },
  args: { meaning: 'query', read: ({ request }) => request.query },
  query_string: { meaning: 'query', read: ({ request }) => request.query },
  scheme: safe('http or https', ({ request }) => request.scheme),
  host: { meaning: 'Host header without port', read: ({ request }) => request.host },
  server_addr: safe('address of the gateway', ({ request }) => request.serverIp),
  server_port: safe('port of the gateway', ({ request }) => String(request.serverPort)),
  server_protocol: safe('HTTP version of the request', protocolOf),
  ssl_protocol: safe('TLS version', ({ request }) => request.tls?.version ?? null),
  ssl_cipher: safe('TLS cipher', ({ request }) => request.tls?.cipher ?? null),
  ssl_client_verify: safe(
    "what became of the client's certificate: NONE, SUCCESS, or FAILED with the reason",
    ({ request }) => request.tls?.clientVerify ?? null,
  ),
  request_length: safe('bytes received', ({ request }) => String(request.bytesReceived)),
  status: safe('status of the response', ({ response }) => String(response.status)),
  bytes_sent: safe('bytes sent', ({ response }) => String(response.bytesSent)),
  body_bytes_sent: safe('bytes sent, without the head', ({ response }) =>
    String(Math.max(0, response.bytesSent - response.headBytes)),
  ),
  request_time: safe('seconds from first to last byte', ({ totalLatencyMs }) => seconds(totalLatencyMs)),
  upstream_response_time: safe("seconds until the head of the upstream's response", ({ upstreamLatencyMs }) =>
    seconds(upstreamLatencyMs),
  ),
  upstream_status: safe("status of the upstream's response", ({ upstreamStatus }) =>
    upstreamStatus === 0 ? null : String(upstreamStatus),
  ),
  upstream_addr: safe('addresses that were tried', ({ tries }) =>
    tries.length === 0 ? null : tries.map(addressOf).join(', '),
  ),
  kong_request_id: { meaning: 'id of the request', read: ({ id }) => id },
  request_id: { meaning: 'id of the request', read: ({ id }) => id },
  route_name: { meaning: 'name of the route, else its id', read: ({ route }) => route?.name ?? route?.id ?? null },
  service_name: {
    meaning: 'name of the service, else its id',
    read: ({ service }) => service?.name ?? service?.id ?? null,
  },
  consumer_username: {
    meaning: 'name of the consumer, else its id',
    read: ({ consumer }) => consumer?.username ?? consumer?.id ?? null,
  },
  workspace_name: { meaning: 'name of the workspace', read: ({ workspace }) => workspace?.name ?? null },
}

/** As nginx writes it. */
function protocolOf({ request: { httpVersion } }: LoggedExchange): string {
  return httpVersion === '2' ? 'HTTP/2.0' : `HTTP/${httpVersion}`
}

/** Variables without an entry of their own: `$http_<header>` of the request, `$sent_http_<header>` of the response. */
function headerVariable(name: string): Variable['read'] | null {
  const sent = /^sent_http_([a-z0-9_]+)$/.exec(name)?.[1]?.replaceAll('_', '-')
  if (sent !== undefined) return ({ response }) => response.headers.get(sent)
  const received = /^http_([a-z0-9_]+)$/.exec(name)?.[1]?.replaceAll('_', '-')
  return received === undefined ? null : ({ request }) => request.headers.get(received)
}

/** Names in a format that mean nothing here. */
export function unknownVariables(format: string): string[] {
  return [...format.matchAll(VARIABLE)]
    .map((match) => match[1] ?? match[2] ?? '')
    .filter((name) => !Object.hasOwn(accessVariables, name) && headerVariable(name) === null)
}

const VARIABLE = /\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))/g

export function compileFormat(format: string): AccessFormatter {
  const texts: string[] = []
  const readers: ((exchange: LoggedExchange) => string)[] = []
  let from = 0
  for (const match of format.matchAll(VARIABLE)) {
    texts.push(format.slice(from, match.index))
    readers.push(readerOf(match[1] ?? match[2] ?? ''))
    from = match.index + match[0].length
  }
  const end = `${format.slice(from)}\n`
  return (exchange) => {
    let line = ''
    for (let at = 0; at < texts.length; at++) line += texts[at]! + readers[at]!(exchange)
    return line + end
  }
}

function readerOf(name: string): (exchange: LoggedExchange) => string {
  if (name === 'time_local') return createLocalTimeReader()
  const variable = Object.hasOwn(accessVariables, name) ? accessVariables[name] : undefined
  if (variable?.isSafe === true) return (exchange) => variable.read(exchange) ?? '-'
  const read = variable?.read ?? headerVariable(name)
  if (read === null) return () => '-'
  return (exchange) => {
    const value = read(exchange)
    return value === null || value === '' ? '-' : escapeValue(value)
  }
}

function escapeValue(value: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (!/[\u0000-\u001f"\\\u007f-\uffff]/.test(value)) return value
  let text = ''
  for (const byte of Buffer.from(value, 'utf8')) {
    const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
    text += isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return text
}

function jsonLine(exchange: LoggedExchange): string {
  const { request, response, route, service, consumer, tries } = exchange
  const last = tries.at(-1)
  const record = {
    time: new Date(exchange.startedAtMs).toISOString(),
    request_id: exchange.id,
    client_ip: request.clientIp,
    method: request.method,
    host: request.host,
    uri: uriOf(exchange),
    protocol: protocolOf(exchange),
    status: response.status,
    source: response.source === 'service' ? 'upstream' : 'kong',
    bytes_received: request.bytesReceived,
    bytes_sent: response.bytesSent,
    latencies: latenciesOf(exchange),
    route: route?.name ?? route?.id ?? null,
    service: service?.name ?? service?.id ?? null,
    consumer: consumer?.username ?? consumer?.id ?? null,
    upstream: last === undefined ? null : addressOf(last),
    upstream_status: exchange.upstreamStatus === 0 ? null : exchange.upstreamStatus,
    tries: tries.length,
    referer: request.headers.get('referer'),
    user_agent: request.headers.get('user-agent'),
    error: exchange.error?.message ?? null,
  }
  return `${JSON.stringify(record)}\n`
}

function addressOf({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}

function basicUser({ request }: LoggedExchange): string | null {
  const encoded = /^Basic +([A-Za-z0-9+/=]+) *$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  if (encoded === undefined) return null
  const decoded = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  return colon < 0 ? null : decoded.slice(0, colon)
}

/** The text is made once a second and not once a line. */
function createLocalTimeReader(): (exchange: LoggedExchange) => string {
  let lastSecond = -1
  let lastText = ''
  return (exchange) => {
    const second = Math.floor(endOf(exchange) / 1000)
    if (second !== lastSecond) {
      lastText = localTime(second)
      lastSecond = second
    }
    return lastText
  }
}

/** Unix time of the last byte, ms. */
function endOf({ startedAtMs, totalLatencyMs }: LoggedExchange): number {
  return startedAtMs + Math.max(0, totalLatencyMs)
}
