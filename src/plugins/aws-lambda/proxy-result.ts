/** What a function says that answers as those behind Amazon's API Gateway do: status, fields and body in a JSON object. */
import { isFieldName, type RelayedFields } from '#pdk/relayed-answer.ts'

export interface ProxyResult {
  readonly status: number
  readonly fields: RelayedFields
  readonly body: Buffer
}

/** The result, or in Kong's words what is wrong with it. */
export function parseProxyResult(text: string): ProxyResult | { readonly problem: string } {
  let result: unknown
  try {
    result = JSON.parse(text)
  } catch (error) {
    return { problem: (error as Error).message }
  }
  if (typeof result !== 'object' || result === null || Array.isArray(result))
    return { problem: 'proxy response must be json format' }
  const { statusCode, headers, multiValueHeaders, body, isBase64Encoded } = result as Record<string, unknown>
  const status = statusOf(statusCode)
  if (status === null) return { problem: 'statusCode validation failed' }
  const fields: Record<string, string | readonly string[]> = {}
  for (const [what, given] of [
    ['headers', headers],
    ['multiValueHeaders', multiValueHeaders],
  ] as const) {
    const problem = addFields(fields, what, given)
    if (problem !== null) return { problem }
  }
  if (body !== undefined && body !== null && typeof body !== 'string') return { problem: 'body must be a string' }
  if (isBase64Encoded !== undefined && isBase64Encoded !== null && typeof isBase64Encoded !== 'boolean')
    return { problem: 'isBase64Encoded must be a boolean' }
  const bytes = bytesOf(body ?? '', isBase64Encoded === true)
  return bytes === null ? { problem: 'body must be base64' } : { status, fields, body: bytes }
}

/** A number or its text. Below 200 nothing is an answer (RFC 9110 15.2). */
function statusOf(code: unknown): number | null {
  const status = typeof code === 'string' && /^\d{3}$/.test(code) ? Number(code) : code
  return typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599 ? status : null
}

function addFields(fields: Record<string, string | readonly string[]>, what: string, given: unknown): string | null {
  if (given === undefined || given === null) return null
  // An empty list is an empty object to many who write JSON.
  if (typeof given !== 'object' || (Array.isArray(given) && given.length > 0)) return `${what} must be a table`
  for (const [name, value] of Object.entries(given)) {
    const values = [value as unknown].flat()
    if (!isFieldName(name) || !values.every(isText)) return `${what} must be fields, '${name.slice(0, 100)}' is none`
    // Names are the same in any case; the later list has the say.
    for (const known of Object.keys(fields)) if (known.toLowerCase() === name.toLowerCase()) delete fields[known]
    fields[name] = values.map(String)
  }
  return null
}

function isText(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function bytesOf(body: string, isEncoded: boolean): Buffer | null {
  if (!isEncoded) return Buffer.from(body)
  return /^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(body) ? Buffer.from(body, 'base64') : null
}
