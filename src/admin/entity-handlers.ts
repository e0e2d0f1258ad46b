/** The handlers of a kind's collection and entity, at the top level or below a parent: Kong's semantics and statuses. */
import type { Row } from '#model/document.ts'
import type { StateReader } from '#store/contract.ts'
import { type Answer, answerJson, NO_CONTENT, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Handler } from './endpoint.ts'
import { type Input, inputOf } from './entity-input.ts'
import { entityAnswer } from './entity-answer.ts'
import type { EntityKey } from './entity-key.ts'
import { deletion, type EntityPlan, planInsert, type PlanContext, planUpdate, planUpsert } from './entity-plans.ts'
import { invalidOptions, notFound } from './fail.ts'
import { belonging, locate, locateParent, type Scope } from './locate.ts'
import { pageAnswer, parsePage, parseTags, repeatedArguments, shownOffset } from './paging.ts'
import { type EntityPorts, presentFor } from './ports.ts'
import { atRevision, commit, type Planned, type WriteName } from './write.ts'

export interface EntityHandlers {
  readonly list: Handler
  readonly insert: Handler
  readonly get: Handler
  readonly upsert: Handler
  readonly update: Handler
  readonly remove: Handler
}

/** `path` is the collection's, as in the endpoint table. */
export function entityHandlers(ports: EntityPorts, scope: Scope, path: string): EntityHandlers {
  return {
    list: (request) => list(ports, scope, path, request),
    insert: (request) => insert(ports, scope, request),
    get: (request) => get(ports, scope, request),
    upsert: (request) => upsert(ports, scope, request),
    update: (request) => update(ports, scope, request),
    remove: (request) => remove(ports, scope, request),
  }
}

/** Reads carry the revision that they are not older than: what a later `If-Match` names. */
export async function readAnswer(
  { store, isDatabase }: Pick<EntityPorts, 'store' | 'isDatabase'>,
  read: (state: StateReader) => Promise<Answer>,
): Promise<Answer> {
  // Asked first: a change between the two makes a later If-Match fail, never pass wrongly.
  const { revision } = await store.head()
  return atRevision({ isDatabase }, await read(store), revision)
}

export function planContext(ports: EntityPorts, state: StateReader, request: AdminRequest): PlanContext {
  return { model: ports.model, state, workspace: request.workspace, check: ports.check(request.atMs) }
}

/** A plan for one entity as the plan of the request, answered with the entity. */
export function answering(
  ports: EntityPorts,
  request: AdminRequest,
  kind: string,
  status: number,
  plan: EntityPlan,
): Planned {
  if (!plan.ok) return plan
  return {
    ok: true,
    operations: plan.operations,
    answer: entityAnswer(ports, request, kind, status, plan.document),
  }
}

function list(ports: EntityPorts, scope: Scope, path: string, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const above = await locateParent(ports.model, state, scope, request)
    if (!above.ok) return above.answer
    const page = parsePage(request.query, ports.isDatabase)
    if (!page.ok) return page.answer
    const tags = parseTags(request.query)
    if (!tags.ok) return tags.answer
    if (tags.value !== undefined && ports.model.entities.get(scope.kind)!.fields['tags'] === undefined) {
      return invalidOptions({ tags: `cannot be used with '${scope.kind}'` })
    }
    const found = await state.list(
      scope.kind,
      {
        workspace: request.workspace,
        ...(above.parent === undefined
          ? {}
          : { reference: { field: scope.parent!.field, id: above.parent.document.id } }),
        ...(tags.value === undefined ? {} : { tags: tags.value }),
      },
      page.value,
    )
    const rows = found.rows.map((row) => presentFor(ports, request, scope.kind, row.document))
    const offset = shownOffset(found)
    // Kong repeats size and tags on top-level lists only.
    const repeated = scope.parent === undefined ? repeatedArguments(request.query) : ''
    return answerJson(
      200,
      pageAnswer({ rows, ...(offset === undefined ? {} : { offset }) }, filledPath(path, request), repeated),
    )
  })
}

function get(ports: EntityPorts, scope: Scope, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const located = await locate(ports.model, state, scope, request)
    if (!located.ok) return located.answer
    const row = belonging(scope, located)
    return row === undefined ? NOT_FOUND : entityAnswer(ports, request, scope.kind, 200, row.document)
  })
}

function insert(ports: EntityPorts, scope: Scope, request: AdminRequest): Promise<Answer> {
  const plan = async (state: StateReader): Promise<Planned> => {
    const above = await locateParent(ports.model, state, scope, request)
    if (!above.ok) return above
    const input = { ...inputFor(ports, scope, request, null), ...parentInput(scope, above.parent) }
    return answering(
      ports,
      request,
      scope.kind,
      201,
      await planInsert(planContext(ports, state, request), scope.kind, input),
    )
  }
  return commit(ports, request, plan, { verb: 'create', kind: scope.kind })
}

// A child that belongs to another parent moves: PUT sets the foreign field.
function upsert(ports: EntityPorts, scope: Scope, request: AdminRequest): Promise<Answer> {
  const plan = async (state: StateReader): Promise<Planned> => {
    const located = await locate(ports.model, state, scope, request)
    if (!located.ok) return located
    const input = { ...inputFor(ports, scope, request, null), ...parentInput(scope, located.parent) }
    return answering(
      ports,
      request,
      scope.kind,
      200,
      await planUpsert(planContext(ports, state, request), scope.kind, located.row, located.key, input),
    )
  }
  return commit(ports, request, plan, writeName(ports, scope, request, 'create or update'))
}

function update(ports: EntityPorts, scope: Scope, request: AdminRequest): Promise<Answer> {
  const plan = async (state: StateReader): Promise<Planned> => {
    const located = await locate(ports.model, state, scope, request)
    if (!located.ok) return located
    const row = belonging(scope, located)
    if (row === undefined) return { ok: false, answer: missing(ports, scope, located.key) }
    const input = { ...parentInput(scope, located.parent), ...inputFor(ports, scope, request, row) }
    return answering(
      ports,
      request,
      scope.kind,
      200,
      await planUpdate(planContext(ports, state, request), scope.kind, row, input),
    )
  }
  return commit(ports, request, plan, writeName(ports, scope, request, 'update'))
}

// Kong looks a plugin up before it updates it, because its name tells its fields, and answers in short when it is not there.
function missing({ model }: EntityPorts, { kind, parent }: Scope, key: EntityKey): Answer {
  return parent === undefined && model.entities.get(kind)!.subschemas !== 'plugins' ? notFound(key) : NOT_FOUND
}

// At the top level deleting what is not there is done already; below a parent it is 404.
function remove(ports: EntityPorts, scope: Scope, request: AdminRequest): Promise<Answer> {
  const plan = async (state: StateReader): Promise<Planned> => {
    const located = await locate(ports.model, state, scope, request)
    if (!located.ok) return located
    const row = belonging(scope, located)
    if (row === undefined && scope.parent !== undefined) return { ok: false, answer: NOT_FOUND }
    return { ok: true, operations: row === undefined ? [] : [deletion(row)], answer: NO_CONTENT }
  }
  return commit(ports, request, plan, writeName(ports, scope, request, 'remove'))
}

/** The body as input; `current` tells the fields of a plugin's config when the body does not name the plugin. */
export function inputFor({ model }: EntityPorts, { kind }: Scope, request: AdminRequest, current: Row | null): Input {
  const definition = model.entities.get(kind)!
  const discriminator = definition.subschema_key === undefined ? undefined : current?.document[definition.subschema_key]
  return inputOf(model, definition, request.body, discriminator)
}

export function parentInput({ parent }: Scope, row: Row | undefined): Input {
  return parent === undefined || row === undefined ? {} : { [parent.field]: { id: row.document.id } }
}

export function writeName(
  { model }: EntityPorts,
  { kind, parent }: Scope,
  request: AdminRequest,
  verb: WriteName['verb'],
): WriteName {
  const definition = model.entities.get(kind)!
  const isNamed = !isId(request.parameters[kind] ?? '') && definition.endpoint_key !== undefined
  // A name that is unique within its parent only is no key by itself.
  const isScoped = parent !== undefined && definition.cache_key?.includes(parent.field) === true
  return isNamed && !isScoped ? { verb, kind, keyField: definition.endpoint_key } : { verb, kind }
}

function isId(text: string): boolean {
  return /^[0-9a-f-]{36}$/i.test(text)
}

/** `/services/{services}/routes` with the segments that were sent. */
export function filledPath(path: string, { rawParameters }: Pick<AdminRequest, 'rawParameters'>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => rawParameters[name] ?? '')
}
