/** What the wire and the connection say about a request, in the form that routing and plugins see. */
import { HeaderList } from '#http/header-list.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { ClientSide } from '#http/client-side.ts'
import { ClientRequest, ClientResponse, Exchange, type ServiceChooser } from '#pdk/exchange.ts'
import type { RouteMatch } from '#router/contract.ts'
import { normalizePath } from '#router/path.ts'
import type { CompiledRoute } from '#snapshot/snapshot.ts'
import type { AbsentBody, BodyFlow } from './request-body.ts'
import type { WorkerContext } from './worker-context.ts'

const NO_HEADERS = new HeaderList()

/** `beganMs` is `performance.now()` when the head was read. */
export function newExchange(
  worker: WorkerContext,
  connection: ClientSide,
  head: RequestHead,
  body: BodyFlow | AbsentBody,
  beganMs: number,
): Exchange {
  const request = new ClientRequest(head.headers, body)
  request.method = head.method
  request.rawPath = head.rawPath
  request.path = head.isPathNormal ? head.rawPath : normalizePath(head.rawPath)
  // As measured on Kong: a query of nothing but another '?' is passed on as an empty one.
  request.query = head.query === '?' ? '' : head.query
  request.httpVersion = head.isHttp2 ? '2' : head.minor === 1 ? '1.1' : '1.0'
  request.scheme = connection.isTls ? 'https' : 'http'
  request.sni = connection.sni
  request.tls = connection.tls
  request.peerIp = connection.peerIp
  request.peerPort = connection.peerPort
  request.serverSide = connection
  request.serverPort = connection.serverPort
  request.listenerPort = worker.settings.portMaps.get(connection.serverPort) ?? connection.serverPort
  request.hostHeader = head.host
  const { host, port } = connection.hostOf(head.host)
  request.host = host
  request.hasHostPort = port !== 0
  request.port = port === 0 ? request.listenerPort : port
  request.isTrusted = worker.trust.isTrusted(connection.peerIp)
  request.clientIp = request.isTrusted ? worker.trust.realIp(connection, head.headers) : connection.peerIp
  request.clientPort = request.isTrusted ? worker.trust.realPort(connection) : connection.peerPort
  request.connectionSerial = connection.serial
  request.connectionRequests = connection.requests
  return new Exchange(
    worker.newRequestId(),
    Math.round(performance.timeOrigin + beganMs),
    request,
    new ClientResponse(NO_HEADERS),
  )
}

/** Notes what the router found, for plugins, logs and figures. */
export function takeRoute(
  exchange: Exchange,
  match: RouteMatch,
  { service, workspace }: CompiledRoute,
  chooser: ServiceChooser,
): void {
  exchange.route = match.route
  exchange.matchedPath = match.matchedPath
  exchange.captures = match.captures
  exchange.service = service === null ? null : service.service
  exchange.workspace = workspace
  exchange.chooser = chooser
}
