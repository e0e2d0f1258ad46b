/** Answers that the gateway makes itself: of plugins that end the exchange, and of failures. */
import type { WireFailure } from '#http/failure.ts'
import { HeaderList } from '#http/header-list.ts'
import { headerId } from '#http/known-headers.ts'
import type { Exchange, Exit } from '#pdk/exchange.ts'
import { errorBody } from './error-body.ts'
import { exitOfFailure } from './fail.ts'
import { addGrpcStatus, isGrpcCall } from './grpc-answer.ts'
import type { ProxySettings } from './settings.ts'

export interface OwnAnswer {
  readonly status: number
  readonly headers: HeaderList
  readonly body: Buffer | null
  /** Whether the connection ends with it. */
  readonly closes: boolean
  /** Whether an upstream made it, earlier. */
  readonly isStored: boolean
}

export function answerOfExit(exchange: Exchange, exit: Exit, settings: ProxySettings): OwnAnswer {
  const { stored } = exit
  exchange.response.made = exit
  if (stored !== null)
    return {
      status: exit.status,
      headers: stored,
      body: exit.body as Buffer | null,
      closes: false,
      isStored: true,
    }
  const headers = HeaderList.from(exit.headers)
  let { body, contentType } = exit
  // As Kong, which looks at the request when the answer's type is another: a plugin may answer with a message of gRPC itself.
  if (isGrpcCall(exchange.request) && contentType !== GRPC) {
    addGrpcStatus(headers, exit.status, exit.message ?? messageIn(exit))
    return { status: exit.status, headers, body: null, closes: false, isStored: false }
  }
  if (exit.message !== null) {
    const fallback = settings.problemDetails ? PROBLEM : 'application/json'
    ;({ body, contentType } = errorBody(exit.status, exit.message, exchange.id, acceptOf(exchange), fallback))
  }
  if (contentType !== null && !headers.hasKnown(CONTENT_TYPE))
    headers.appendKnown(CONTENT_TYPE, 'Content-Type', contentType)
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return { status: exit.status, headers, body: bytes, closes: false, isStored: false }
}

/** The form follows Accept, else the request's own Content-Type, else `error_default_type` (Kong's error handler). */
export function answerOfFailure(exchange: Exchange, failure: WireFailure, settings: ProxySettings): OwnAnswer {
  const { status, message, closes, retryAfter } = exitOfFailure(failure)
  exchange.response.made = { message, body: null, contentType: null, stored: null }
  if (isGrpcCall(exchange.request)) {
    const fields = new HeaderList()
    addGrpcStatus(fields, status, message)
    return { status, headers: fields, body: null, closes, isStored: false }
  }
  const fallback = settings.problemDetails
    ? PROBLEM
    : (exchange.request.headers.getKnown(CONTENT_TYPE) ?? settings.errorDefaultType)
  const made = errorBody(status, message, exchange.id, acceptOf(exchange), fallback)
  const headers = new HeaderList()
  headers.appendKnown(CONTENT_TYPE, 'Content-Type', made.contentType)
  if (retryAfter !== null) headers.append('Retry-After', retryAfter)
  return { status, headers, body: Buffer.from(made.body), closes, isStored: false }
}

const PROBLEM = 'application/problem+json'
const CONTENT_TYPE = headerId['content-type']
const GRPC = 'application/grpc'

/** What an answer in JSON, or a text, says. */
function messageIn({ body, contentType }: Exit): string | null {
  if (body === null) return null
  const text = body.toString()
  if (contentType === null || !contentType.startsWith('application/json')) return text
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? message : ''
  } catch {
    // A plugin's own text with a type that it is not: told as it is.
    return text
  }
}

function acceptOf(exchange: Exchange): string | null {
  return exchange.request.headers.getKnown(headerId.accept)
}
