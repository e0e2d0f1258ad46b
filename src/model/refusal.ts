/** Refusals as Kong's Admin API words them: `{ message, name, code, fields }`, codes 1 to 19 with their statuses. */
import type { FieldErrors } from './contract.ts'
import { luaLine, luaText } from './lua-text.ts'
import { shown } from './messages.ts'
import type { EntityDefinition } from './schema.ts'
import { own, type Values } from './record.ts'

export interface Refusal {
  readonly message: string
  readonly name: string
  readonly code: number
  readonly fields?: FieldErrors | Readonly<Values>
  /** Instead of `fields` for code 11. */
  readonly options?: FieldErrors | Readonly<Values>
  /** Of POST /config?flatten_errors=1. */
  readonly flattened_errors?: readonly unknown[]
}

/** HTTP status of each code. */
export const STATUS_OF_CODE: Readonly<Record<number, number>> = {
  1: 400,
  2: 400,
  3: 400,
  4: 400,
  5: 409,
  6: 404,
  7: 400,
  8: 500,
  9: 400,
  10: 400,
  11: 400,
  12: 405,
  13: 400,
  14: 400,
  15: 500,
  16: 500,
  17: 500,
  18: 500,
  19: 400,
}

export function invalidPrimaryKey(key: Readonly<Values>): Refusal {
  return { message: `invalid primary key: '${luaLine(key)}'`, name: 'invalid primary key', code: 1, fields: key }
}

/** `schema violation (a: b)` or `2 schema violations (a: b; c: d)`: entity errors first, then fields by name, one level deep. */
export function schemaViolation(fields: FieldErrors): Refusal {
  const items = violationTexts(fields)
  const count = items.length === 1 ? 'schema violation' : `${items.length} schema violations`
  return { message: `${count} (${items.join('; ')})`, name: 'schema violation', code: 2, fields }
}

function violationTexts(fields: FieldErrors): string[] {
  const entityErrors = fields['@entity']
  const texts: string[] = Array.isArray(entityErrors) ? [...entityErrors] : []
  for (const name of Object.keys(fields).toSorted()) {
    if (name === '@entity') continue
    const error = fields[name]!
    if (typeof error === 'string') texts.push(`${name}: ${error}`)
    else
      for (const [key, item] of errorEntries(error))
        texts.push(`${name}.${key}: ${typeof item === 'string' ? item : luaText(item)}`)
  }
  return texts
}

/** Lists count from 1. */
function errorEntries(error: FieldErrors | readonly unknown[]): [string, unknown][] {
  if (!Array.isArray(error)) return Object.entries(error).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return error.flatMap((item, index): [string, unknown][] => (item === null ? [] : [[String(index + 1), item]]))
}

export function primaryKeyViolation(key: Readonly<Values>): Refusal {
  return {
    message: `primary key violation on key '${luaLine(key)}'`,
    name: 'primary key violation',
    code: 3,
    fields: key,
  }
}

export function missingReference(field: string, key: Readonly<Values>, kind: string): Refusal {
  return {
    message: `the foreign key '${luaLine(key)}' does not reference an existing '${kind}' entity.`,
    name: 'foreign key violation',
    code: 4,
    fields: { [field]: key },
  }
}

export function stillReferenced(kind: string, referencedBy: string): Refusal {
  return {
    message: `an existing '${referencedBy}' entity references this '${kind}' entity`,
    name: 'foreign key violation',
    code: 4,
    fields: { '@referenced_by': referencedBy },
  }
}

export function uniqueViolation(fields: Readonly<Values>): Refusal {
  return {
    message: `UNIQUE violation detected on '${luaLine(fields)}'`,
    name: 'unique constraint violation',
    code: 5,
    fields,
  }
}

export function notFound(key: Readonly<Values>): Refusal {
  return {
    message: `could not find the entity with primary key '${luaLine(key)}'`,
    name: 'not found',
    code: 6,
    fields: key,
  }
}

export function notFoundByField(key: Readonly<Values>): Refusal {
  return { message: `could not find the entity with '${luaLine(key)}'`, name: 'not found', code: 6, fields: key }
}

export function invalidOffset(offset: string, reason: string): Refusal {
  return { message: `'${offset}' is not a valid offset: ${reason}`, name: 'invalid offset', code: 7 }
}

export function invalidSize(reason: string): Refusal {
  return { message: reason, name: 'invalid size', code: 9 }
}

export function invalidUnique(field: string, reason: string): Refusal {
  return { message: reason, name: `invalid unique ${field}`, code: 10 }
}

export function invalidOptions(options: FieldErrors): Refusal {
  const items = Object.keys(options)
    .toSorted()
    .map((name) => `${name}: ${shown(options[name])}`)
  const message =
    items.length === 1 ? `invalid option (${items[0]})` : `${items.length} option violations (${items.join('; ')})`
  return { message, name: 'invalid options', code: 11, options }
}

export type RefusedOperation = 'create' | 'update' | 'create or update' | 'remove'

/** For a gateway that runs from a declarative file. `field` is the unique field by which the entity was named, if not by id. */
export function unsupportedOperation(operation: RefusedOperation, kind: string, field?: string): Refusal {
  const by = field === undefined ? '' : ` by '${field}'`
  const message = `cannot ${operation} '${kind}' entities${by} when not using a database`
  return { message, name: 'operation unsupported', code: 12 }
}

/** References by something else than the id (`{ service: { name } }`) that lead to no entity. */
export function unresolvedReferences(
  unresolved: readonly { field: string; key: string; value: unknown; kind: string }[],
): Refusal {
  const fields: Record<string, Record<string, string>> = {}
  for (const { field, key, value, kind } of unresolved) {
    const message = `the foreign key cannot be resolved with '${luaLine({ [key]: value })}' for an existing '${kind}' entity`
    ;(fields[field] ??= {})[key] = message
  }
  const items = Object.entries(fields).flatMap(([field, keys]) =>
    Object.entries(keys).map(([key, message]) => `${field}.${key}: ${message}`),
  )
  const message =
    items.length === 1
      ? `foreign key unresolved (${items[0]})`
      : `${items.length} foreign keys unresolved (${items.join('; ')})`
  return { message, name: 'foreign keys unresolved', code: 13, fields }
}

export function invalidDeclarativeConfig(fields: FieldErrors): Refusal {
  return {
    message: `declarative config is invalid: ${luaLine(fields)}`,
    name: 'invalid declarative configuration',
    code: 14,
    fields,
  }
}

/** A deletion that something refers to without a foreign key of its own: the CA certificates of a service. */
export function referencedByOthers(message: string): Refusal {
  return { message, name: 'referenced by others', code: 19 }
}

/** What a client is told of a failed `Checked`. */
export function refusalOfCheck(checked: { readonly fields: FieldErrors; readonly isOption?: true }): Refusal {
  return checked.isOption === true ? invalidOptions(checked.fields) : schemaViolation(checked.fields)
}

/** The store's `Violation`, as far as its words belong to Kong's; `too_large` is answered with 413 by the Admin API itself. */
export type StateViolation =
  | { readonly type: 'unique'; readonly kind: string; readonly fields: Readonly<Values>; readonly existingId: string }
  | { readonly type: 'primary_key'; readonly kind: string; readonly id: string }
  | {
      readonly type: 'foreign'
      readonly kind: string
      readonly field: string
      readonly reference: string
      readonly id: string
    }
  | { readonly type: 'restrict'; readonly kind: string; readonly id: string; readonly referencedBy: string }

export function refusalOfViolation(
  violation: StateViolation,
  entities: ReadonlyMap<string, EntityDefinition>,
): Refusal {
  switch (violation.type) {
    case 'unique': {
      const fields = entities.get(violation.kind)?.fields ?? {}
      const shown = Object.entries(violation.fields).filter(
        ([name, value]) => value !== null || own(fields, name)?.hidden_unless_set !== true,
      )
      return uniqueViolation(Object.fromEntries(shown))
    }
    case 'primary_key':
      return primaryKeyViolation({ id: violation.id })
    case 'foreign':
      return missingReference(violation.field, { id: violation.id }, violation.reference)
    case 'restrict':
      return stillReferenced(violation.kind, violation.referencedBy)
  }
}
