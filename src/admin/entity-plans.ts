/** What the four writes do to one entity: the operations, or why not. Kong's semantics of POST, PUT, PATCH and DELETE. */
import type { CheckContext, Checked, Model } from '#model/contract.ts'
import type { Document, Row } from '#model/document.ts'
import type { Operation, StateReader } from '#store/contract.ts'
import type { Answer } from './answer.ts'
import { type Input, resolveReferences } from './entity-input.ts'
import type { EntityKey } from './entity-key.ts'
import { refusedByModel, schemaViolation } from './fail.ts'
import { givesProtocols, mismatchOf } from './plugin-protocols.ts'

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
  return await planned(
    context,
    kind,
    context.model.insert(kind, resolved.input, context.check),
    resolved.input,
    'insert',
  )
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
  return await planned(
    context,
    kind,
    context.model.upsert(kind, current?.document ?? null, resolved.input, context.check),
    resolved.input,
    current === undefined ? 'insert' : 'replace',
  )
}

/** PATCH. The id stays, whatever the body says. */
export async function planUpdate(context: PlanContext, kind: string, current: Row, input: Input): Promise<EntityPlan> {
  const { id: _id, ...changes } = input
  const resolved = await resolve(context, kind, changes)
  if (!resolved.ok) return resolved
  return await planned(
    context,
    kind,
    context.model.update(kind, current.document, resolved.input, context.check),
    resolved.input,
    'change',
  )
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

async function planned(
  { model, state, workspace }: PlanContext,
  kind: string,
  checked: Checked,
  input: Input,
  way: 'insert' | 'replace' | 'change',
): Promise<EntityPlan> {
  if (!checked.ok) return { ok: false, answer: refusedByModel(checked) }
  if (model.entities.get(kind)!.subschemas === 'plugins' && givesProtocols(input, way === 'change')) {
    const fields = await mismatchOf(state, checked.document)
    if (fields !== null) return { ok: false, answer: schemaViolation(fields) }
  }
  const put = { op: 'put', kind, workspace: workspaceFor(model, kind, workspace), document: checked.document } as const
  return { ok: true, operations: [way === 'insert' ? { ...put, insert: true } : put], document: checked.document }
}
