/** `/routes/{routes}/service`: the entity that another one points to. */
import type { Row } from '#model/document.ts'
import type { StateReader } from '#store/contract.ts'
import { type Answer, METHOD_NOT_ALLOWED, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Handler } from './endpoint.ts'
import { entityAnswer } from './entity-answer.ts'
import { answering, inputFor, planContext, readAnswer } from './entity-handlers.ts'
import { planUpdate, planUpsert } from './entity-plans.ts'
import { locate, referenceId } from './locate.ts'
import type { EntityPorts } from './ports.ts'
import { commit, type Planned } from './write.ts'

export interface ForeignScope {
  /** The kind in the path, and its field. */
  readonly kind: string
  readonly field: string
  /** The kind that the field points to. */
  readonly target: string
}

export interface ForeignHandlers {
  readonly get: Handler
  readonly upsert: Handler
  readonly update: Handler
  readonly remove: Handler
}

export function foreignHandlers(ports: EntityPorts, scope: ForeignScope): ForeignHandlers {
  return {
    get: (request) => get(ports, scope, request),
    upsert: (request) => upsert(ports, scope, request),
    update: (request) => update(ports, scope, request),
    remove: (request) => remove(ports, scope, request),
  }
}

type Pointing =
  | { readonly ok: true; readonly from: Row; readonly targetId: string | null }
  | { readonly ok: false; readonly answer: Answer }

async function locatePointing(
  { model }: EntityPorts,
  state: StateReader,
  { kind, field }: ForeignScope,
  request: AdminRequest,
): Promise<Pointing> {
  const located = await locate(model, state, { kind }, request)
  if (!located.ok) return located
  if (located.row === undefined) return { ok: false, answer: NOT_FOUND }
  return { ok: true, from: located.row, targetId: referenceId(located.row, field) }
}

async function locateTarget(
  ports: EntityPorts,
  state: StateReader,
  scope: ForeignScope,
  request: AdminRequest,
): Promise<{ readonly ok: true; readonly row: Row } | { readonly ok: false; readonly answer: Answer }> {
  const pointing = await locatePointing(ports, state, scope, request)
  if (!pointing.ok) return pointing
  const row = pointing.targetId === null ? undefined : await state.get(scope.target, pointing.targetId)
  return row === undefined ? { ok: false, answer: NOT_FOUND } : { ok: true, row }
}

function get(ports: EntityPorts, scope: ForeignScope, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const located = await locateTarget(ports, state, scope, request)
    return located.ok ? entityAnswer(ports, request, scope.target, 200, located.row.document) : located.answer
  })
}

// Without a target one is made and linked, in one transaction.
function upsert(ports: EntityPorts, scope: ForeignScope, request: AdminRequest): Promise<Answer> {
  const newId = ports.check(request.atMs).uuid()
  const plan = async (state: StateReader): Promise<Planned> => {
    const pointing = await locatePointing(ports, state, scope, request)
    if (!pointing.ok) return pointing
    const context = planContext(ports, state, request)
    const id = pointing.targetId ?? newId
    const current = await state.get(scope.target, id)
    const target = await planUpsert(
      context,
      scope.target,
      current,
      { field: 'id', value: id },
      inputFor(ports, { kind: scope.target }, request, null),
    )
    const planned = answering(ports, request, scope.target, 200, target)
    if (!planned.ok || pointing.targetId !== null) return planned
    const link = await planUpdate(context, scope.kind, pointing.from, { [scope.field]: { id } })
    return link.ok ? { ...planned, operations: [...planned.operations, ...link.operations] } : link
  }
  return commit(ports, request, plan, { verb: 'create or update', kind: scope.target })
}

function update(ports: EntityPorts, scope: ForeignScope, request: AdminRequest): Promise<Answer> {
  const plan = async (state: StateReader): Promise<Planned> => {
    const located = await locateTarget(ports, state, scope, request)
    if (!located.ok) return located
    const input = inputFor(ports, { kind: scope.target }, request, located.row)
    return answering(
      ports,
      request,
      scope.target,
      200,
      await planUpdate(planContext(ports, state, request), scope.target, located.row, input),
    )
  }
  return commit(ports, request, plan, { verb: 'update', kind: scope.target })
}

async function remove(ports: EntityPorts, scope: ForeignScope, request: AdminRequest): Promise<Answer> {
  const located = await locateTarget(ports, ports.store, scope, request)
  return located.ok ? METHOD_NOT_ALLOWED : located.answer
}
