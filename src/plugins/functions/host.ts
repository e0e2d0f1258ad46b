/** What functions may do to an exchange, by the names in `kong-api.ts`. A mistake in how one is called throws, with what was expected. */
import type { Exchange, Exit, HeaderList, PluginLog } from '#pdk'

export type FunctionPhase = 'rewrite' | 'access' | 'header_filter' | 'body_filter' | 'log'

/** One run of the functions of a phase. */
export class FunctionCall {
  readonly exchange: Exchange
  readonly phase: FunctionPhase
  readonly log: PluginLog
  /** The request's body, where the functions ask for it. */
  readonly requestBody: Buffer | null
  /** The response's body, in body_filter: a function may replace it. */
  responseBody: Buffer | null = null
  /** With what a function answers instead of the upstream. */
  exit: Exit | null = null

  constructor(exchange: Exchange, phase: FunctionPhase, log: PluginLog, requestBody: Buffer | null = null) {
    this.exchange = exchange
    this.phase = phase
    this.log = log
    this.requestBody = requestBody
  }
}

type Arguments = readonly unknown[]
type Operation = (call: FunctionCall, args: Arguments) => unknown

/** Longer lines are cut: a function must not fill the disk with one request. */
const LOG_CHARACTERS = 2000

/** Answers one call of `host` in `kong-api.ts`. */
export function answerCall(call: FunctionCall, operation: string, args: string): string {
  const known = Object.hasOwn(OPERATIONS, operation) ? OPERATIONS[operation] : undefined
  if (known === undefined) throw new TypeError(`there is no ${operation}`)
  const value = known(call, JSON.parse(args) as Arguments)
  return value === undefined || value === null ? '' : JSON.stringify(value)
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  request_get_method: ({ exchange }) => exchange.request.method,
  request_get_scheme: ({ exchange }) => exchange.request.scheme,
  request_get_host: ({ exchange }) => exchange.request.host,
  request_get_port: ({ exchange }) => exchange.request.port,
  request_get_path: ({ exchange }) => exchange.request.path,
  request_get_raw_path: ({ exchange }) => exchange.request.rawPath,
  request_get_path_with_query: ({ exchange: { request } }) =>
    request.path + (request.query === null ? '' : '?' + request.query),
  request_get_raw_query: ({ exchange }) => exchange.request.query ?? '',
  request_get_query: ({ exchange }) => queryOf(exchange),
  request_get_query_arg: ({ exchange }, [name]) => {
    const value = queryOf(exchange)[textOf(name, 'name')]
    return Array.isArray(value) ? value[0] : value
  },
  request_get_header: ({ exchange }, [name]) => exchange.request.headers.get(textOf(name, 'name')),
  request_get_headers: ({ exchange }) => exchange.request.headers.toObject(),
  request_get_http_version: ({ exchange }) => exchange.request.httpVersion,
  request_get_start_time: ({ exchange }) => exchange.startedAtMs,
  request_get_raw_body: (call) => {
    during(call, 'request.get_raw_body', 'rewrite', 'access')
    return call.requestBody?.toString('utf8') ?? ''
  },

  client_get_ip: ({ exchange }) => exchange.request.peerIp,
  client_get_forwarded_ip: ({ exchange }) => exchange.request.clientIp,
  client_get_port: ({ exchange }) => exchange.request.peerPort,
  client_get_consumer: ({ exchange }) => exchange.consumer,
  client_get_credential: ({ exchange: { credential } }) => credential && { id: credential.id },

  router_get_route: ({ exchange }) => exchange.route,
  router_get_service: ({ exchange }) => exchange.service,

  service_set_header: (call, [name, value]) =>
    upstreamHeaders(call, 'set_header').set(fieldName(name), fieldValue(value)),
  service_add_header: (call, [name, value]) =>
    upstreamHeaders(call, 'add_header').append(fieldName(name), fieldValue(value)),
  service_clear_header: (call, [name]) => void upstreamHeaders(call, 'clear_header').remove(fieldName(name)),
  service_set_headers: (call, [fields]) => setAll(upstreamHeaders(call, 'set_headers'), fields),
  service_set_method: (call, [method]) => {
    during(call, 'service.request.set_method', 'access')
    const text = textOf(method, 'method')
    if (!/^[A-Z]{1,32}$/.test(text)) throw new TypeError(`method: expected capital letters, got '${text}'`)
    call.exchange.upstream.method = text
  },
  service_set_path: (call, [path]) => {
    during(call, 'service.request.set_path', 'access')
    const text = textOf(path, 'path')
    if (!/^\/[\x21-\x7e]*$/.test(text) || /[?#]/.test(text))
      throw new TypeError('path: expected a path that begins with / and has neither spaces nor ? nor #')
    call.exchange.upstream.path = text
  },
  service_set_raw_query: (call, [query]) => {
    during(call, 'service.request.set_raw_query', 'rewrite', 'access')
    const text = textOf(query, 'query')
    if (!/^[\x21-\x7e]*$/.test(text) || text.includes('#'))
      throw new TypeError('query: expected an encoded query without spaces and #')
    call.exchange.request.query = text
  },
  service_set_raw_body: (call, [body]) => {
    during(call, 'service.request.set_raw_body', 'access')
    call.exchange.request.body.replace(Buffer.from(textOf(body, 'body')))
  },

  response_get_status: ({ exchange }) => exchange.response.status,
  response_get_header: ({ exchange }, [name]) => exchange.response.headers.get(textOf(name, 'name')),
  response_get_headers: ({ exchange }) => exchange.response.headers.toObject(),
  response_get_source: ({ exchange }) => exchange.response.source,
  response_set_status: (call, [status]) => {
    during(call, 'response.set_status', 'header_filter')
    call.exchange.response.status = statusOf(status)
  },
  response_set_header: (call, [name, value]) =>
    clientHeaders(call, 'set_header').set(fieldName(name), fieldValue(value)),
  response_add_header: (call, [name, value]) =>
    clientHeaders(call, 'add_header').append(fieldName(name), fieldValue(value)),
  response_clear_header: (call, [name]) => void clientHeaders(call, 'clear_header').remove(fieldName(name)),
  response_set_headers: (call, [fields]) => setAll(clientHeaders(call, 'set_headers'), fields),
  response_get_raw_body: (call) => {
    during(call, 'response.get_raw_body', 'body_filter')
    return call.responseBody?.toString('utf8') ?? ''
  },
  response_set_raw_body: (call, [body]) => {
    during(call, 'response.set_raw_body', 'body_filter')
    call.responseBody = Buffer.from(textOf(body, 'body'))
  },
  response_exit: (call, [status, body, headers]) => {
    during(call, 'response.exit', 'rewrite', 'access')
    const fields = Object.fromEntries(
      Object.entries((headers as object | null | undefined) ?? {}).map(([name, value]) => [
        fieldName(name),
        fieldValue(value),
      ]),
    )
    if (body !== undefined && body !== null && typeof body !== 'string' && typeof body !== 'object')
      throw new TypeError(`body: expected a text or an object, got ${typeof body}`)
    call.exit = call.exchange.exit(statusOf(status), body, { headers: fields })
  },
  response_error: (call, [status, message]) => {
    during(call, 'response.error', 'rewrite', 'access')
    call.exit = call.exchange.fail(statusOf(status), message === undefined ? '' : textOf(message, 'message'))
  },

  shared_get: ({ exchange }, [name]) => {
    const value = exchange.recall(SHARED + String(name))
    return value === undefined ? null : JSON.parse(value as string)
  },
  shared_set: ({ exchange }, [name, value]) =>
    void exchange.shared.set(SHARED + String(name), JSON.stringify(value ?? null)),

  log: ({ log, phase, exchange }, [level, text]) => {
    const write = LEVELS[String(level)] ?? 'info'
    const said = {
      phase,
      request_id: exchange.id,
      route: exchange.route?.id,
      said: String(text).slice(0, LOG_CHARACTERS),
    }
    log[write](said, 'a function says')
  },
}

const LEVELS: Readonly<Record<string, keyof PluginLog>> = {
  debug: 'debug',
  warn: 'warn',
  err: 'error',
  crit: 'error',
  alert: 'error',
  emerg: 'error',
}

/** What functions share is not what plugins share with each other. */
const SHARED = 'function:'

function during(call: FunctionCall, what: string, ...phases: readonly FunctionPhase[]): void {
  if (!phases.includes(call.phase))
    throw new TypeError(`kong.${what} is for ${phases.join(' and ')}, not for ${call.phase}`)
}

function upstreamHeaders(call: FunctionCall, what: string): HeaderList {
  during(call, `service.request.${what}`, 'rewrite', 'access')
  return call.exchange.request.headers
}

function clientHeaders(call: FunctionCall, what: string): HeaderList {
  during(call, `response.${what}`, 'header_filter')
  return call.exchange.response.headers
}

function setAll(headers: HeaderList, fields: unknown): void {
  if (typeof fields !== 'object' || fields === null) throw new TypeError('headers: expected an object')
  for (const [name, value] of Object.entries(fields)) {
    const values = Array.isArray(value) ? value : [value]
    headers.remove(fieldName(name))
    for (const one of values) headers.append(fieldName(name), fieldValue(one))
  }
}

function queryOf({ request }: Exchange): Record<string, string | string[]> {
  const found: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>
  for (const [name, value] of new URLSearchParams(request.query ?? '')) {
    const before = found[name]
    found[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  }
  return found
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw new TypeError(`${what}: expected a text, got ${value === null ? 'nothing' : typeof value}`)
}

/** What frames messages is not for functions. */
const FRAMING = new Set(['connection', 'content-length', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

function fieldName(value: unknown): string {
  const name = textOf(value, 'header')
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new TypeError(`header: expected the name of a header, got '${name}'`)
  if (FRAMING.has(name.toLowerCase())) throw new TypeError(`header: '${name}' is the gateway's`)
  return name
}

function fieldValue(value: unknown): string {
  const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : textOf(value, 'value')
  // Latin-1 without control characters (RFC 9110 5.5): anything else could end the line.
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) throw new TypeError('value: expected printable characters of one line')
  return text
}

function statusOf(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 200 && value <= 599) return value
  throw new TypeError(`status: expected 200 to 599, got ${String(value)}`)
}
