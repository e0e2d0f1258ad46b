/** What the four writes do to one entity: the operations, or why not. Kong's semantics of POST, PUT, PATCH and DELETE. */
import type { CheckContext, Checked, Model } from '#model/contract.ts'
import type { Document, Row } from '#model/document.ts'
import type { Operation, StateReader } from '#store/contract.ts'
import type { Answer } from './answer.ts'
import { type Input, resolveReferences } from './entity-input.ts'
import type { EntityKey } from './entity-key.ts'
import { refusedByModel } from './fail.ts'

export type EntityPlan =
  | { readonly ok: true; readonly operations: readonly Operation[]; readonly document: Document }
  | { readonly ok: false; readonly answer: Answer }

export interface PlanContext {
  readonly model: Model
  readonly state: StateReader
  readonly workspace: string
  readonly check: CheckContext
}

/** POST. */
export async function planInsert(context: PlanContext, kind: string, input: Input): Promise<EntityPlan> {
  const resolved = await resolve(context, kind, input)
  if (!resolved.ok) return resolved
  return planned(context, kind, context.model.insert(kind, resolved.input, context.check), true)
}

/** PUT: replaces the entity with what is given, or makes it under the id or name of the path. */
export async function planUpsert(
  context: PlanContext,
  kind: string,
  current: Row | undefined,
  key: EntityKey,
  input: Input,
): Promise<EntityPlan> {
  const named = { ...input, [key.field]: key.value, ...(current === undefined ? {} : { id: current.document.id }) }
  const resolved = await resolve(context, kind, named)
  if (!resolved.ok) return resolved
  return planned(
    context,
    kind,
    context.model.upsert(kind, current?.document ?? null, resolved.input, context.check),
    current === undefined,
  )
}

/** PATCH. The id stays, whatever the body says. */
export async function planUpdate(context: PlanContext, kind: string, current: Row, input: Input): Promise<EntityPlan> {
  const { id: _id, ...changes } = input
  const resolved = await resolve(context, kind, changes)
  if (!resolved.ok) return resolved
  return planned(context, kind, context.model.update(kind, current.document, resolved.input, context.check), false)
}

export function deletion({ kind, workspace, document }: Row): Operation {
  return { op: 'delete', kind, workspace, id: document.id }
}

/** The workspace that entities of the kind are kept in. */
export function workspaceFor(model: Model, kind: string, workspace: string): string {
  return model.entities.get(kind)?.workspaceable === true ? workspace : ''
}

async function resolve({ model, state, workspace }: PlanContext, kind: string, input: Input) {
  return await resolveReferences(model, state, model.entities.get(kind)!, input, workspace)
}

function planned({ model, workspace }: PlanContext, kind: string, checked: Checked, isNew: boolean): EntityPlan {
  if (!checked.ok) return { ok: false, answer: refusedByModel(checked) }
  const put = { op: 'put', kind, workspace: workspaceFor(model, kind, workspace), document: checked.document } as const
  return { ok: true, operations: [isNew ? { ...put, insert: true } : put], document: checked.document }
}
