/** How an answer of the gateway's own goes out, when plugins have seen its head: what they make of its body. */
import type { ClientSide } from '#http/client-side.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { ResponseHead } from '#http/response-head.ts'
import type { Exchange } from '#pdk/exchange.ts'
import type { Plan } from '#snapshot/snapshot.ts'
import { clientFraming, ownHead, proxiedHead, type ClientFraming } from './client-head.ts'
import { encodingOf, transformOwn, type ChosenEncoding } from './response-phases.ts'
import type { WorkerContext } from './worker-context.ts'

export interface OwnResponse {
  readonly head: string
  readonly framing: ClientFraming
  /** Null where none is sent. */
  readonly body: Buffer | null
  /** What the body has to go through before it is sent; null for nothing. */
  readonly encoding: ChosenEncoding | null
}

/** Says also whether the connection ends with it. `isStored`: an upstream made it, earlier. `of`: its head, where that came for this request. */
export function ownResponse(
  worker: WorkerContext,
  plan: Plan,
  exchange: Exchange,
  request: RequestHead,
  connection: ClientSide,
  made: Buffer | null,
  isStored: boolean,
  of: ResponseHead | null,
  latencyMs: number,
): OwnResponse {
  const { response } = exchange
  const { events, settings } = worker
  const whole = plan.responseBody.length === 0 ? made : transformOwn(plan, exchange, made, events)
  const isBodyless = response.status === 204 || response.status === 304 || response.status < 200
  const isSent = whole !== null && !isBodyless && request.method !== 'HEAD'
  const length = whole === null ? 0 : whole.length
  const encoding = plan.responseEncoding.length === 0 ? null : encodingOf(plan, exchange, length, events)
  const framing = isBodyless
    ? 'none'
    : encoding === null
      ? length
      : clientFraming(isSent, -1, response.status, request.minor)
  if (framing === 'close') connection.isLast = true
  const isLast = connection.isLast
  const { clock } = worker
  return {
    head:
      of === null || isStored
        ? ownHead(exchange, framing, isLast, latencyMs, settings, clock, isStored)
        : proxiedHead(exchange, of, framing, isLast, false, settings, clock),
    framing,
    body: isSent ? whole : null,
    encoding: isSent ? encoding : null,
  }
}
