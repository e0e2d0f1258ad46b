/** Bodies of errors that the gateway makes itself, in the form that the client's `Accept` asks for (Kong 3.9 error templates; RFC 9457). */
import { qualityOf } from '#core/quality.ts'

export interface ErrorBody {
  readonly contentType: string
  readonly body: string
}

type Form = 'json' | 'html' | 'xml' | 'plain' | 'problem' | 'grpc'

/** A Map, because what is looked up comes from the client: an object also answers to `constructor`. */
const FORMS: ReadonlyMap<string, Form> = new Map([
  ['application/json', 'json'],
  ['application/problem+json', 'problem'],
  ['application/xml', 'xml'],
  ['application/grpc', 'grpc'],
  ['text/html', 'html'],
  ['text/plain', 'plain'],
  ['application/*', 'json'],
  ['text/*', 'html'],
  ['*/*', 'json'],
])

const TYPES: Readonly<Record<Form, string>> = {
  json: 'application/json; charset=utf-8',
  problem: 'application/problem+json; charset=utf-8',
  html: 'text/html; charset=utf-8',
  xml: 'application/xml; charset=utf-8',
  plain: 'text/plain; charset=utf-8',
  grpc: 'application/grpc',
}

/** Kong's messages for errors of the wire and of the upstream. */
export const MESSAGES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  408: 'Request timeout',
  411: 'Length required',
  412: 'Precondition failed',
  413: 'Payload too large',
  414: 'URI too long',
  417: 'Expectation failed',
  426: 'Upgrade required',
  429: 'Too many requests',
  431: 'Request header fields too large',
  500: 'An unexpected error occurred',
  501: 'Not implemented',
  502: 'An invalid response was received from the upstream server',
  503: 'The upstream server is currently unavailable',
  504: 'The upstream server is timing out',
  505: 'HTTP version not supported',
}

/**
 * @param accept the client's Accept header, or null
 * @param fallback media type used when nothing in `accept` is known
 */
export function errorBody(
  status: number,
  message: string,
  requestId: string,
  accept: string | null,
  fallback: string,
): ErrorBody {
  // As Kong: an Accept that names nothing known means JSON; only without one the fallback counts.
  const form = accept === null ? (chooseForm(fallback) ?? 'json') : (chooseForm(accept) ?? 'json')
  return { contentType: TYPES[form], body: render(form, status, message, requestId) }
}

function render(form: Form, status: number, message: string, requestId: string): string {
  switch (form) {
    case 'json':
      return `{\n  "message":${JSON.stringify(message)},\n  "request_id":"${requestId}"\n}`
    case 'problem':
      return JSON.stringify({ type: 'about:blank', title: message, status, instance: `urn:request:${requestId}` })
    case 'xml':
      return `<?xml version="1.0" encoding="UTF-8"?>\n<error>\n  <message>${escapeMarkup(message)}</message>\n  <requestid>${requestId}</requestid>\n</error>\n`
    case 'html':
      return `<!doctype html>\n<html>\n  <head>\n    <meta charset="utf-8">\n    <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n    <p>${escapeMarkup(message)}.</p>\n    <p>request_id: ${requestId}</p>\n  </body>\n</html>\n`
    case 'plain':
      return `${message}\nrequest_id: ${requestId}\n`
    case 'grpc':
      return ''
  }
}

function chooseForm(accept: string | null): Form | null {
  if (accept === null) return null
  const direct = FORMS.get(accept)
  if (direct !== undefined) return direct
  let best: Form | null = null
  let bestQuality = 0
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';')
    const form = FORMS.get(type.trim())
    if (form === undefined) continue
    const quality = qualityOf(parameters)
    if (quality > bestQuality) {
      best = form
      bestQuality = quality
    }
  }
  return best
}

function escapeMarkup(text: string): string {
  return text.replace(/[&<>"]/g, (c) => (c === '&' ? '&amp;' : c === '<' ? '&lt;' : c === '>' ? '&gt;' : '&quot;'))
}
