/** What PATCH means: given fields replace, records merge field by field, lists and maps are replaced whole, null clears. */
import type { Field, Fields } from './field.ts'
import { define, isRecord, type Errors, type RecordRules, type Values } from './record.ts'
import { expandShorthands } from './shorthand.ts'

/** The stored record with the given fields put over it. Shorthand fields are replaced first, so that they win over what is stored. */
export function mergeRecord(
  rules: RecordRules,
  current: Readonly<Values>,
  given: Readonly<Values>,
  errors: Errors,
): Values {
  const input = expandShorthands(rules, given, errors)
  const merged: Values = { ...current }
  for (const name of Object.keys(input)) {
    const value = input[name]
    const field = Object.hasOwn(rules.fields, name) ? rules.fields[name] : undefined
    if (field?.type === 'record' && isRecord(value)) {
      const nested: Errors = {}
      const below = current[name]
      define(merged, name, mergeRecord(rulesOf(field), isRecord(below) ? below : {}, value, nested))
      if (Object.keys(nested).length > 0) define(errors, name, nested)
    } else define(merged, name, value)
  }
  return merged
}

function rulesOf(field: Field): RecordRules {
  return { fields: field.fields as Fields, shorthand_fields: field.shorthand_fields }
}
