/**
 * JSON Schema (2020-12) of entities, derived from their definitions: what a client may send and what it gets. Rules that JSON Schema
 * can't say (validators, checks in code) are named in `x-` keywords; all others give the same verdict as the model.
 */
import type { Check, Field, Fields } from './field.ts'
import { implies, jsonSchemaOfChecks } from './json-schema-checks.ts'
import type { EntityDefinition } from './schema.ts'

export type JsonSchema = Readonly<Record<string, unknown>>

/** `request`: a whole entity as sent; `update`: some of its fields; `answer`: an entity as shown. */
export type JsonSchemaUse = 'request' | 'update' | 'answer'

export function entityJsonSchema(definition: EntityDefinition, use: JsonSchemaUse = 'request'): JsonSchema {
  const schema = recordJsonSchema(
    { fields: definition.fields, shorthands: definition.shorthand_fields, checks: definition.checks ?? [] },
    use,
  )
  const properties = { ...(schema['properties'] as JsonSchema), ...(definition.ttl === true ? { ttl: TTL } : {}) }
  const conditions = use === 'request' ? protocolConditions(definition) : []
  return {
    title: definition.kind,
    description: definition.about,
    ...schema,
    properties,
    ...(conditions.length === 0
      ? {}
      : { allOf: [...((schema['allOf'] as JsonSchema[] | undefined) ?? []), ...conditions] }),
  }
}

const TTL: JsonSchema = {
  type: ['integer', 'null'],
  minimum: 0,
  maximum: 100_000_000,
  description: 'Seconds until the entity ends; 0 and null: never.',
}

interface RecordParts {
  readonly fields: Fields
  readonly shorthands?: Fields | undefined
  readonly checks: readonly Check[]
}

export function recordJsonSchema({ fields, shorthands, checks }: RecordParts, use: JsonSchemaUse): JsonSchema {
  const properties: Record<string, JsonSchema> = {}
  for (const [name, field] of Object.entries(fields)) {
    properties[name] = use !== 'answer' && isOverwritten(name, field) ? OVERWRITTEN : fieldJsonSchema(field, use)
  }
  for (const [name, field] of Object.entries(shorthands ?? {})) {
    // A shorthand that has the name of a field is that field.
    if (fields[name] === undefined)
      properties[name] = { ...fieldJsonSchema(field, use), deprecated: field.deprecated !== undefined }
  }
  const required = requiredNames(fields, use)
  const conditions = use === 'request' ? jsonSchemaOfChecks(fields, checks, (field) => fieldJsonSchema(field, use)) : []
  return {
    type: 'object',
    properties,
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
    ...(conditions.length === 0 ? {} : { allOf: conditions }),
  }
}

const OVERWRITTEN: JsonSchema = { description: 'Set by the gateway on every write; what is sent is ignored.' }

function isOverwritten(name: string, field: Field): boolean {
  return name === 'updated_at' && field.auto === true
}

function requiredNames(fields: Fields, use: JsonSchemaUse): string[] {
  if (use === 'update') return []
  if (use === 'answer')
    return Object.keys(fields).filter(
      (name) => fields[name]!.hidden_unless_set !== true && fields[name]!.transient !== true,
    )
  return Object.keys(fields).filter((name) => isDemanded(fields[name]!))
}

/** Required, and nothing fills it in. A required record is made from the defaults of its own fields, if they have all. */
function isDemanded(field: Field): boolean {
  if (field.required !== true || field.auto === true) return false
  if (field.default !== undefined && field.default !== null) return false
  if (field.type === 'record' && field.abstract !== true) return Object.values(field.fields!).some(isDemanded)
  return true
}

/** The schema of one field, with null where it may be null. */
export function fieldJsonSchema(field: Field, use: JsonSchemaUse): JsonSchema {
  const schema = valueJsonSchema(field, use)
  const note = {
    ...(field.description === undefined ? {} : { description: field.description }),
    ...(field.default === undefined || field.default === null || use !== 'request' ? {} : { default: field.default }),
    ...(field.encrypted === true ? { 'x-secret': true } : {}),
  }
  return { ...(isNullable(field, use) ? orNull(schema) : schema), ...note }
}

/** Null means no value; it breaks only a rule that asks for a value. */
function isNullable(field: Field, use: JsonSchemaUse): boolean {
  if (field.eq !== undefined && field.eq !== null && use !== 'answer') return false
  return field.required !== true && field['ne'] !== null
}

function orNull(schema: JsonSchema): JsonSchema {
  const { type } = schema
  const saysNothing = Object.keys(schema).length === 0
  if (schema['const'] === null || saysNothing) return schema
  const isPlain = typeof type === 'string' && schema['enum'] === undefined && schema['const'] === undefined
  return isPlain ? { ...schema, type: [type, 'null'] } : { anyOf: [schema, { type: 'null' }] }
}

function valueJsonSchema(field: Field, use: JsonSchemaUse): JsonSchema {
  if (field.eq === null) return { const: null }
  const rules = use === 'answer' ? {} : ruleJsonSchema(field)
  switch (field.type) {
    case 'string':
      return stringJsonSchema(field, rules, use)
    case 'array':
    case 'set':
      return { type: 'array', items: elementJsonSchema(field.elements!, use), ...rules }
    case 'map':
      return {
        type: 'object',
        ...(use === 'answer' ? {} : { propertyNames: elementJsonSchema(field.keys as Field, use) }),
        additionalProperties: elementJsonSchema(field.values as Field, use),
        ...rules,
      }
    case 'record':
      if (field.abstract === true) return { type: 'object' }
      return {
        ...recordJsonSchema(
          { fields: field.fields!, shorthands: field.shorthand_fields, checks: field.checks ?? [] },
          use,
        ),
        ...rules,
      }
    case 'foreign':
      return foreignJsonSchema(field, use)
    case 'json':
    case 'function':
      return {}
    default:
      return { type: field.type, ...rules }
  }
}

function elementJsonSchema(field: Field, use: JsonSchemaUse): JsonSchema {
  return fieldJsonSchema({ ...field, required: true }, use)
}

const UUID = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'

/** Clients may name the entity by another unique field; answers have the id alone. */
function foreignJsonSchema(field: Field, use: JsonSchemaUse): JsonSchema {
  const id = { type: 'string', format: 'uuid', pattern: UUID }
  const base = { type: 'object', properties: { id }, 'x-reference': field.reference }
  return use === 'answer' ? { ...base, required: ['id'], additionalProperties: false } : { ...base, minProperties: 1 }
}

const VAULT_REFERENCE = '^\\{vault://'

function stringJsonSchema(field: Field, rules: JsonSchema, use: JsonSchemaUse): JsonSchema {
  if (use === 'answer') return field.uuid === true ? { type: 'string', format: 'uuid' } : { type: 'string' }
  const length = field.len_min === undefined && field.len_eq === undefined ? { minLength: 1 } : {}
  const schema = {
    type: 'string',
    ...length,
    ...(field.uuid === true ? { format: 'uuid', pattern: UUID } : {}),
    ...rules,
  }
  const isFree = Object.keys(rules).length === 0
  return field.referenceable === true && !isFree
    ? { anyOf: [schema, { type: 'string', pattern: VAULT_REFERENCE }] }
    : schema
}

/** The rules of a field as keywords. Several patterns stand in `allOf`. */
function ruleJsonSchema(field: Field): JsonSchema {
  const isText = field.type === 'string'
  const isList = field.type === 'array' || field.type === 'set'
  const [least, most] = isText
    ? ['minLength', 'maxLength']
    : isList
      ? ['minItems', 'maxItems']
      : ['minProperties', 'maxProperties']
  const keywords: Record<string, unknown> = {}
  const all: JsonSchema[] = []
  if (field.eq !== undefined) keywords['const'] = field.eq
  if (field['ne'] !== undefined && field['ne'] !== null) all.push({ not: { const: field['ne'] } })
  if (Array.isArray(field.one_of)) keywords['enum'] = field.one_of
  if (field.not_one_of !== undefined) all.push({ not: { enum: field.not_one_of } })
  if (field.gt !== undefined) keywords['exclusiveMinimum'] = field.gt
  else if (field.timestamp === true) keywords['exclusiveMinimum'] = 0
  if (field.between !== undefined) Object.assign(keywords, { minimum: field.between[0], maximum: field.between[1] })
  if (field.len_eq !== undefined) Object.assign(keywords, { [least]: field.len_eq, [most]: field.len_eq })
  if (field.len_min !== undefined) keywords[least] = field.len_min
  if (field.len_max !== undefined) keywords[most] = field.len_max
  if (field.starts_with !== undefined) all.push({ pattern: `^${escapeRegex(field.starts_with)}` })
  if (field.not_match !== undefined) all.push({ not: { type: 'string', pattern: field.not_match } })
  for (const { pattern } of field.match_none ?? []) all.push({ not: { type: 'string', pattern } })
  if (field.match !== undefined) all.push({ pattern: field.match })
  for (const { pattern } of field.match_all ?? []) all.push({ pattern })
  if (field.match_any !== undefined) all.push({ anyOf: field.match_any.patterns.map((pattern) => ({ pattern })) })
  if (field.contains !== undefined) keywords['contains'] = { const: field.contains }
  if (field.is_regex === true) keywords['format'] = 'regex'
  if (field.validator !== undefined) keywords['x-validator'] = field.validator
  all.push(...exclusions(field.mutually_exclusive_subsets ?? []))
  if (all.length > 0) keywords['allOf'] = all
  return keywords
}

/** No list may have values of two of the subsets. */
function exclusions(subsets: readonly (readonly string[])[]): JsonSchema[] {
  const has = (subset: readonly string[]): JsonSchema => ({ contains: { enum: subset } })
  return subsets.flatMap((one, index) =>
    subsets.slice(index + 1).map((other) => ({ not: { allOf: [has(one), has(other)] } })),
  )
}

function escapeRegex(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

/** What holds only under some protocols, chosen by what `protocols` contains. */
function protocolConditions(definition: EntityDefinition): JsonSchema[] {
  const key = definition.subschema_key
  return (definition.subschemas_by_protocol ?? []).map(({ protocols, overrides, checks }) => {
    const byDefault = (definition.fields[key!]!.default as readonly string[]).some((value) => protocols.includes(value))
    const fields = { ...definition.fields, ...overrides }
    const properties = Object.fromEntries(
      Object.entries(overrides ?? {}).map(([name, field]) => [name, fieldJsonSchema(field, 'request')]),
    )
    const applies = {
      properties: { [key!]: { type: 'array', contains: { enum: protocols } } },
      ...(byDefault ? {} : { required: [key!] }),
    }
    const conditions = jsonSchemaOfChecks(fields, checks ?? [], (field) => fieldJsonSchema(field, 'request'))
    return implies(applies, { properties, allOf: conditions })
  })
}
