/** The errors of a declarative file by entity, in Kong's `flattened_errors`: for clients that wrote the entities and not the file. */
import type { FieldErrors } from '../contract.ts'
import { isRecord, type Errors, type Values } from '../record.ts'
import type { Refusal } from '../refusal.ts'
import type { LoadFailure } from './load.ts'
import type { Node } from './nodes.ts'

interface FlatError {
  readonly entity_type: string
  readonly entity_name?: unknown
  readonly entity_id?: unknown
  readonly entity_tags?: unknown
  readonly entity: Readonly<Values>
  readonly errors: readonly (
    | { readonly type: 'field'; readonly field: string; readonly message: string }
    | { readonly type: 'entity'; readonly message: string }
  )[]
}

/** The refusal with what is wrong with each entity; `fields` keeps what belongs to none. */
export function flattenErrors({ refusal, entities }: LoadFailure): Refusal {
  return { ...refusal, fields: leftOver(refusal.fields ?? {}, entities), flattened_errors: entities.map(flatError) }
}

function flatError({ node, errors }: LoadFailure['entities'][number]): FlatError {
  const { given, definition, parent } = node
  const parentId = parent?.node.given['id']
  return {
    entity_type: definition.kind.replace(/s$/, ''),
    ...(given['name'] === undefined ? {} : { entity_name: given['name'] }),
    ...(given['id'] === undefined ? {} : { entity_id: given['id'] }),
    ...(given['tags'] === undefined ? {} : { entity_tags: given['tags'] }),
    entity: { ...given, ...(parent === null || parentId === undefined ? {} : { [parent.field]: { id: parentId } }) },
    errors: [...flatMessages(errors, '')],
  }
}

/** Indexes count from 1. */
function* flatMessages(error: unknown, field: string): Generator<FlatError['errors'][number]> {
  if (typeof error === 'string')
    yield field === '' ? { type: 'entity', message: error } : { type: 'field', field, message: error }
  else if (Array.isArray(error)) {
    for (const [index, item] of error.entries()) if (item !== null) yield* flatMessages(item, `${field}.${index + 1}`)
  } else if (isRecord(error)) {
    for (const [name, item] of Object.entries(error)) {
      if (name === '@entity' && Array.isArray(item)) for (const message of item) yield* flatMessages(message, field)
      else yield* flatMessages(item, field === '' ? name : `${field}.${name}`)
    }
  }
}

function leftOver(fields: FieldErrors | Readonly<Values>, entities: LoadFailure['entities']): FieldErrors {
  const left: Errors = structuredClone(fields)
  for (const { node, errors } of entities) takeOut(left, node, Object.keys(errors))
  return prune(left) as FieldErrors
}

function takeOut(tree: Errors, { path }: Node, names: readonly string[]): void {
  let at: any = tree
  for (const step of path) at = at?.[step]
  if (isRecord(at)) for (const name of names) delete (at as Errors)[name]
}

/** Without what holds nothing any more. */
function prune(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(prune)
    return items.every(isEmpty) ? [] : items.map((item) => (isEmpty(item) ? null : item))
  }
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, item]) => [name, prune(item)])
      .filter(([, item]) => !isEmpty(item)),
  )
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
