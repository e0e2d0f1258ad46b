/** The body of a request as the input of an entity: forms get their types, references by name become ids. */
import type { Model } from '#model/contract.ts'
import type { Field } from '#model/field.ts'
import type { EntityDefinition } from '#model/schema.ts'
import type { StateReader } from '#store/contract.ts'
import type { Answer } from './answer.ts'
import type { Body } from './body.ts'
import { unresolvedReferences } from './fail.ts'
import { fieldsFrom, type FormNode, typeForm } from './form.ts'

export type Input = Record<string, unknown>

/** What the body says. `discriminator`: the plugin's name of the entity that a PATCH changes, when the body does not name it. */
export function inputOf(model: Model, definition: EntityDefinition, body: Body, discriminator?: unknown): Input {
  if (body.type === 'json') return { ...body.value }
  if (body.type !== 'form') return {}
  const lookup = fieldsFrom(definition.fields, definition.shorthand_fields, definition.ttl === true ? TTL : undefined)
  const name = textIn(body.form, definition.subschema_key) ?? discriminator
  return typeForm(body.form, (field) => specialise(model, definition, lookup(field), name))
}

type Resolved = { readonly ok: true; readonly input: Input } | { readonly ok: false; readonly answer: Answer }

/** Fills the id into references that name their entity by another unique field: `{"service": {"name": "s"}}`. */
export async function resolveReferences(
  model: Model,
  state: StateReader,
  definition: EntityDefinition,
  input: Input,
  workspace: string,
): Promise<Resolved> {
  const unresolved: { field: string; key: string; value: unknown; kind: string }[] = []
  const resolved: Input = { ...input }
  for (const [name, field] of Object.entries(definition.fields)) {
    const value = input[name]
    if (field.type !== 'foreign' || !isRecord(value) || (value['id'] !== undefined && value['id'] !== null)) continue
    const target = model.entities.get(field.reference!)!
    for (const [unique, targetField] of Object.entries(target.fields)) {
      const wanted = value[unique]
      if (targetField.unique !== true || wanted === undefined || wanted === null) continue
      const row = typeof wanted === 'string' ? await state.lookup(target.kind, unique, wanted, workspace) : undefined
      if (row !== undefined) resolved[name] = { id: row.document.id }
      else unresolved.push({ field: name, key: unique, value: wanted, kind: target.kind })
      break
    }
  }
  return unresolved.length > 0 ? { ok: false, answer: unresolvedReferences(unresolved) } : { ok: true, input: resolved }
}

const TTL = { ttl: { type: 'integer' } } as const satisfies Record<string, Field>

// The abstract record of a plugin has the fields of that plugin.
function specialise(
  model: Model,
  definition: EntityDefinition,
  field: Field | undefined,
  discriminator: unknown,
): Field | undefined {
  if (field?.abstract !== true || typeof discriminator !== 'string') return field
  const plugin = definition.subschemas === 'plugins' ? model.plugins.get(discriminator) : undefined
  if (plugin === undefined) return field
  return {
    type: 'record',
    fields: plugin.config,
    ...(plugin.shorthand_fields === undefined ? {} : { shorthand_fields: plugin.shorthand_fields }),
  }
}

function textIn(form: FormNode, name: string | undefined): string | undefined {
  const value = name === undefined ? undefined : form.named.get(name)?.values[0]
  return value !== undefined && 'text' in value ? value.text : undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
