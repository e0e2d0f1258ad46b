/** A whole response as a model says it: JSON with `headers`, `status` and `body`. */
import { HOP_BY_HOP } from '#core/hop-by-hop.ts'
import { isFieldName } from '#pdk/relayed-answer.ts'
import { headerValue } from '#pdk/wire-text.ts'

export interface Instructions {
  readonly status: number
  /** As they go to the wire. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

const OF_CONNECTION: ReadonlySet<string> = new Set(HOP_BY_HOP)

/**
 * Without `status` it is 200, as in Kong; without `body` the instructions are the body. A model may have read anything: nothing that it
 * says adds a field or changes how the response is framed.
 */
export function parseInstructions(text: string): Instructions | { readonly problem: string } {
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    return { problem: 'is not JSON' }
  }
  if (typeof said !== 'object' || said === null || Array.isArray(said)) return { problem: 'is no object' }
  const { status = 200, headers = {}, body } = said as Readonly<Record<string, unknown>>
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599)
    return { problem: `status: expected 200..599, got ${shown(status)}` }
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers))
    return { problem: `headers: expected an object, got ${shown(headers)}` }
  const fields: (readonly [string, string])[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (!isFieldName(name)) return { problem: `headers: ${shown(name)} can't be a name` }
    if (typeof value !== 'string' && typeof value !== 'number')
      return { problem: `headers.${name}: expected a text, got ${shown(value)}` }
    if (!OF_CONNECTION.has(name.toLowerCase())) fields.push([name, headerValue(String(value))])
  }
  return { status, headers: fields, body: body === undefined ? text : bodyOf(body) }
}

function bodyOf(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

/** Short, since it is told to the client. */
function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, 40)
}
