/**
 * Definitions in the shape of Kong's `GET /schemas/...`, from which clients take defaults and deprecations: fields as lists of
 * objects with one key, checks as `entity_checks`. What is code in Kong (validators, transformations) is left out, as Kong does.
 */
import type { Check, Field, Fields } from './field.ts'
import type { EntityDefinition, PluginSchema } from './schema.ts'
import { configField, pluginRules } from './subschema.ts'

export interface KongSchema {
  readonly fields: readonly Named[]
  readonly entity_checks?: readonly Named[]
  readonly shorthand_fields?: readonly Named[]
}

/** An object with one key: the name of what it holds. */
export type Named = Readonly<Record<string, unknown>>

export function kongEntitySchema(definition: EntityDefinition): KongSchema {
  return recordSchema(definition.fields, definition.checks, definition.shorthand_fields)
}

/** What a plugin changes of the plugin entity: scopes that it can't have, its protocols and its configuration. */
export function kongPluginSchema(definition: EntityDefinition, schema: PluginSchema): KongSchema {
  const { fields } = pluginRules(definition, schema)
  const changed = Object.entries(fields).filter(
    ([name, field]) => field !== definition.fields[name] && name !== 'consumer_group',
  )
  return recordSchema(Object.fromEntries([...changed, ['config', configField(schema)]]), schema.checks)
}

export function kongVaultSchema(config: Field): KongSchema {
  return recordSchema({ config })
}

function recordSchema(fields: Fields, checks: readonly Check[] = [], shorthands?: Fields): KongSchema {
  return {
    fields: named(fields),
    ...(checks.length === 0 ? {} : { entity_checks: checks.map(checkSchema) }),
    ...(shorthands === undefined ? {} : { shorthand_fields: named(shorthands) }),
  }
}

function named(fields: Fields): Named[] {
  return Object.entries(fields).map(([name, field]) => ({ [name]: fieldSchema(field) }))
}

/** Rules with the same name and form in Kong. */
const SAME = [
  'required',
  'default',
  'auto',
  'unique',
  'unique_across_ws',
  'uuid',
  'timestamp',
  'eq',
  'ne',
  'gt',
  'one_of',
  'not_one_of',
  'between',
  'len_eq',
  'len_min',
  'len_max',
  'starts_with',
  'match',
  'not_match',
  'contains',
  'is_regex',
  'mutually_exclusive_subsets',
  'referenceable',
  'encrypted',
  'abstract',
  'transient',
  'on_delete',
  'reference',
  'description',
  'json_schema',
] as const

function fieldSchema(field: Field): Named {
  const shown: Record<string, unknown> = { type: field.type }
  for (const rule of SAME) if (field[rule] !== undefined) shown[rule] = field[rule]
  if (field.error !== undefined) shown['err'] = field.error
  if (field.match_all !== undefined) shown['match_all'] = field.match_all.map(patternSchema)
  if (field.match_none !== undefined) shown['match_none'] = field.match_none.map(patternSchema)
  if (field.match_any !== undefined)
    shown['match_any'] = { patterns: field.match_any.patterns, err: field.match_any.error }
  if (field.elements !== undefined) shown['elements'] = fieldSchema(field.elements)
  if (field.keys !== undefined) shown['keys'] = fieldSchema(field.keys)
  if (field.values !== undefined) shown['values'] = fieldSchema(field.values)
  if (field.fields !== undefined) Object.assign(shown, recordSchema(field.fields, field.checks, field.shorthand_fields))
  Object.assign(shown, deprecation(field))
  return shown
}

function patternSchema({ pattern, error }: { readonly pattern: string; readonly error?: string }): Named {
  return error === undefined ? { pattern } : { pattern, err: error }
}

interface Deprecated {
  readonly removal_in?: string
  readonly replaced_with?: readonly string[]
  readonly old_default?: unknown
}

/** Clients find out by this which new field an old name stands for. */
function deprecation(field: Field): Named {
  if (field.deprecated === undefined) return {}
  const { removal_in: removal, replaced_with: replacedWith, old_default: oldDefault } = field.deprecated as Deprecated
  const paths = replacedWith?.map((path) => path.split('.'))
  return {
    deprecation: {
      message: replacedWith === undefined ? 'this field is deprecated' : `use ${replacedWith.join(', ')} instead`,
      removal_in_version: removal,
      ...(oldDefault === undefined ? {} : { old_default: oldDefault }),
      ...(paths === undefined ? {} : { replaced_with: paths.map((path) => ({ path })) }),
    },
    ...(paths === undefined ? {} : { translate_backwards: paths[0] }),
  }
}

function checkSchema(check: Check): Named {
  const { rule, name: _name, meaning: _meaning, errors: _errors, also: _also, ...rest } = check
  if (rule === 'custom') return { custom_entity_check: { field_sources: rest['fields'] } }
  if (rest['fields'] !== undefined) return { [rule]: rest['fields'] }
  return {
    [rule]: Object.fromEntries(Object.entries(rest).map(([key, value]) => [key.replace(/error$/, 'err'), value])),
  }
}
