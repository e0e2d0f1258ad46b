/** Which fields of log entries are never written: headers with credentials, and every field that a definition marks as encrypted. */
import type { Field, Fields } from '#model/field.ts'

/** Headers and fields that carry credentials by their very name. */
const ALWAYS = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'apikey',
  'kong-admin-token',
  'password',
  'secret',
  'token',
  'private_key',
]

/** Words that are secrets in an entity, and something harmless elsewhere (`error.code`): hidden only inside of entities. */
const ONLY_IN_ENTITIES = new Set(['code', 'data', 'key', 'value'])

/** Under which names entities and their configurations are logged. */
const ENTITY_HOLDERS = ['document', 'credential', 'entity', 'config', '*.config', '*.document']

/** Names of all fields that are marked as encrypted, at any depth. */
export function secretFieldNames(tables: Iterable<Fields>): Set<string> {
  const names = new Set<string>()
  for (const fields of tables) collectFrom(fields, names)
  return names
}

/** Paths in the form that pino takes. */
export function redactionPaths(secretNames: Iterable<string>): string[] {
  const paths = new Set<string>()
  for (const name of new Set([...ALWAYS, ...secretNames])) {
    const part = /^[a-z_][a-z0-9_]*$/i.test(name) ? `.${name}` : `["${name}"]`
    const holders = ONLY_IN_ENTITIES.has(name) ? ENTITY_HOLDERS : ['', '*', '*.*']
    for (const holder of holders) paths.add(holder === '' ? part.replace(/^\./, '') : holder + part)
  }
  return [...paths]
}

function collectFrom(fields: Fields, names: Set<string>): void {
  for (const [name, field] of Object.entries(fields)) collect(name, field, names)
}

function collect(name: string, field: Field, names: Set<string>): void {
  if (field.encrypted === true) names.add(name)
  if (field.fields !== undefined) collectFrom(field.fields, names)
  if (field.elements !== undefined) collect(name, field.elements, names)
  if (field.values !== undefined) collect(name, field.values, names)
}
