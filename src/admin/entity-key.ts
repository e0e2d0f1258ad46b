/** Finds the entity that a path names: by id, or by the field that the definition calls its endpoint key. */
import type { Model } from '#model/contract.ts'
import type { Row } from '#model/document.ts'
import type { EntityDefinition } from '#model/schema.ts'
import type { StateReader } from '#store/contract.ts'
import type { Answer } from './answer.ts'
import { invalidPrimaryKey, invalidUnique } from './fail.ts'
import { typeText } from './form.ts'

export interface Selected {
  readonly ok: true
  readonly row: Row | undefined
  /** How it was asked for: what an error names, and what PUT fills in. */
  readonly key: EntityKey
}
export interface EntityKey {
  readonly field: string
  readonly value: unknown
}
export type Selection = Selected | { readonly ok: false; readonly answer: Answer }

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function isUuid(text: string): boolean {
  return UUID.test(text)
}

/** Selects by the last part of a path. `parent`: only below this entity, where names may be unique only within it. */
export async function selectEntity(
  model: Model,
  state: StateReader,
  kind: string,
  text: string,
  workspace: string,
  parent?: ParentKey,
): Promise<Selection> {
  const definition = model.entities.get(kind)!
  if (isUuid(text)) {
    const id = text.toLowerCase()
    const row = await state.get(kind, id)
    return {
      ok: true,
      row: row !== undefined && isInWorkspace(row, definition, workspace) ? row : undefined,
      key: { field: 'id', value: id },
    }
  }
  const scoped = parent === undefined ? undefined : scopedKey(definition, parent.field)
  const field = scoped ?? definition.endpoint_key
  if (field === undefined) return { ok: false, answer: invalidPrimaryKey('expected a valid UUID') }
  const value = typeText(text, definition.fields[field])
  const problem = model.checkField(kind, field, value)
  if (problem !== null) return { ok: false, answer: invalidUnique(field, problem) }
  const row =
    scoped !== undefined && parent !== undefined
      ? await state.lookup(kind, 'cache_key', { [parent.field]: { id: parent.id }, [scoped]: value }, workspace)
      : await state.lookup(kind, field, value, workspace)
  return { ok: true, row, key: { field, value } }
}

/** The entity above one in a nested path. */
export interface ParentKey {
  /** The foreign field of the child. */
  readonly field: string
  readonly id: string
}

/** The field that is unique within a parent only (a consumer's `group`, an upstream's `target`), from the definition. */
export function scopedKey(definition: EntityDefinition, foreignField: string): string | undefined {
  const { cache_key: fields = [] } = definition
  if (fields.length !== 2 || !fields.includes(foreignField)) return undefined
  const other = fields.find((name) => name !== foreignField)!
  const field = definition.fields[other]
  // A field that is unique by itself is found by it anyway (a key's `name` beside `kid`).
  return field?.type === 'string' && (definition.endpoint_key === undefined || definition.endpoint_key === other)
    ? other
    : undefined
}

export function isInWorkspace(row: Row, definition: EntityDefinition, workspace: string): boolean {
  return definition.workspaceable !== true || row.workspace === workspace
}
