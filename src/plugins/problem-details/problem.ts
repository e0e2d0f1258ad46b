/** Problem details (RFC 9457), in JSON and in XML. */
import { STATUS_CODES } from 'node:http'
import type { Form } from './negotiate.ts'

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string | null
  readonly instance: string
  /** Members of the operator's, after those of the standard. */
  readonly extensions: readonly (readonly [string, string])[]
}

export const CONTENT_TYPES: Readonly<Record<Form, string>> = {
  json: 'application/problem+json; charset=utf-8',
  xml: 'application/problem+xml; charset=utf-8',
}

/** The name of a status, which is the title of a problem without a type (RFC 9457 4.2.1). */
export function titleOf(status: number): string {
  return STATUS_CODES[status] ?? (status < 500 ? 'Client Error' : 'Server Error')
}

export function render(form: Form, problem: Problem): Buffer {
  const { extensions, detail, ...rest } = problem
  const members = [
    ...Object.entries(rest),
    ...(detail === null ? [] : [['detail', detail] as const]),
    ...extensions,
  ] as readonly (readonly [string, string | number])[]
  if (form === 'json') return Buffer.from(JSON.stringify(Object.fromEntries(members)))
  const inner = members.map(([name, value]) => `  <${name}>${escapeMarkup(String(value))}</${name}>\n`).join('')
  return Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>\n<problem xmlns="urn:ietf:rfc:7807">\n${inner}</problem>\n`,
  )
}

/** What XML 1.0 can't have at all becomes a question mark. */
function escapeMarkup(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '?')
    .replace(/[&<>]/g, (character) => (character === '&' ? '&amp;' : character === '<' ? '&lt;' : '&gt;'))
}

const DETAILS = ['detail', 'message', 'error_description', 'error'] as const
const DETAIL_CHARACTERS = 1024

/** What an error in JSON says, in the member that usually says it; null for anything else. */
export function detailIn(body: Buffer | string): string | null {
  const members = membersOf(body)
  if (members === null) return null
  for (const name of DETAILS) {
    const text = Object.hasOwn(members, name) ? members[name] : null
    if (typeof text === 'string' && text !== '') return text.slice(0, DETAIL_CHARACTERS)
  }
  return null
}

/** The text of an answer that a plugin made of nothing but a message, as Kong's plugins do; null for other answers. */
export function messageIn(body: string | Buffer | null): string | null {
  const message = body === null ? undefined : membersOf(body)?.['message']
  return typeof message === 'string' ? message : null
}

/** Null for what is no object in JSON: whatever its type says, it has no member that could be told. */
function membersOf(body: Buffer | string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' ? (value as Readonly<Record<string, unknown>> | null) : null
  } catch {
    return null
  }
}
