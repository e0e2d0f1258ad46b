/** Small tools for walking records and their errors by dotted paths. */
import type { Check, Fields } from './field.ts'

/** What the interpreter needs to know of anything with fields: an entity, a nested record, a plugin's configuration. */
export interface RecordRules {
  readonly fields: Fields
  readonly shorthand_fields?: Fields | undefined
  readonly checks?: readonly Check[] | undefined
}

export type Values = Record<string, unknown>
/** `FieldErrors` while it is being built. */
export type Errors = Record<string, unknown>

export function isRecord(value: unknown): value is Readonly<Values> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Values of fields come from clients: `constructor` and the like must not be found on the prototype. */
export function own<T>(object: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** The value at `a.b.c`; undefined when a step is missing or no object. */
export function valueAt(values: unknown, path: string): unknown {
  if (!path.includes('.')) return isRecord(values) ? own(values, path) : undefined
  let at: unknown = values
  for (const name of path.split('.')) {
    if (!isRecord(at)) return undefined
    at = own(at, name)
  }
  return at
}

/** Sets the value at `a.b.c`, making the objects on the way; leaves everything when a step is something else than an object. */
export function setAt(values: Values, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop()!
  let at = values
  for (const name of names) {
    const next = own(at, name)
    if (next === undefined || next === null) at = define(at, name, {})
    else if (isRecord(next)) at = next
    else return
  }
  define(at, last, value)
}

/** Assigns so that a field called `__proto__` is a field like any other. */
export function define<T>(object: Values, name: string, value: T): T {
  if (name === '__proto__')
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
  else object[name] = value
  return value
}

/** Kong's 'non-empty': not null, no empty text, list or object. */
export function isNonEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false
  if (Array.isArray(value)) return value.length > 0
  return typeof value !== 'object' || Object.keys(value).length > 0
}
