/**
 * The text by which a response is found: everything of a request that the response may depend on. Kong's parts, and besides them scheme
 * and host, for a route may serve several whose responses differ.
 */
import { addressName, FieldName, type Exchange } from '#pdk'

export interface KeyOptions {
  readonly ignoreCase: boolean
  /** Arguments that count; null for all. */
  readonly queryNames: ReadonlySet<string> | null
  readonly headers: readonly FieldName[]
  /** Whether a response may be stored for everybody though the request had `Authorization`. */
  readonly sharesAuthorized: boolean
}

const AUTHORIZATION = new FieldName('Authorization')

/** `method` stands for the request's: a HEAD may ask for what a GET stored. */
export function requestKey(exchange: Exchange, method: string, options: KeyOptions): string {
  const { request, route, consumer } = exchange
  let text = (consumer === null ? '' : consumer.id + ':') + (route === null ? 'default' : route.id) + '|' + method + '|'
  text += withoutQuery(exchange, options.ignoreCase)
  if (request.query !== null && request.query !== '') text += '|' + queryText(request.query, options.queryNames)
  const { headers } = options
  for (let i = 0; i < headers.length; i++) {
    const field = headers[i]!
    const values = field.getAll(request.headers)
    if (values.length > 0) text += '\n' + field.name + '=' + values.toSorted().join(',')
  }
  if (!options.sharesAuthorized) {
    const authorization = AUTHORIZATION.get(request.headers)
    if (authorization !== null) text += '\n' + authorization
  }
  return text
}

/** The text of one of several responses for an address, by the fields that it says it varies by (RFC 9111 4.1). */
export function variantKey(text: string, exchange: Exchange, names: readonly string[]): string {
  const { headers } = exchange.request
  let variant = text + '\n\n'
  for (const name of names) variant += name + '=' + headers.getAll(name).join(',') + '\n'
  return variant
}

/** The name of everything that is stored for an address, whoever asked for it and how. */
export function addressOf(exchange: Exchange): string {
  const { query } = exchange.request
  return addressName(withoutQuery(exchange, false) + (query === null ? '' : '?' + query))
}

function withoutQuery({ request }: Exchange, ignoreCase: boolean): string {
  const path = ignoreCase ? request.rawPath.toLowerCase() : request.rawPath
  return request.scheme + '://' + request.host + ':' + request.port + path
}

/** Arguments in the order of their names; those of one name stay as they came. */
function queryText(query: string, names: ReadonlySet<string> | null): string {
  if (names === null && !query.includes('&')) return query
  let args = query.split('&')
  if (names !== null) args = args.filter((arg) => names.has(nameOf(arg)))
  return args.length < 2 ? args.join('') : args.toSorted(byName).join('&')
}

function byName(a: string, b: string): number {
  const one = nameOf(a)
  const other = nameOf(b)
  return one < other ? -1 : one > other ? 1 : 0
}

function nameOf(argument: string): string {
  const at = argument.indexOf('=')
  return at < 0 ? argument : argument.slice(0, at)
}
