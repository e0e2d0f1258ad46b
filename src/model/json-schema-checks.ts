/** Checks over several fields as JSON Schema conditions, with what defaults make of absent fields. */
import type { Check, Field, Fields } from './field.ts'
import { isNonEmpty, own } from './record.ts'
import { validateField } from './validate.ts'

type JsonSchema = Readonly<Record<string, unknown>>
type SchemaOf = (field: Field) => JsonSchema

/** One schema for each check that can be said; the others only code can judge. */
export function jsonSchemaOfChecks(fields: Fields, checks: readonly Check[], schemaOf: SchemaOf): JsonSchema[] {
  return checks.flatMap((check) => {
    const schema = CHECKS[check.rule]?.(fields, check as any, schemaOf) ?? null
    return schema === null ? [] : [schema]
  })
}

const CHECKS: Readonly<Record<string, (fields: Fields, check: any, schemaOf: SchemaOf) => JsonSchema | null>> = {
  at_least_one_of: (fields, { fields: paths }: { fields: string[] }) => ({
    anyOf: paths.map((path) => set(fields, path)),
  }),
  only_one_of: (fields, { fields: paths }: { fields: string[] }) => ({ oneOf: paths.map((path) => set(fields, path)) }),
  mutually_required: (fields, { fields: paths }: { fields: string[] }) => ({
    anyOf: [
      { allOf: paths.map((path) => set(fields, path)) },
      { allOf: paths.map((path) => ({ not: set(fields, path) })) },
    ],
  }),
  mutually_exclusive: (fields, { fields: paths }: { fields: string[] }) => ({
    anyOf: paths.map((path) => ({
      allOf: paths.filter((other) => other !== path).map((other) => ({ not: set(fields, other) })),
    })),
  }),
  conditional(
    fields,
    check: { if_field: string; if_match: Partial<Field>; then_field: string; then_match: Partial<Field> },
    schemaOf,
  ) {
    const then = fieldAt(fields, check.then_field)
    const demanded =
      check.then_match.required === true
        ? at(check.then_field, NOT_NULL, isNonEmpty(then?.default))
        : matching(fields, check.then_field, check.then_match, schemaOf)
    return implies(matching(fields, check.if_field, check.if_match, schemaOf), demanded)
  },
  conditional_at_least_one_of(fields, check: ConditionalAtLeastOneOf, schemaOf) {
    const oneOf = (paths: readonly string[]): JsonSchema => ({
      anyOf: [...paths, ...(check.also ?? [])].map((path) => set(fields, path)),
    })
    const condition = matching(fields, check.if_field, check.if_match, schemaOf)
    const first = implies(condition, oneOf(check.then_at_least_one_of))
    if (check.else_match === undefined) return first
    const otherwise = { allOf: [{ not: condition }, matching(fields, check.if_field, check.else_match, schemaOf)] }
    return { allOf: [first, implies(otherwise, oneOf(check.else_then_at_least_one_of ?? []))] }
  },
}

/** Where the condition holds the consequence must hold too. */
export function implies(condition: JsonSchema, consequence: JsonSchema): JsonSchema {
  return { anyOf: [{ not: condition }, consequence] }
}

interface ConditionalAtLeastOneOf {
  readonly if_field: string
  readonly if_match: Partial<Field>
  readonly then_at_least_one_of: readonly string[]
  readonly else_match?: Partial<Field>
  readonly else_then_at_least_one_of?: readonly string[]
  readonly also?: readonly string[]
}

const NOT_NULL: JsonSchema = { not: { const: null } }
const NON_EMPTY: JsonSchema = { not: { enum: [null, '', [], {}] } }

/** The field has a value, its own or its default. */
function set(fields: Fields, path: string): JsonSchema {
  return at(path, NON_EMPTY, isNonEmpty(fieldAt(fields, path)?.default))
}

/** The field, or its default, satisfies the match. */
function matching(fields: Fields, path: string, match: Partial<Field>, schemaOf: SchemaOf): JsonSchema {
  const field = fieldAt(fields, path)!
  const merged: Field = { ...field, required: false, ...match }
  return at(path, schemaOf(merged), validateField(merged, field.default ?? null) === null)
}

/** The schema for the field at `a.b.c`, and whether the field may be absent. */
function at(path: string, schema: JsonSchema, mayBeAbsent: boolean): JsonSchema {
  return path.split('.').reduceRight<JsonSchema>(
    (inner, name) => ({
      properties: { [name]: inner },
      ...(mayBeAbsent ? {} : { required: [name], type: 'object' }),
    }),
    schema,
  )
}

function fieldAt(fields: Fields, path: string): Field | undefined {
  let at: Fields | undefined = fields
  let found: Field | undefined
  for (const name of path.split('.')) {
    found = at === undefined ? undefined : own(at, name)
    at = found?.fields
  }
  return found
}
