/** Whether a request asks to end its session. */
import type { Exchange } from '#pdk'
import { bodyKind, parseBody } from '#pdk/body-fields.ts'
import { findArg } from '#pdk/form.ts'
import { toWire } from '#pdk/wire-text.ts'

/** A form that logs out is short. */
const BODY_LIMIT_BYTES = 1 << 16

export interface LogoutRules {
  readonly methods: readonly string[]
  /** Null: none. */
  readonly queryArg: string | null
  /** Null: bodies are not looked at. */
  readonly bodyField: string | null
}

export function isLogout(
  exchange: Exchange,
  { methods, queryArg, bodyField }: LogoutRules,
): boolean | Promise<boolean> {
  const { request } = exchange
  if (!methods.includes(request.method)) return false
  if (queryArg !== null && findArg(request.query, toWire(queryArg)) !== null) return true
  if (bodyField === null || !request.body.exists) return false
  return bodyKind(request.headers.get('content-type')) !== null && hasField(request, bodyField)
}

async function hasField({ body, headers }: Exchange['request'], name: string): Promise<boolean> {
  const bytes = await body.read(BODY_LIMIT_BYTES)
  const fields = Buffer.isBuffer(bytes) ? parseBody(headers.get('content-type'), bytes) : null
  switch (fields?.kind) {
    case 'form':
      return fields.args.has(toWire(name))
    case 'json':
      return fields.members.has(name)
    case 'multipart':
      return fields.form.parts.some((part) => part.name === toWire(name))
    default:
      return false
  }
}
