/** Workspaces: which one a path is about, and what of their endpoints differs from the generated ones. */
import { DEFAULT_WORKSPACE, type Row } from '#model/document.ts'
import type { StateReader } from '#store/contract.ts'
import { type Answer, answerJson, answerMessage, NO_CONTENT, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import { readAnswer } from './entity-handlers.ts'
import { isUuid, selectEntity } from './entity-key.ts'
import { deletion } from './entity-plans.ts'
import { isServed } from './entity-routes.ts'
import { type EntityPorts, everyRow } from './ports.ts'
import { commit, type Plan } from './write.ts'

const DEFAULT_NAME = 'default'

/** The id of the workspace of this name or id, or null. The default workspace is there also where it has no row. */
export async function findWorkspace(state: StateReader, nameOrId: string): Promise<string | null> {
  const row = isUuid(nameOrId)
    ? await state.get('workspaces', nameOrId.toLowerCase())
    : await state.lookup('workspaces', 'name', nameOrId, '')
  if (row !== undefined) return row.document.id
  return nameOrId === DEFAULT_NAME || nameOrId.toLowerCase() === DEFAULT_WORKSPACE ? DEFAULT_WORKSPACE : null
}

export function workspaceEndpoints(ports: EntityPorts): Endpoint[] {
  return [
    {
      path: '/workspaces/{workspaces}',
      methods: {
        DELETE: {
          handler: (request) => remove(ports, request),
          about: 'Deletes a workspace that is empty.',
          role: 'admin',
          answers: { 204: 'empty', 400: 'message', 404: 'message' },
        },
      },
    },
    {
      path: '/workspaces/{workspaces}/meta',
      methods: {
        GET: {
          handler: (request) => meta(ports, request),
          about: 'How many entities of each kind a workspace has.',
          role: 'viewer',
          answers: { 200: { schema: { type: 'object' } }, 400: 'error', 404: 'message' },
        },
      },
    },
  ]
}

function remove(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  const plan: Plan = async (state) => {
    const selected = await selectEntity(ports.model, state, 'workspaces', request.parameters['workspaces']!, '')
    if (!selected.ok) return selected
    if (selected.row === undefined) return { ok: true, operations: [], answer: NO_CONTENT }
    if (selected.row.document.id === DEFAULT_WORKSPACE)
      return { ok: false, answer: answerMessage(400, 'the default workspace can not be deleted') }
    const kind = await kindWithin(ports, state, selected.row)
    if (kind !== undefined) return { ok: false, answer: answerMessage(400, `Workspace is not empty: it has ${kind}`) }
    return { ok: true, operations: [deletion(selected.row)], answer: NO_CONTENT }
  }
  return commit(ports, request, plan, { verb: 'remove', kind: 'workspaces' })
}

async function kindWithin({ model }: EntityPorts, state: StateReader, { document }: Row): Promise<string | undefined> {
  for (const { kind, workspaceable } of model.entities.values()) {
    if (workspaceable !== true) continue
    const page = await state.list(kind, { workspace: document.id }, { size: 1 })
    if (page.rows.length > 0) return kind
  }
  return undefined
}

function meta(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const id = await findWorkspace(state, request.parameters['workspaces']!)
    if (id === null) return NOT_FOUND
    const counts: Record<string, number> = {}
    for (const definition of ports.model.entities.values()) {
      if (definition.workspaceable !== true || !isServed(ports, definition)) continue
      let count = 0
      for await (const _ of everyRow(state, definition.kind, { workspace: id })) count++
      counts[definition.kind] = count
    }
    return answerJson(200, { counts })
  })
}
