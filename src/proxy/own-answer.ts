/** Answers that the gateway makes itself: of plugins that end the exchange, and of failures. */
import type { WireFailure } from '#http/failure.ts'
import { HeaderList } from '#http/header-list.ts'
import { headerId } from '#http/known-headers.ts'
import type { Exchange, Exit } from '#pdk/exchange.ts'
import { errorBody } from './error-body.ts'
import { exitOfFailure } from './fail.ts'
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

function acceptOf(exchange: Exchange): string | null {
  return exchange.request.headers.getKnown(headerId.accept)
}
