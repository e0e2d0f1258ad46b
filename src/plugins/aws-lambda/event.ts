/** What a function is told of a request, in the forms that Kong's plugin has. */
import type { Exchange } from '#pdk'
import { parseBody } from '#pdk/body-fields.ts'
import { parseArgs, type Args } from '#pdk/form.ts'
import { valueOfJson } from '#pdk/json-members.ts'
import { fromWire } from '#pdk/wire-text.ts'
import type { Config } from './schema.ts'

type Values = Record<string, unknown>

/** Types whose bodies go as texts although they have no fields. As Kong, which compares the whole value. */
const TEXT_TYPES = new Set(['text/plain', 'text/html', 'application/xml', 'text/xml', 'application/soap+xml'])

/** Whether the body is to be read for it. */
export function needsBody(config: Config): boolean {
  return config.awsgateway_compatible === true || config.forward_request_body === true || !forwards(config)
}

/** JSON. `body` is null where the request has none, or none that may go along. */
export function eventOf(exchange: Exchange, config: Config, body: Buffer | null): string {
  return JSON.stringify(
    config.awsgateway_compatible
      ? gatewayEvent(exchange, config, body)
      : forwards(config)
        ? forwardedParts(exchange, config, body)
        : { ...argsOf(exchange.request.query), ...fieldsOf(exchange, body) },
  )
}

function forwards(config: Config): boolean {
  const { forward_request_body: body, forward_request_headers: headers } = config
  return [body, headers, config.forward_request_method, config.forward_request_uri].includes(true)
}

function forwardedParts(exchange: Exchange, config: Config, body: Buffer | null): Values {
  const { request } = exchange
  const event: Values = {}
  if (config.forward_request_method) event['request_method'] = request.method
  if (config.forward_request_headers) event['request_headers'] = headersOf(exchange)
  if (config.forward_request_uri) {
    event['request_uri'] = fromWire(request.query === null ? request.path : `${request.path}?${request.query}`)
    event['request_uri_args'] = argsOf(request.query)
  }
  if (config.forward_request_body) Object.assign(event, bodyParts(exchange, config, body))
  return event
}

function bodyParts(exchange: Exchange, config: Config, body: Buffer | null): Values {
  const contentType = exchange.request.headers.get('content-type')
  if (/^(?:application\/x-www-form-urlencoded|application\/json|multipart\/form-data)\b/i.test(contentType ?? '')) {
    const fields = fieldsOf(exchange, body)
    return {
      ...(body !== null && { request_body: body.toString('utf8') }),
      ...(fields && { request_body_args: fields }),
    }
  }
  if (TEXT_TYPES.has(contentType ?? '') || !config.base64_encode_body)
    return { ...(body !== null && { request_body: body.toString('utf8') }), request_body_args: {} }
  return { request_body: body?.toString('base64') ?? '', request_body_args: {}, request_body_base64: true }
}

/** As Amazon's API Gateway makes it for functions, version 1.0. */
function gatewayEvent(exchange: Exchange, config: Config, body: Buffer | null): Values {
  const { request } = exchange
  const headers = headersOf(exchange)
  const args = argsOf(request.query)
  // Where there is no service there is no other path either.
  const path = fromWire(exchange.upstream.path || request.path)
  const host = fromWire(request.host)
  const isEncoded = config.base64_encode_body
  return {
    version: '1.0',
    resource: exchange.matchedPath,
    path,
    httpMethod: request.method,
    headers: mapped(headers, firstOf),
    multiValueHeaders: mapped(headers, listOf),
    pathParameters: { ...exchange.captures?.named },
    queryStringParameters: mapped(args, firstOf),
    multiValueQueryStringParameters: mapped(args, listOf),
    body: body?.toString(isEncoded ? 'base64' : 'utf8') ?? (isEncoded ? '' : null),
    isBase64Encoded: isEncoded,
    requestContext: {
      path,
      protocol: `HTTP/${request.httpVersion}`,
      httpMethod: request.method,
      domainName: host,
      domainPrefix: host.split('.')[0],
      identity: { sourceIp: request.clientIp, userAgent: firstOf(headers['user-agent']) },
      requestId: exchange.id,
      requestTime: commonLogTime(exchange.startedAtMs),
      requestTimeEpoch: exchange.startedAtMs,
      resourcePath: path,
    },
  }
}

/** Of forms, JSON objects and multipart bodies; null for what has none. */
function fieldsOf(exchange: Exchange, body: Buffer | null): Values | null {
  const parsed = body === null ? null : parseBody(exchange.request.headers.get('content-type'), body)
  switch (parsed?.kind) {
    case 'form':
      return textsOf(parsed.args)
    case 'json':
      return Object.fromEntries([...parsed.members].map(([name, raw]) => [name, valueOfJson(raw)]))
    case 'multipart':
      return Object.fromEntries(parsed.form.parts.map((part) => [fromWire(part.name ?? ''), fromWire(part.body)]))
    default:
      return null
  }
}

function argsOf(query: string | null): Values {
  return textsOf(parseArgs(query))
}

/** Several values become a list. Not by assignment: a name that a client chose must be a name and nothing else. */
function textsOf(args: Args): Values {
  return Object.fromEntries(
    [...args].map(([name, values]) => {
      const texts = values.map((value) => (value === true ? true : fromWire(value)))
      return [fromWire(name), texts.length === 1 ? texts[0] : texts]
    }),
  )
}

function headersOf({ request }: Exchange): Values {
  return mapped(request.headers.toObject(), (value) =>
    Array.isArray(value) ? value.map((one) => fromWire(String(one))) : fromWire(String(value)),
  )
}

function mapped(values: Readonly<Values>, change: (value: unknown) => unknown): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]))
}

const firstOf = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value)
const listOf = (value: unknown): unknown => (Array.isArray(value) ? value : [value])

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** As web servers write it in their logs: `09/Apr/2030:12:34:56 +0000`. */
function commonLogTime(atMs: number): string {
  const [date = '', time = ''] = new Date(atMs).toISOString().split('T')
  const [year, month, day] = date.split('-')
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`
}
