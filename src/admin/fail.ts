/** The one place where failures become answers. The shapes, codes and texts are Kong's (`#model/refusal.ts`). */
import { type ErrorEntry, errors, GatewayError } from '#core/errors.ts'
import type { FieldErrors } from '#model/contract.ts'
import * as refusal from '#model/refusal.ts'
import type { EntityDefinition } from '#model/schema.ts'
import type { Violation } from '#store/contract.ts'
import { type Answer, answerJson, answerMessage, withHeaders } from './answer.ts'
import type { EntityKey } from './entity-key.ts'

/** What the model refuses: every invalid field is named. */
export function refusedByModel(checked: { readonly fields: FieldErrors; readonly isOption?: true }): Answer {
  return answerOf(refusal.refusalOfCheck(checked))
}

/** What the state at the time of the write does not allow. */
export function refusedByStore(violation: Violation, entities: ReadonlyMap<string, EntityDefinition>): Answer {
  if (violation.type === 'too_large') {
    return answerMessage(
      413,
      `The change is too large: expected at most ${violation.limitBytes} bytes, got ${violation.bytes}`,
    )
  }
  return answerOf(refusal.refusalOfViolation(violation, entities))
}

export function schemaViolation(fields: FieldErrors): Answer {
  return answerOf(refusal.schemaViolation(fields))
}

export function invalidPrimaryKey(message: string): Answer {
  return answerOf(refusal.invalidPrimaryKey({ id: message }))
}

export function notFound({ field, value }: EntityKey): Answer {
  return answerOf(field === 'id' ? refusal.notFound({ id: value }) : refusal.notFoundByField({ [field]: value }))
}

/** An endpoint key that no entity can have. */
export function invalidUnique(field: string, message: string): Answer {
  return answerOf(refusal.invalidUnique(field, message))
}

/** `kind` with `id` lists a CA certificate that was to go; the words are Kong's. */
export function stillListed(certificateId: string, kind: string, id: string): Answer {
  return answerOf(
    refusal.referencedByOthers(`ca certificate ${certificateId} is still referenced by ${kind} (id = ${id})`),
  )
}

export function invalidSize(message: string): Answer {
  return answerOf(refusal.invalidSize(message))
}

export function invalidOffset(offset: string, reason: string): Answer {
  return answerOf(refusal.invalidOffset(offset, reason))
}

export function invalidOptions(options: FieldErrors): Answer {
  return answerOf(refusal.invalidOptions(options))
}

export function unresolvedReferences(unresolved: Parameters<typeof refusal.unresolvedReferences>[0]): Answer {
  return answerOf(refusal.unresolvedReferences(unresolved))
}

/** Without a database entities are changed by POST /config only. */
export function unsupportedOperation(operation: refusal.RefusedOperation, kind: string, keyField?: string): Answer {
  return answerOf(refusal.unsupportedOperation(operation, kind, keyField))
}

/** `If-Match` named another revision than the one that is there. */
export function preconditionFailed(expected: number, head: number): Answer {
  const answer = answerMessage(412, `If-Match: expected the configuration at revision ${expected}, it is at ${head}`)
  return withHeaders(answer, { 'X-Config-Revision': String(head) })
}

/** The store did not tell in time whether the change was committed: never shown as refused, because it may still appear. */
export function outcomeOpen(txid: string): Answer {
  const answer = answerMessage(503, `The outcome of the change is open; see /log/tx/${txid}`)
  return withHeaders(answer, { 'Retry-After': '1', 'X-Config-Transaction': txid })
}

export interface ErrorLog {
  error(fields: object, message: string): void
}

/** An exception: a known failure with its status from the table of errors; anything else is a bug of ours, logged with its stack. */
export function unexpected(error: unknown, log: ErrorLog, fields: object): Answer {
  const status = error instanceof GatewayError ? (errors[error.code] as ErrorEntry).status : null
  if (error instanceof GatewayError && status !== null) {
    const answer = answerJson(status, { message: error.message, code: error.code })
    return status === 503 ? withHeaders(answer, { 'Retry-After': '1' }) : answer
  }
  log.error({ ...fields, err: error }, 'admin request failed')
  return answerMessage(500, 'An unexpected error occurred')
}

function answerOf(refused: refusal.Refusal): Answer {
  return answerJson(refusal.STATUS_OF_CODE[refused.code] ?? 500, refused)
}
