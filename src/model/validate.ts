/** Holds complete records against their definitions, as Kong 3.9 does: same rules, same order, same texts, same shape of errors. */
import { runChecks, type WriteMode } from './checks.ts'
import type { Field } from './field.ts'
import { MESSAGES, shown } from './messages.ts'
import { define, isRecord, type Errors, type RecordRules, type Values } from './record.ts'
import { brokenRule, type FieldError } from './rules.ts'
import { isVaultReference } from './vault-reference.ts'

/** What is wrong with the record, empty when nothing is. Expects what `fill.ts` made. */
export function validateRecord(rules: RecordRules, values: Readonly<Values>, mode: WriteMode, nowMs: number): Errors {
  const errors: Errors = {}
  for (const name of Object.keys(values)) {
    const field = Object.hasOwn(rules.fields, name) ? rules.fields[name] : undefined
    const error = field === undefined ? MESSAGES.unknown : validateField(field, values[name], mode, nowMs)
    if (error !== null) define(errors, name, error)
  }
  for (const name in rules.fields) {
    const value = values[name]
    // Required wins over whatever else is wrong with null; an absent value can't be wrong otherwise.
    if (rules.fields[name]!.required === true && (value === undefined || value === null))
      errors[name] = MESSAGES.required
  }
  if (rules.checks !== undefined) runChecks(rules, values, { mode, nowMs, validateField }, errors)
  return errors
}

/** What is wrong with one value: a text, or errors of what is inside it; null when nothing is. */
export function validateField(field: Field, value: unknown, mode: WriteMode = 'insert', nowMs = 0): FieldError | null {
  if (value === null || value === undefined) {
    if (field['ne'] === null) return field.error ?? 'value must not be null'
    if (field.eq !== undefined && field.eq !== null) return field.error ?? `value must be ${shown(field.eq)}`
    return null
  }
  if (field.eq === null) return field.error ?? 'value must be null'
  if (field.abstract === true) return MESSAGES.abstract
  if (field.referenceable === true && isVaultReference(value)) return null
  return wrongInside(field, value, mode, nowMs) ?? brokenRule(field, value)
}

/** Whether the value has the field's type, and whether what it holds is right. */
function wrongInside(field: Field, value: unknown, mode: WriteMode, nowMs: number): FieldError | null {
  switch (field.type) {
    case 'string':
      if (typeof value !== 'string') return MESSAGES.string
      return value === '' && field.len_min === undefined ? (field.error ?? 'length must be at least 1') : null
    case 'number':
      return typeof value === 'number' ? null : MESSAGES.number
    case 'integer':
      return Number.isInteger(value) ? null : MESSAGES.integer
    case 'boolean':
      return typeof value === 'boolean' ? null : MESSAGES.boolean
    case 'array':
      return Array.isArray(value) ? wrongElements(field.elements!, value, mode, nowMs) : MESSAGES.array
    case 'set':
      return Array.isArray(value) ? wrongElements(field.elements!, value, mode, nowMs) : MESSAGES.set
    case 'map':
      return isRecord(value) ? wrongEntries(field, value, mode, nowMs) : MESSAGES.map
    case 'record': {
      if (!isRecord(value)) return MESSAGES.record
      const errors = validateRecord(field as RecordRules, value, mode, nowMs)
      return isEmpty(errors) ? null : (errors as FieldError)
    }
    case 'foreign':
      return wrongReference(value)
    case 'json':
    case 'function':
      return null
  }
}

/** Errors stand at the index of their element, with null before them. */
function wrongElements(element: Field, values: readonly unknown[], mode: WriteMode, nowMs: number): FieldError | null {
  let errors: (FieldError | null)[] | null = null
  for (let i = 0; i < values.length; i++) {
    const error = validateRequired(element, values[i], mode, nowMs)
    if (error === null) continue
    errors ??= []
    while (errors.length < i) errors.push(null)
    errors.push(error)
  }
  return errors as FieldError | null
}

/** The first wrong key or value speaks for the whole map: Kong names neither. */
function wrongEntries(field: Field, map: Readonly<Values>, mode: WriteMode, nowMs: number): FieldError | null {
  for (const key of Object.keys(map)) {
    const error =
      validateRequired(field.keys!, key, mode, nowMs) ?? validateRequired(field.values!, map[key], mode, nowMs)
    if (error !== null) return error
  }
  return null
}

function validateRequired(field: Field, value: unknown, mode: WriteMode, nowMs: number): FieldError | null {
  return value === null || value === undefined ? MESSAGES.required : validateField(field, value, mode, nowMs)
}

const ID: Field = { type: 'string', uuid: true }

function wrongReference(value: unknown): FieldError | null {
  const id = isRecord(value) ? value['id'] : undefined
  if (id === undefined || id === null) return { id: MESSAGES.missingPrimaryKey }
  const error = validateField(ID, id)
  return error === null ? null : { id: error }
}

function isEmpty(errors: Errors): boolean {
  for (const _ in errors) return false
  return true
}
