/**
 * Shorthand fields: accepted in input, never stored. `maps` in the definition says what they stand for; three have a translation of
 * their own. A deprecated one yields to the field that replaced it; another one wins over the fields that it sets.
 */
import type { Field } from './field.ts'
import { shown } from './messages.ts'
import { define, isRecord, own, valueAt, type Errors, type RecordRules, type Values } from './record.ts'
import { parseServiceUrl } from './service-url.ts'
import { validateField } from './validate.ts'

interface Maps {
  /** Name of a translation in `TRANSLATIONS`, for what the other keys can't say. */
  readonly translate?: string
  readonly sets?: readonly string[]
  readonly null_becomes?: unknown
  readonly value_map?: Readonly<Record<string, unknown>>
}

interface Deprecated {
  readonly replaced_with?: readonly string[]
}

/** The input with its shorthand fields replaced; the same object when it has none. */
export function expandShorthands(rules: RecordRules, input: Readonly<Values>, errors: Errors): Readonly<Values> {
  if (rules.shorthand_fields === undefined) return input
  let expanded: Values | null = null
  for (const name in rules.shorthand_fields) {
    // Looked up in what the earlier ones made: `algorithm` of an upstream sets `hash_on`, which is a shorthand itself.
    const value = own(expanded ?? input, name)
    if (value === undefined) continue
    const field = rules.shorthand_fields[name]!
    expanded ??= { ...input }
    const error = mismatch(name, field, value, expanded) ?? validateField(field, value)
    if (error !== null) {
      define(errors, name, error)
      delete expanded[name]
      continue
    }
    delete expanded[name]
    apply(field, value, expanded)
  }
  return expanded ?? input
}

/** The old names of fields that have a new one, with the same values: what Kong's answers carry for old clients. */
export function echoDeprecated(rules: RecordRules, values: Readonly<Values>): Values {
  const shownValues: Values = { ...values }
  for (const name in rules.fields) {
    const field = rules.fields[name]!
    const value = values[name]
    if (field.type === 'record' && isRecord(value) && hasShorthands(field))
      shownValues[name] = echoDeprecated(field as RecordRules, value)
  }
  for (const name in rules.shorthand_fields) {
    const replacedWith = (rules.shorthand_fields[name]!.deprecated as Deprecated | undefined)?.replaced_with
    if (replacedWith === undefined) continue
    const value = valueAt(values, replacedWith[0]!)
    if (value !== undefined) shownValues[name] = value
  }
  return shownValues
}

/** Whether the record, or one inside it, has fields with an old name. */
function hasShorthands(field: Field): boolean {
  if (field.shorthand_fields !== undefined) return true
  return (
    field.fields !== undefined &&
    Object.values(field.fields).some((inner) => inner.type === 'record' && hasShorthands(inner))
  )
}

function mismatch(name: string, field: Field, value: unknown, values: Values): string | null {
  const replacedWith = (field.deprecated as Deprecated | undefined)?.replaced_with
  if (value === null || replacedWith === undefined) return null
  for (const path of replacedWith) {
    const other = valueAt(values, path)
    if (other === undefined || other === null || JSON.stringify(other) === JSON.stringify(value)) continue
    return `both deprecated and new field are used but their values mismatch: ${name} = ${shown(value)} vs ${path} = ${shown(other)}`
  }
  return null
}

function apply(field: Field, value: unknown, values: Values): void {
  const maps = (field.maps ?? {}) as Maps
  if (maps.translate !== undefined) {
    Object.assign(values, TRANSLATIONS[maps.translate]!(value))
    return
  }
  let translated = value
  if (value === null && maps.null_becomes !== undefined) translated = maps.null_becomes
  else if (typeof value === 'string' && maps.value_map !== undefined) translated = own(maps.value_map, value) ?? value
  for (const path of maps.sets ?? []) {
    const current = valueAt(values, path)
    if (field.deprecated !== undefined && current !== undefined && current !== null) continue
    putAt(values, path.split('.'), translated)
  }
}

/** Sets the value at the path, in copies of the records on the way: they are the client's. Stops at what is no record. */
function putAt(values: Values, [name, ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) define(values, name!, value)
  else {
    const below = own(values, name!) ?? {}
    if (isRecord(below)) putAt(define(values, name!, { ...below }), rest, value)
  }
}

const TRANSLATIONS: Readonly<Record<string, (value: unknown) => Values>> = {
  service_url: (value) => parseServiceUrl(value),
  upstream_algorithm: (value) =>
    value === 'least-connections' || value === 'latency' ? { algorithm: value, hash_on: null } : { algorithm: value },
  upstream_hash_on: (value) => {
    if (value === null) return { hash_on: 'none' }
    return { hash_on: value, algorithm: value === 'none' ? 'round-robin' : 'consistent-hashing' }
  },
}
