/** The head that the client gets: the upstream's fields, re-serialised, with what the gateway adds (Kong 3.9, `proxy_response_headers`). */
import { connectionNames } from '#core/hop-by-hop.ts'
import { CONNECTION_NAMES } from '#http/fields.ts'
import { skipTable, type HeaderList } from '#http/header-list.ts'
import { headerId } from '#http/known-headers.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { ResponseHead } from '#http/response-head.ts'
import type { Exchange } from '#pdk/exchange.ts'
import { debugFields } from './debug-header.ts'
import { statusLine } from './reasons.ts'
import type { ProxySettings } from './settings.ts'

/** What the gateway writes itself, what ends here, and what nginx takes as instructions for itself. */
const OURS = [
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'via',
  'proxy-connection',
  'x-kong-request-id',
  'x-accel-expires',
  'x-accel-buffering',
  'x-accel-limit-rate',
  'x-accel-redirect',
  'x-accel-charset',
] as const
/** Fields of an upstream that no client gets as they came. */
export const NOT_PASSED = skipTable(OURS)
const SKIPPED_WITH_TRAILER = skipTable([...OURS, 'trailer'])

/** Types that nginx gives a charset when they have none (its `charset_types` with Kong's `charset UTF-8`). */
const CHARSET_TYPES = new Set([
  'text/html',
  'text/xml',
  'text/plain',
  'text/vnd.wap.wml',
  'application/javascript',
  'application/rss+xml',
])

const CHARSET_LENGTHS = new Uint8Array(128)
for (const type of CHARSET_TYPES) CHARSET_LENGTHS[type.length] = 1

/** A length, 'chunked', 'close' (HTTP/1.0 client and no length) or 'none' (the head says nothing about a body). */
export type ClientFraming = number | 'chunked' | 'close' | 'none'

/** How a body of `length` bytes (-1: not known) goes to a client that speaks HTTP/1.`minor`. A response to HEAD has a length and no body. */
export function clientFraming(hasBody: boolean, length: number, status: number, minor: number): ClientFraming {
  if (!hasBody) return length >= 0 && status !== 204 ? length : 'none'
  if (length >= 0) return length
  return minor === 1 ? 'chunked' : 'close'
}

/**
 * The length of a response that is known to have no body, -1 where nothing is to be said of it: over HTTP/2 a response may end with its
 * head, which a client of HTTP/1.1 learns by a length only.
 */
export function bodylessLength({ contentLength, minor, status }: ResponseHead, request: RequestHead): number {
  const endedWithHead = contentLength < 0 && minor === 2 && !request.isHttp2
  return endedWithHead && request.method !== 'HEAD' && status !== 304 ? 0 : contentLength
}

/** Whether the client gets the trailers of a response: over HTTP/2 they are part of every message, over HTTP/1.1 it has to ask (RFC 9110 6.5.1). */
export function keepsTrailers(framing: ClientFraming, request: RequestHead): boolean {
  return framing === 'chunked' && (request.isHttp2 || request.headers.hasKnown(headerId.te))
}

const { date: DATE, server: SERVER, upgrade: UPGRADE, via: VIA } = headerId
const CONTENT_TYPE = headerId['content-type']

export interface Clock {
  /** The current second as an HTTP date. */
  readonly date: string
}

/** Prepares the upstream's fields for the client: what was meant for this hop goes. */
export function cleanResponseFields(head: ResponseHead): void {
  const { headers } = head
  if ((head.connection & CONNECTION_NAMES) !== 0) {
    for (const name of connectionNames(headers.getAll('connection')))
      if (name !== '' && name !== 'close' && name !== 'keep-alive' && name !== 'upgrade') headers.remove(name)
  }
  const type = headers.getKnown(CONTENT_TYPE)
  if (type !== null && CHARSET_LENGTHS[type.length] === 1 && CHARSET_TYPES.has(type))
    headers.set('Content-Type', type + '; charset=UTF-8')
}

/** The head of a proxied response. */
export function proxiedHead(
  exchange: Exchange,
  head: ResponseHead,
  framing: ClientFraming,
  isLast: boolean,
  keepsTrailer: boolean,
  settings: ProxySettings,
  clock: Clock,
): string {
  const { headers } = exchange.response
  const tokens = settings.headers
  const status = exchange.response.status
  let text =
    statusLine(status, status === head.status ? head.reason : null) +
    headers.serialise(keepsTrailer ? NOT_PASSED : SKIPPED_WITH_TRAILER)
  text += framingText(framing)
  if (!headers.hasKnown(DATE)) text += 'Date: ' + clock.date + '\r\n'
  if (tokens.server && !headers.hasKnown(SERVER) && !exchange.response.hidesServer)
    text += 'Server: ' + settings.product + '\r\n'
  text += isLast ? 'Connection: close\r\n' : 'Connection: keep-alive\r\n'
  if (tokens.upstreamLatency) text += UPSTREAM_LATENCY.line(exchange.upstreamLatencyMs)
  if (tokens.proxyLatency) text += PROXY_LATENCY.line(exchange.proxyLatencyMs)
  if (tokens.upstreamStatus) text += 'X-Kong-Upstream-Status: ' + exchange.upstreamStatus + '\r\n'
  if (settings.allowDebugHeader) text += debugFields(exchange)
  if (tokens.via)
    text += headers.hasKnown(VIA) ? viaText(headers, head.minor, settings.product) : settings.viaLines[head.minor]!
  return tokens.requestId ? text + 'X-Kong-Request-Id: ' + exchange.id + '\r\n\r\n' : text + '\r\n'
}

/** Lines with a number of milliseconds, made in advance for the usual ones. */
class LatencyLines {
  readonly #name: string
  readonly #lines: string[]

  constructor(name: string) {
    this.#name = name
    this.#lines = Array.from({ length: 1000 }, (_, ms) => Buffer.from(`${name}: ${ms}\r\n`).toString('latin1'))
  }

  line(ms: number): string {
    const whole = Math.round(ms)
    return this.#lines[whole] ?? this.#name + ': ' + whole + '\r\n'
  }
}
const UPSTREAM_LATENCY = new LatencyLines('X-Kong-Upstream-Latency')
const PROXY_LATENCY = new LatencyLines('X-Kong-Proxy-Latency')

/** The head of a response that the gateway makes itself. */
export function ownHead(
  exchange: Exchange,
  framing: ClientFraming,
  isLast: boolean,
  latencyMs: number,
  settings: ProxySettings,
  clock: Clock,
  /** Whether an upstream made it, earlier. */
  isStored = false,
): string {
  const { headers, status } = exchange.response
  const tokens = settings.headers
  let text = statusLine(status, null)
  // A stored response keeps the date at which it was made (RFC 9111 4).
  if (!isStored || !headers.hasKnown(DATE)) text += 'Date: ' + clock.date + '\r\n'
  text += headers.serialise(NOT_PASSED) + framingText(framing)
  text += isLast ? 'Connection: close\r\n' : 'Connection: keep-alive\r\n'
  const upgrade = headers.getKnown(UPGRADE)
  if (upgrade !== null) text += 'Connection: Upgrade\r\nUpgrade: ' + upgrade + '\r\n'
  if (isStored) {
    if (tokens.proxyLatency) text += PROXY_LATENCY.line(latencyMs)
    if (tokens.via) text += headers.hasKnown(VIA) ? viaText(headers, 1, settings.product) : settings.viaLines[1]!
  } else if (tokens.responseLatency) text += 'X-Kong-Response-Latency: ' + Math.round(latencyMs) + '\r\n'
  if (tokens.server && !headers.hasKnown(SERVER) && !exchange.response.hidesServer)
    text += 'Server: ' + settings.product + '\r\n'
  if (settings.allowDebugHeader) text += debugFields(exchange)
  if (tokens.requestId) text += 'X-Kong-Request-Id: ' + exchange.id + '\r\n'
  return text + '\r\n'
}

function framingText(framing: ClientFraming): string {
  if (typeof framing === 'number') return 'Content-Length: ' + framing + '\r\n'
  return framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : ''
}

function viaText(headers: HeaderList, minor: number, product: string): string {
  const version = minor === 2 ? '2' : '1.' + minor
  return 'Via: ' + headers.getAllKnown(VIA).join(', ') + ', ' + version + ' ' + product + '\r\n'
}
