/** The head that the upstream gets: the client's fields, re-serialised, with what the gateway adds (Kong 3.9, `proxy_request_headers`). */
import { connectionNames } from '#core/hop-by-hop.ts'
import type { RequestHead } from '#http/request-head.ts'
import { CONNECTION_NAMES } from '#http/fields.ts'
import { skipTable } from '#http/header-list.ts'
import { headerId } from '#http/known-headers.ts'
import type { ClientSide } from '#http/client-side.ts'
import type { Exchange } from '#pdk/exchange.ts'
import type { ProxySettings } from './settings.ts'

/** Fields that the gateway writes itself, or that end here. */
const SKIPPED = skipTable([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'expect',
  'upgrade',
  'te',
  'keep-alive',
  'proxy-connection',
  'proxy',
  'via',
  'http2-settings',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-path',
  'x-forwarded-prefix',
  'x-real-ip',
  'x-kong-request-id',
])

const X_FORWARDED_FOR = headerId['x-forwarded-for']
const VIA = headerId.via
const TE = headerId.te

/** How the body goes to the upstream: its length, -1 for chunked, or no body at all. */
export type BodyFraming = number | 'chunked' | 'none'

export function upstreamHead(
  connection: ClientSide,
  exchange: Exchange,
  method: string,
  head: RequestHead,
  hostHeader: string,
  framing: BodyFraming,
  isUpgrade: boolean,
  settings: ProxySettings,
): string {
  const { request, upstream } = exchange
  const { headers } = request
  if ((head.connection & CONNECTION_NAMES) !== 0) removeNamedFields(exchange)
  const path = upstream.path
  if (
    !isUpgrade &&
    request.httpVersion !== '1.0' &&
    !request.isTrusted &&
    !headers.hasKnown(X_FORWARDED_FOR) &&
    !headers.hasKnown(VIA) &&
    !headers.hasKnown(TE)
  ) {
    // What most requests get, in few pieces: the lines that follow from the connection alone are made once.
    const lines = connectionLines(connection, exchange, settings)
    let text =
      method +
      ' ' +
      path +
      (request.query === null ? '' : '?' + request.query) +
      ' HTTP/1.1\r\nHost: ' +
      hostHeader +
      lines.before +
      forwardedHost(request.host) +
      lines.between +
      request.rawPath
    if (upstream.strippedPrefix !== null) text += '\r\nX-Forwarded-Prefix: ' + upstream.strippedPrefix
    text += lines.after
    if (settings.headers.requestIdUpstream) text += exchange.id
    return text + framingLine(framing) + headers.serialise(SKIPPED) + '\r\n'
  }
  let text =
    method + ' ' + path + (request.query === null ? '' : '?' + request.query) + ' HTTP/1.1\r\nHost: ' + hostHeader
  text += isUpgrade
    ? '\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: '
    : '\r\nConnection: keep-alive\r\nX-Forwarded-For: '

  const { isTrusted } = request
  text += headers.hasKnown(headerId['x-forwarded-for'])
    ? headers.getAll('x-forwarded-for').join(', ') + ', ' + request.peerIp
    : request.clientIp
  text +=
    '\r\nX-Forwarded-Proto: ' + ((isTrusted ? headers.getKnown(headerId['x-forwarded-proto']) : null) ?? request.scheme)
  text +=
    '\r\nX-Forwarded-Host: ' +
    ((isTrusted ? headers.getKnown(headerId['x-forwarded-host']) : null) ?? forwardedHost(request.host))
  text +=
    '\r\nX-Forwarded-Port: ' +
    ((isTrusted ? headers.getKnown(headerId['x-forwarded-port']) : null) ?? String(request.listenerPort))
  text +=
    '\r\nX-Forwarded-Path: ' + ((isTrusted ? headers.getKnown(headerId['x-forwarded-path']) : null) ?? request.rawPath)
  const prefix = (isTrusted ? headers.getKnown(headerId['x-forwarded-prefix']) : null) ?? upstream.strippedPrefix
  if (prefix !== null) text += '\r\nX-Forwarded-Prefix: ' + prefix
  text += '\r\nX-Real-IP: ' + request.clientIp

  if (settings.headers.via) {
    const via = headers.hasKnown(VIA) ? headers.getAllKnown(VIA).join(', ') + ', ' : ''
    text += '\r\nVia: ' + via + request.httpVersion + ' ' + settings.product
  }
  if (settings.headers.requestIdUpstream) text += '\r\nX-Kong-Request-Id: ' + exchange.id
  if (headers.hasKnown(TE) && /(^|,)\s*trailers\s*(,|;|$)/i.test(headers.getAllKnown(TE).join(',')))
    text += '\r\nTE: trailers'
  return text + framingLine(framing) + headers.serialise(SKIPPED) + '\r\n'
}

function framingLine(framing: BodyFraming): string {
  if (framing === 'none') return '\r\n'
  return framing === 'chunked' ? '\r\nTransfer-Encoding: chunked\r\n' : '\r\nContent-Length: ' + framing + '\r\n'
}

/** The lines of a connection's requests that are the same for each of them. */
interface ConnectionLines {
  /** From Connection to the name X-Forwarded-Host. */
  readonly before: string
  /** From X-Forwarded-Port to the name X-Forwarded-Path. */
  readonly between: string
  /** From X-Real-IP on; ends with the name X-Kong-Request-Id when that is sent. */
  readonly after: string
}

function connectionLines(connection: ClientSide, { request }: Exchange, settings: ProxySettings): ConnectionLines {
  const known = connection.note as ConnectionLines | null
  if (known !== null) return known
  const { requestIdUpstream, via } = settings.headers
  const viaLine = via ? '\r\nVia: ' + request.httpVersion + ' ' + settings.product : ''
  const lines: ConnectionLines = {
    before: flat(
      '\r\nConnection: keep-alive\r\nX-Forwarded-For: ' +
        request.peerIp +
        '\r\nX-Forwarded-Proto: ' +
        request.scheme +
        '\r\nX-Forwarded-Host: ',
    ),
    between: flat('\r\nX-Forwarded-Port: ' + request.listenerPort + '\r\nX-Forwarded-Path: '),
    after: flat('\r\nX-Real-IP: ' + request.clientIp + viaLine + (requestIdUpstream ? '\r\nX-Kong-Request-Id: ' : '')),
  }
  connection.note = lines
  return lines
}

/** The same text in one piece: V8 keeps what `+` made as a tree, which would be walked at every use. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** RFC 9110 7.6.1: fields that Connection names are meant for this hop only. Framing and end-to-end ones can't be taken away that way. */
function removeNamedFields(exchange: Exchange): void {
  const { headers } = exchange.request
  for (const name of connectionNames(headers.getAll('connection'))) {
    if (
      name !== '' &&
      name !== 'close' &&
      name !== 'keep-alive' &&
      name !== 'upgrade' &&
      // Those who send TE have to name it here (RFC 9110 10.1.4); what it says is read below and never passed on as it is.
      name !== 'te' &&
      name !== 'host' &&
      name !== 'content-length' &&
      name !== 'transfer-encoding'
    )
      headers.remove(name)
  }
}

/** As nginx's `$host`: lower case, without a final dot, and the server's name where the request has none. */
function forwardedHost(host: string): string {
  if (host === '') return 'kong'
  const name = host.charCodeAt(host.length - 1) === 46 ? host.slice(0, -1) : host
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code >= 65 && code <= 90) return name.toLowerCase()
  }
  return name
}
