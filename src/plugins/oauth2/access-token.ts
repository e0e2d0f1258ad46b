/** Where a request carries its access token (RFC 6750 2), and how the token is taken out again. */
import { FieldName, type Exchange } from '#pdk'
import { bodyKind, encodeBody, parseBody, removeField } from '#pdk/body-fields.ts'
import { removeArg } from '#pdk/form.ts'
import { fromWire } from '#pdk/wire-text.ts'
import { readParameters, type Parameters } from './parameters.ts'

const BODY_LIMIT_BYTES = 1 << 20

export interface FoundToken {
  /** '' when there is none. */
  readonly text: string
  readonly isFromHeader: boolean
}

/** As in Kong: where the header is there, it alone counts, and one of another scheme is a token that nobody has. */
export function findToken(exchange: Exchange, header: FieldName): FoundToken | Promise<FoundToken> {
  const value = header.get(exchange.request.headers)
  if (value !== null) {
    const bearer = /^\s*(?:bearer|token)\s+(\S+)\s*$/i.exec(value)
    return { text: fromWire(bearer?.[1] ?? value), isFromHeader: bearer !== null }
  }
  const parameters = readParameters(exchange)
  return parameters instanceof Promise ? parameters.then(fromParameters) : fromParameters(parameters)
}

/** Takes the token out of what the upstream gets; a promise when the body has to be changed. */
export function hideToken(
  { request }: Exchange,
  header: FieldName,
  { isFromHeader }: FoundToken,
): Promise<void> | null {
  if (isFromHeader) {
    header.remove(request.headers)
    return null
  }
  request.query = removeArg(request.query, 'access_token')
  const type = request.headers.get('content-type')
  return request.body.exists && bodyKind(type) !== null ? hideInBody(request, type) : null
}

async function hideInBody(request: Exchange['request'], type: string | null): Promise<void> {
  const bytes = await request.body.read(BODY_LIMIT_BYTES)
  const body = Buffer.isBuffer(bytes) ? parseBody(type, bytes) : null
  if (body !== null && removeField(body, 'access_token')) request.body.replace(encodeBody(body))
}

function fromParameters(parameters: Parameters): FoundToken {
  return { text: parameters.text('access_token') ?? '', isFromHeader: false }
}
