/** The answer to bytes that are no request: an error body, `Connection: close`, counted and logged, nothing forwarded. */
import type { WireFailure } from '#http/failure.ts'
import { HeaderList } from '#http/header-list.ts'
import type { ClientSide } from '#http/client-side.ts'
import { ClientRequest, ClientResponse, Exchange } from '#pdk/exchange.ts'
import { ownHead } from './client-head.ts'
import { errorBody, MESSAGES } from './error-body.ts'
import { AbsentBody } from './request-body.ts'
import type { WorkerContext } from './worker-context.ts'

export function refuseBadRequest(worker: WorkerContext, connection: ClientSide, failure: WireFailure): void {
  const request = new ClientRequest(new HeaderList(), new AbsentBody())
  request.peerIp = connection.peerIp
  request.clientIp = worker.trust.isTrusted(request.peerIp)
    ? worker.trust.realIp(connection, request.headers)
    : request.peerIp
  request.peerPort = connection.peerPort
  request.scheme = connection.isTls ? 'https' : 'http'
  const exchange = new Exchange(worker.newRequestId(), Date.now(), request, new ClientResponse(new HeaderList()))
  const { response } = exchange
  const made = errorBody(
    failure.status,
    MESSAGES[failure.status] ?? 'Bad request',
    exchange.id,
    null,
    worker.settings.errorDefaultType,
  )
  response.status = failure.status
  response.source = 'error'
  response.headers.append('Content-Type', made.contentType)
  const body = Buffer.from(made.body)
  const head = ownHead(exchange, body.length, true, 0, worker.settings, worker.clock)
  exchange.totalLatencyMs = 0
  response.bytesSent = head.length + body.length
  request.bytesReceived = connection.bytesReceived
  connection.isLast = true
  connection.writeHead(head, body)
  worker.events.requestRefused(failure)
  worker.events.exchangeEnded(exchange, null)
  connection.endResponse()
}
