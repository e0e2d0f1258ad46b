/**
 * Completes what a client sent to what is validated and stored: shorthand fields become the fields that they stand for, absent
 * fields get their default or null, ids and times are filled in, sets lose their duplicates. Values of a wrong type pass unchanged
 * and are refused later, by `validate.ts`.
 */
import type { CheckContext } from './contract.ts'
import type { Field } from './field.ts'
import { define, isRecord, own, type Errors, type RecordRules, type Values } from './record.ts'
import { isUuid } from './rules.ts'
import { expandShorthands } from './shorthand.ts'

export type FillContext = Pick<CheckContext, 'nowMs' | 'uuid' | 'randomText' | 'keepsTimes'>

/** The complete record. Errors of shorthand fields are added to `errors`. */
export function fillRecord(rules: RecordRules, given: Readonly<Values>, context: FillContext, errors: Errors): Values {
  const input = expandShorthands(rules, given, errors)
  const filled: Values = {}
  for (const name in rules.fields) {
    const field = rules.fields[name]!
    let value = own(input, name)
    if (field.auto === true) value = automatic(name, field, value, context)
    if (value === undefined) value = absent(field)
    if (value !== undefined && value !== null) value = fillValue(field, value, context, errors, name)
    if (value !== undefined) filled[name] = value
  }
  for (const name of Object.keys(input)) if (!Object.hasOwn(rules.fields, name)) define(filled, name, input[name])
  return filled
}

function automatic(name: string, field: Field, value: unknown, context: FillContext): unknown {
  if (field.timestamp === true) {
    const now = field.type === 'integer' ? Math.floor(context.nowMs / 1000) : context.nowMs / 1000
    if (name === 'updated_at') return context.keepsTimes === true && value !== undefined && value !== null ? value : now
    return value ?? now
  }
  // Null unsets, as everywhere, and an entity without an id can't be.
  if (value !== undefined && (value !== null || field.uuid !== true)) return value
  return field.uuid === true ? context.uuid() : context.randomText()
}

/** The value of a field that was not given; undefined when it is required and has none, so that validation names it. */
function absent(field: Field): unknown {
  if (field.default !== undefined && field.default !== null) return copyOf(field.default)
  if (field.type === 'record' && field.required === true && field.abstract !== true) return {}
  return field.required === true ? undefined : null
}

/** Defaults are plain JSON; `structuredClone` takes ten times as long for them. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf)
  return isRecord(value) ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copyOf(item)])) : value
}

function fillValue(field: Field, value: unknown, context: FillContext, errors: Errors, name: string): unknown {
  switch (field.type) {
    case 'string':
      return field.uuid === true && isUuid(value) ? value.toLowerCase() : value
    case 'record': {
      const record = emptyAs(value, isRecord)
      if (record === undefined || field.abstract === true) return value
      const nested: Errors = {}
      const filled = fillRecord(field as RecordRules, record, context, nested)
      if (Object.keys(nested).length > 0) define(errors, name, nested)
      return filled
    }
    case 'array':
    case 'set': {
      const list = emptyAs(value, Array.isArray as (value: unknown) => value is unknown[])
      if (list === undefined) return value
      const filled = list.map((item) =>
        item === null ? null : fillValue(field.elements!, item, context, errors, name),
      )
      return field.type === 'set' ? withoutDuplicates(filled) : filled
    }
    case 'map': {
      const map = emptyAs(value, isRecord)
      if (map === undefined) return value
      const filled: Values = {}
      for (const key of Object.keys(map)) {
        const item = map[key]
        define(filled, key, item === null ? null : fillValue(field.values!, item, context, errors, name))
      }
      return filled
    }
    case 'foreign':
      return fillForeign(value)
    default:
      return value
  }
}

/** The empty list and the empty object are one thing in Kong's language: each is taken for the other. */
function emptyAs<T>(value: unknown, isKind: (value: unknown) => value is T): T | undefined {
  if (isKind(value)) return value
  if (Array.isArray(value) && value.length === 0) return {} as T
  if (isRecord(value) && Object.keys(value).length === 0) return [] as T
  return undefined
}

/** Only the id is kept of what a reference says about its entity. */
function fillForeign(value: unknown): unknown {
  if (!isRecord(value) || !Object.hasOwn(value, 'id')) return value
  return { id: isUuid(value['id']) ? value['id'].toLowerCase() : value['id'] }
}

function withoutDuplicates(items: readonly unknown[]): unknown[] {
  if (items.every((item) => typeof item !== 'object' || item === null)) return [...new Set(items)]
  const seen = new Set<string>()
  return items.filter((item) => {
    const text = JSON.stringify(item)
    if (seen.has(text)) return false
    seen.add(text)
    return true
  })
}
