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
const LOCATION = new FieldName('Location')
const CONTENT_LOCATION = new FieldName('Content-Location')

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
  for (const name of names) variant += name + '=' + normal(name, headers.getAll(name).join(',')) + '\n'
  return variant
}

/** Lists that say the same are the same (RFC 9111 4.1): however they are spread over fields, and spaced. */
function normal(name: string, value: string): string {
  const spaced = value.replace(/[ \t]*,[ \t]*/g, ',').trim()
  return WITHOUT_CASE.has(name) ? spaced.toLowerCase() : spaced
}

const WITHOUT_CASE = new Set(['accept-encoding', 'accept-language'])

/** The name of everything that is stored for an address, whoever asked for it and how. */
export function addressOf(exchange: Exchange): string {
  const { query } = exchange.request
  return addressName(withoutQuery(exchange, false) + (query === null ? '' : '?' + query))
}

/** The names of what a request changed that was not only to read: its address, and what the response points to, of the same origin. */
export function changedAddresses(exchange: Exchange): string[] {
  const names = [addressOf(exchange)]
  const { request, response } = exchange
  for (const field of [LOCATION, CONTENT_LOCATION]) {
    const value = field.get(response.headers)
    const origin = `${request.scheme}://${request.hostHeader}`
    const url = value === null ? null : URL.parse(value, origin + request.rawPath)
    if (url === null || url.origin !== URL.parse(origin)?.origin) continue
    names.push(addressName(`${request.scheme}://${request.host}:${request.port}${url.pathname}${url.search}`))
  }
  return names
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
