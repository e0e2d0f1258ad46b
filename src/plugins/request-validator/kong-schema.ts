/** Kong's own form of schemas (`version: kong`), a list of fields as in plugins' schemas, as JSON Schema. */
import { regexOfLuaPattern } from './lua-pattern.ts'

export type Converted =
  | { readonly ok: true; readonly schema: object }
  /** `field`: where in the list, such as `name.match`. */
  | { readonly ok: false; readonly field: string; readonly reason: string }

/** The schema of an object with these fields and no others; text is what stands in `body_schema`. */
export function convertKongSchema(text: string): Converted {
  let fields: unknown
  try {
    fields = JSON.parse(text)
  } catch {
    return { ok: false, field: '', reason: 'expected a JSON array of fields' }
  }
  try {
    return { ok: true, schema: recordOf(fields, '') }
  } catch (error) {
    if (error instanceof Unconvertible) return { ok: false, field: error.field, reason: error.message }
    throw error
  }
}

/** Ends the conversion from the depth at which something is wrong. */
class Unconvertible extends Error {
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

type Rules = Readonly<Record<string, unknown>>

function recordOf(fields: unknown, path: string): object {
  if (!Array.isArray(fields)) throw new Unconvertible(path, 'expected a list of fields, each an object with one name')
  const properties: [string, object][] = []
  const required: string[] = []
  for (const [index, entry] of (fields as unknown[]).entries()) {
    const names = isRules(entry) ? Object.keys(entry) : []
    const name = names[0]
    if (name === undefined || names.length !== 1)
      throw new Unconvertible(`${path}${path === '' ? '' : '.'}${index}`, 'expected an object with one name')
    const inner = path === '' ? name : `${path}.${name}`
    const rules = (entry as Rules)[name]
    if (!isRules(rules)) throw new Unconvertible(inner, 'expected the rules of the field')
    properties.push([name, fieldOf(rules, inner)])
    if (rules['required'] === true && rules['default'] === undefined) required.push(name)
  }
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    ...(required.length > 0 && { required }),
  }
}

function fieldOf(rules: Rules, path: string): object {
  // In Kong null is as good as absent.
  const isNullable = rules['required'] !== true
  const schema = typeOf(rules, path, isNullable)
  const parts: object[] = [schema]
  for (const [rule, wanted] of Object.entries(rules)) {
    if (STRUCTURE.has(rule) || wanted === null) continue
    const convert = RULES[rule]
    if (convert === undefined) throw new Unconvertible(`${path}.${rule}`, 'is no rule that this gateway knows')
    const part = convert(wanted, rules['type'], isNullable)
    if (part === null) throw new Unconvertible(`${path}.${rule}`, 'expected another value')
    parts.push(part)
  }
  return parts.length === 1 ? schema : { allOf: parts }
}

/** Rules that `typeOf` and `recordOf` read, and those that say nothing of values. */
const STRUCTURE = new Set([
  'type',
  'required',
  'default',
  'elements',
  'keys',
  'values',
  'fields',
  'description',
  'nullable',
])

function typeOf(rules: Rules, path: string, isNullable: boolean): object {
  const inner = (rule: string): object => {
    const field = rules[rule]
    if (!isRules(field)) throw new Unconvertible(`${path}.${rule}`, 'expected the rules of the field')
    return fieldOf({ ...field, required: true }, `${path}.${rule}`)
  }
  const typed = (type: string): object => ({ type: isNullable ? [type, 'null'] : type })
  switch (rules['type']) {
    case 'string':
      // An empty text is none, unless the length is spoken of.
      return 'len_min' in rules || 'len_eq' in rules ? typed('string') : { ...typed('string'), minLength: 1 }
    case 'number':
    case 'integer':
    case 'boolean':
      return typed(rules['type'])
    case 'array':
    case 'set':
      return 'elements' in rules ? { ...typed('array'), items: inner('elements') } : typed('array')
    case 'map':
      return {
        ...typed('object'),
        ...('keys' in rules && { propertyNames: inner('keys') }),
        ...('values' in rules && { additionalProperties: inner('values') }),
      }
    case 'record':
      return { ...recordOf(rules['fields'], path), ...typed('object') }
    default:
      throw new Unconvertible(
        `${path}.type`,
        'expected one of: string, number, integer, boolean, array, set, map, record',
      )
  }
}

const UUID = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'

/** Each answers the schema that says the same, or null for a value that the rule can't have. */
type Convert = (wanted: unknown, type: unknown, isNullable: boolean) => object | null

const RULES: Readonly<Record<string, Convert>> = {
  eq: (wanted, _, isNullable) => ({ enum: isNullable ? [wanted, null] : [wanted] }),
  ne: (wanted) => ({ not: { const: wanted } }),
  gt: (wanted) => (typeof wanted === 'number' ? { exclusiveMinimum: wanted } : null),
  one_of: (wanted, _, isNullable) =>
    Array.isArray(wanted) && wanted.length > 0
      ? { enum: isNullable ? [...(wanted as unknown[]), null] : (wanted as unknown[]) }
      : null,
  not_one_of: (wanted) => (Array.isArray(wanted) && wanted.length > 0 ? { not: { enum: wanted } } : null),
  between: (wanted) => (isPair(wanted) ? { minimum: wanted[0], maximum: wanted[1] } : null),
  len_eq: (wanted, type) => lengths(wanted, type, true, true),
  len_min: (wanted, type) => lengths(wanted, type, true, false),
  len_max: (wanted, type) => lengths(wanted, type, false, true),
  match: (wanted) => matching(wanted),
  not_match: (wanted) => negated(matching(wanted)),
  match_all: (wanted) => combined('allOf', patternsIn(wanted)),
  match_none: (wanted) => negated(combined('anyOf', patternsIn(wanted))),
  match_any: (wanted) => (isRules(wanted) ? combined('anyOf', wanted['patterns']) : null),
  starts_with: (wanted) => (typeof wanted === 'string' ? { pattern: `^${literal(wanted)}` } : null),
  contains: (wanted) => ({ contains: { const: wanted } }),
  is_regex: (wanted) => (wanted === true ? { format: 'regex' } : {}),
  uuid: (wanted) => (wanted === true ? { pattern: UUID } : {}),
  timestamp: (wanted) => (wanted === true ? { exclusiveMinimum: 0 } : {}),
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

function lengths(wanted: unknown, type: unknown, isLeast: boolean, isMost: boolean): object | null {
  if (!Number.isInteger(wanted) || (wanted as number) < 0) return null
  const of = type === 'string' ? 'Length' : type === 'map' || type === 'record' ? 'Properties' : 'Items'
  return { ...(isLeast && { [`min${of}`]: wanted }), ...(isMost && { [`max${of}`]: wanted }) }
}

function matching(wanted: unknown): object | null {
  const pattern = typeof wanted === 'string' ? regexOfLuaPattern(wanted) : null
  return pattern === null ? null : { pattern }
}

function negated(schema: object | null): object | null {
  // A pattern says nothing of what is no text, and its negation would refuse that.
  return schema === null ? null : { not: { type: 'string', ...schema } }
}

function combined(how: 'allOf' | 'anyOf', patterns: unknown): object | null {
  if (!Array.isArray(patterns) || patterns.length === 0) return null
  const schemas = patterns.map(matching)
  return schemas.includes(null) ? null : { [how]: schemas }
}

function patternsIn(wanted: unknown): unknown {
  return Array.isArray(wanted) ? wanted.map((entry) => (isRules(entry) ? entry['pattern'] : null)) : null
}

function isPair(value: unknown): value is readonly [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === 'number')
}

function isRules(value: unknown): value is Rules {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
