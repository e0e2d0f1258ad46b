/** How an answer of the gateway's own goes out: after the plugins of the response have seen it. */
import type { ClientSide } from '#http/client-side.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { BodyEncoding } from '#pdk/body-encoding.ts'
import type { Exchange } from '#pdk/exchange.ts'
import type { Plan } from '#snapshot/snapshot.ts'
import { clientFraming, ownHead, type ClientFraming } from './client-head.ts'
import type { OwnAnswer } from './own-answer.ts'
import { encodingOf, runResponseHeaders, transformOwn } from './response-phases.ts'
import type { WorkerContext } from './worker-context.ts'

export interface OwnResponse {
  readonly head: string
  readonly framing: ClientFraming
  /** Null where none is sent. */
  readonly body: Buffer | null
  /** What the body has to go through before it is sent; null for nothing. */
  readonly encoding: BodyEncoding | null
}

/** Says also whether the connection ends with it. `beganMs`: `performance.now()` when the exchange began. */
export function ownResponse(
  worker: WorkerContext,
  plan: Plan,
  exchange: Exchange,
  request: RequestHead,
  connection: ClientSide,
  answer: OwnAnswer,
  beganMs: number,
): OwnResponse {
  const { response } = exchange
  const { events, settings } = worker
  response.status = answer.status
  response.headers = answer.headers
  if (plan.responseHeaders.length > 0) runResponseHeaders(plan, exchange, events)
  const whole = plan.responseBody.length === 0 ? answer.body : transformOwn(plan, exchange, answer.body, events)
  const isBodyless = response.status === 204 || response.status === 304 || response.status < 200
  const isSent = whole !== null && !isBodyless && request.method !== 'HEAD'
  const length = whole === null ? 0 : whole.length
  const encoding = plan.responseEncoding.length === 0 ? null : encodingOf(plan, exchange, length, events)
  const framing = isBodyless
    ? 'none'
    : encoding === null
      ? length
      : clientFraming(isSent, -1, response.status, request.minor)
  if (answer.closes || worker.isDraining || framing === 'close') connection.isLast = true
  const latencyMs = performance.now() - beganMs
  return {
    head: ownHead(exchange, framing, connection.isLast, latencyMs, settings, worker.clock, answer.isStored),
    framing,
    body: isSent ? whole : null,
    encoding: isSent ? encoding : null,
  }
}
