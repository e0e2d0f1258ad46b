/** Finds what a path is about: the entity that it names, and the parent that it must belong to. */
import type { Row } from '#model/document.ts'
import type { Model } from '#model/contract.ts'
import type { StateReader } from '#store/contract.ts'
import { type Answer, NOT_FOUND } from './answer.ts'
import type { AdminRequest } from './endpoint.ts'
import { type EntityKey, selectEntity } from './entity-key.ts'

/** What a path is about: a kind, below a parent or not. */
export interface Scope {
  readonly kind: string
  /** `field` is the foreign field of the kind that points to the parent. */
  readonly parent?: { readonly kind: string; readonly field: string }
}

export type Located =
  | {
      readonly ok: true
      readonly parent: Row | undefined
      /** The entity that the path names, even when it belongs to another parent. */
      readonly row: Row | undefined
      readonly key: EntityKey
    }
  | { readonly ok: false; readonly answer: Answer }

/** The parent of a nested path, undefined at the top level; a parent that does not exist is 404. */
export async function locateParent(
  model: Model,
  state: StateReader,
  { parent }: Scope,
  request: AdminRequest,
): Promise<{ readonly ok: true; readonly parent: Row | undefined } | { readonly ok: false; readonly answer: Answer }> {
  if (parent === undefined) return { ok: true, parent: undefined }
  const selected = await selectEntity(model, state, parent.kind, request.parameters[parent.kind]!, request.workspace)
  if (!selected.ok) return selected
  return selected.row === undefined ? { ok: false, answer: NOT_FOUND } : { ok: true, parent: selected.row }
}

export async function locate(model: Model, state: StateReader, scope: Scope, request: AdminRequest): Promise<Located> {
  const above = await locateParent(model, state, scope, request)
  if (!above.ok) return above
  const within = above.parent === undefined ? undefined : { field: scope.parent!.field, id: above.parent.document.id }
  const selected = await selectEntity(
    model,
    state,
    scope.kind,
    request.parameters[scope.kind]!,
    request.workspace,
    within,
  )
  return selected.ok ? { ok: true, parent: above.parent, row: selected.row, key: selected.key } : selected
}

/** The entity if it is there and belongs to the parent of the path. */
export function belonging(
  { parent: parentScope }: Scope,
  { row, parent }: { readonly row: Row | undefined; readonly parent: Row | undefined },
): Row | undefined {
  if (row === undefined || parentScope === undefined) return row
  return referenceId(row, parentScope.field) === parent?.document.id ? row : undefined
}

/** The id in a foreign field, or null. */
export function referenceId(row: Row, field: string): string | null {
  const reference = row.document[field] as { readonly id?: string } | null | undefined
  return reference?.id ?? null
}
