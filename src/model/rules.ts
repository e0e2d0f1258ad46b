/** The rules that a field's value is held against once its type is right, in the order in which Kong runs them. */
import { compileSafeRegex } from '#core/pcre.ts'
import type { FieldErrors } from './contract.ts'
import type { Field } from './field.ts'
import { MESSAGES, shown } from './messages.ts'
import { validators } from './validators.ts'

export type FieldError = FieldErrors[string]

/** The first rule that the value breaks, as its message; null when it keeps all of them. The value has the field's type. */
export function brokenRule(field: Field, value: unknown): FieldError | null {
  let given = rulesOf.get(field)
  if (given === undefined) rulesOf.set(field, (given = givenRules(field)))
  for (const [broken, wanted] of given) {
    const message = broken(value, wanted, field)
    if (message !== null) return field.error ?? message
  }
  return null
}

/** A field has one or two of the twenty rules: they are looked for once, which is a third of the time of a check. */
const rulesOf = new WeakMap<Field, readonly (readonly [Rule, unknown])[]>()

function givenRules(field: Field): (readonly [Rule, unknown])[] {
  return ORDER.flatMap(([name, broken]) => {
    const wanted = field[name]
    return wanted === undefined || wanted === null ? [] : [[broken, wanted] as const]
  })
}

type Rule = (value: any, wanted: any, field: Field) => FieldError | null

const ORDER: readonly (readonly [string, Rule])[] = [
  ['eq', (value, wanted) => (value === wanted ? null : `value must be ${shown(wanted)}`)],
  ['ne', (value, wanted) => (value === wanted ? `value must not be ${shown(wanted)}` : null)],
  ['not_one_of', (value, wanted) => (wanted.includes(value) ? `must not be one of: ${wanted.join(', ')}` : null)],
  ['one_of', (value, wanted) => (isOneOf(value, wanted) ? null : `expected one of: ${listed(wanted)}`)],
  ['gt', (value, wanted) => (value > wanted ? null : `value must be greater than ${shown(wanted)}`)],
  ['timestamp', (value) => (typeof value === 'number' && value > 0 ? null : MESSAGES.timestamp)],
  ['uuid', (value) => (isUuid(value) ? null : MESSAGES.uuid)],
  ['is_regex', (value) => (compileSafeRegex(value).ok ? null : `not a valid regex: ${value}`)],
  [
    'between',
    (value, [least, most]) =>
      value >= least && value <= most ? null : `value should be between ${Math.trunc(least)} and ${Math.trunc(most)}`,
  ],
  ['len_eq', (value, wanted) => (lengthOf(value) === wanted ? null : `length must be ${wanted}`)],
  ['len_min', (value, wanted) => (lengthOf(value) >= wanted ? null : `length must be at least ${wanted}`)],
  ['len_max', (value, wanted) => (lengthOf(value) <= wanted ? null : `length must be at most ${wanted}`)],
  ['starts_with', (value, wanted) => (value.startsWith(wanted) ? null : `should start with: ${wanted}`)],
  ['not_match', (value, wanted) => (pattern(wanted).test(value) ? `invalid value: ${value}` : null)],
  ['match_none', (value, wanted) => fails(wanted, (entry) => pattern(entry.pattern).test(value), value)],
  ['match', (value, wanted) => (pattern(wanted).test(value) ? null : `invalid value: ${value}`)],
  ['match_all', (value, wanted) => fails(wanted, (entry) => !pattern(entry.pattern).test(value), value)],
  [
    'match_any',
    (value, wanted) =>
      wanted.patterns.some((text: string) => pattern(text).test(value))
        ? null
        : (wanted.error ?? `invalid value: ${value}`),
  ],
  ['contains', (value, wanted) => (value.includes(wanted) ? null : `expected to contain: ${shown(wanted)}`)],
  ['validator', (value, name, field) => runValidator(name, value, field)],
  ['mutually_exclusive_subsets', (value, subsets) => exclusive(value, subsets)],
]

type Entry = { readonly pattern: string; readonly error?: string }

function fails(entries: readonly Entry[], isBroken: (entry: Entry) => boolean, value: string): string | null {
  const broken = entries.find(isBroken)
  return broken === undefined ? null : (broken.error ?? `invalid value: ${value}`)
}

/** Empty lists of choices come out of Kong's data as `{}`. */
function isOneOf(value: unknown, wanted: unknown): boolean {
  return Array.isArray(wanted) && wanted.includes(value)
}

function listed(wanted: unknown): string {
  return Array.isArray(wanted) ? wanted.join(', ') : ''
}

/** Strings are measured in bytes, as Lua does. */
function lengthOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  return value !== null && typeof value === 'object' ? Object.keys(value).length : 0
}

function runValidator(name: string, value: unknown, field: Field): FieldError | null {
  const validator = validators[name]
  // A definition naming a validator that does not exist is a bug; `kong-compat.test.ts` looks for them.
  if (validator === undefined) throw new Error(`no validator named '${name}'`)
  return validator(value, field)
}

function exclusive(values: readonly unknown[], subsets: readonly (readonly string[])[]): string | null {
  const met = new Set<readonly string[]>()
  for (const value of values) {
    const subset = subsets.find((candidate) => candidate.includes(value as string))
    if (subset !== undefined) met.add(subset)
  }
  if (met.size <= 1) return null
  return `these sets are mutually exclusive: ${[...met].map((subset) => `(${subset.map((item) => `'${item}'`).join(', ')})`).join(', ')}`
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && value.length === 36 && UUID.test(value)
}

// Patterns come from definitions only, so the number of them is fixed.
const patterns = new Map<string, RegExp>()

function pattern(source: string): RegExp {
  let compiled = patterns.get(source)
  if (compiled === undefined) {
    compiled = new RegExp(source)
    patterns.set(source, compiled)
  }
  return compiled
}
