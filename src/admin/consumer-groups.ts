/**
 * Memberships of consumers in consumer groups, at the paths and in the shapes of Kong's Enterprise edition: the membership has
 * an entity of its own, but is named by group and consumer.
 */
import type { Row } from '#model/document.ts'
import type { Operation as Change, StateReader } from '#store/contract.ts'
import { type Answer, answerJson, NO_CONTENT, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint, Operation } from './endpoint.ts'
import { planContext, readAnswer } from './entity-handlers.ts'
import { inputOf } from './entity-input.ts'
import { selectEntity } from './entity-key.ts'
import { deletion, planInsert } from './entity-plans.ts'
import { PAGE_QUERY } from './entity-routes.ts'
import { schemaViolation } from './fail.ts'
import { referenceId } from './locate.ts'
import { pageAnswer, parsePage, shownOffset } from './paging.ts'
import { type EntityPorts, everyRow, presentFor } from './ports.ts'
import { commit, type Plan } from './write.ts'

const MEMBERS = 'consumer_group_consumers'
/** One side of a membership: the kind, and the field of the membership that points to it. */
interface Side {
  readonly kind: string
  readonly field: string
}
const GROUP: Side = { kind: 'consumer_groups', field: 'consumer_group' }
const CONSUMER: Side = { kind: 'consumers', field: 'consumer' }

export function consumerGroupEndpoints(ports: EntityPorts): Endpoint[] {
  return [
    {
      path: '/consumer_groups/{consumer_groups}',
      isInWorkspace: true,
      methods: {
        GET: {
          ...operation((request) => getGroup(ports, request), 'A group with its consumers and plugins.', 'viewer', 200),
          query: [{ name: 'list_consumers', about: '`false` leaves the consumers out.', schema: { type: 'boolean' } }],
        },
      },
    },
    ...membershipEndpoints(ports, GROUP, CONSUMER, '/consumer_groups/{consumer_groups}/consumers'),
    ...membershipEndpoints(ports, CONSUMER, GROUP, '/consumers/{consumers}/consumer_groups'),
  ]
}

function membershipEndpoints(ports: EntityPorts, from: Side, to: Side, path: string): Endpoint[] {
  // The body names the other side: `{"consumer": "alice"}`, `{"group": "gold"}`.
  const names = to === CONSUMER ? ['consumer', 'consumers'] : ['group', 'groups', 'consumer_group']
  const body = {
    schema: {
      type: 'object',
      properties: Object.fromEntries(
        names.map((name) => [name, { type: ['string', 'array'], items: { type: 'string' } }]),
      ),
    },
  }
  return [
    {
      path,
      isInWorkspace: true,
      methods: {
        GET: {
          ...operation(
            (request) => listMembers(ports, from, to, path, request),
            `The ${to.kind} of one of the ${from.kind}.`,
            'viewer',
            200,
          ),
          query: PAGE_QUERY,
        },
        POST: {
          ...operation(
            (request) => addMembers(ports, from, to, names, request),
            `Adds to the ${to.kind} of one of the ${from.kind}.`,
            'editor',
            201,
          ),
          body,
        },
        DELETE: operation(
          (request) => removeMembers(ports, from, to, request),
          `Takes all ${to.kind} from one of the ${from.kind}.`,
          'editor',
          204,
        ),
      },
    },
    {
      path: `${path}/{${to.kind}}`,
      isInWorkspace: true,
      methods: {
        GET: operation(
          (request) => getMember(ports, from, to, request),
          `One of the ${to.kind} of one of the ${from.kind}.`,
          'viewer',
          200,
        ),
        DELETE: operation(
          (request) => removeMembers(ports, from, to, request),
          `Takes one of the ${to.kind} from one of the ${from.kind}.`,
          'editor',
          204,
        ),
      },
    },
  ]
}

function operation(handler: Operation['handler'], about: string, role: Operation['role'], status: number): Operation {
  return {
    handler,
    about,
    role,
    answers: {
      [status]: status === 204 ? 'empty' : { schema: { type: 'object' } },
      400: 'error',
      404: 'error',
      ...(status === 201 ? { 409: 'error', 415: 'message' } : {}),
    },
  }
}

type Located = { readonly ok: true; readonly row: Row } | { readonly ok: false; readonly answer: Answer }

async function locateSide(
  { model }: EntityPorts,
  state: StateReader,
  side: Side,
  request: AdminRequest,
  text = request.parameters[side.kind]!,
): Promise<Located> {
  const selected = await selectEntity(model, state, side.kind, text, request.workspace)
  if (!selected.ok) return selected
  return selected.row === undefined ? { ok: false, answer: NOT_FOUND } : { ok: true, row: selected.row }
}

async function membership(
  state: StateReader,
  from: Side,
  fromId: string,
  to: Side,
  toId: string,
  workspace: string,
): Promise<Row | undefined> {
  return await state.lookup(MEMBERS, 'cache_key', { [from.field]: { id: fromId }, [to.field]: { id: toId } }, workspace)
}

function getGroup(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const group = await locateSide(ports, state, GROUP, request)
    if (!group.ok) return group.answer
    const { id } = group.row.document
    const consumers =
      request.query.one('list_consumers') === 'false'
        ? {}
        : { consumers: await sideRows(ports, state, GROUP, CONSUMER, id, request) }
    const plugins = await Array.fromAsync(everyRow(state, 'plugins', { reference: { field: GROUP.field, id } }))
    return answerJson(200, {
      consumer_group: presentFor(ports, request, GROUP.kind, group.row.document),
      ...consumers,
      plugins: plugins.map((row) => presentFor(ports, request, 'plugins', row.document)),
    })
  })
}

async function sideRows(
  ports: EntityPorts,
  state: StateReader,
  from: Side,
  to: Side,
  fromId: string,
  request: AdminRequest,
): Promise<Record<string, unknown>[]> {
  const members = await Array.fromAsync(everyRow(state, MEMBERS, { reference: { field: from.field, id: fromId } }))
  const rows = await Promise.all(members.map((member) => state.get(to.kind, referenceId(member, to.field) ?? '')))
  return rows.filter((row) => row !== undefined).map((row) => presentFor(ports, request, to.kind, row.document))
}

function listMembers(ports: EntityPorts, from: Side, to: Side, path: string, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const located = await locateSide(ports, state, from, request)
    if (!located.ok) return located.answer
    const page = parsePage(request.query, ports.isDatabase)
    if (!page.ok) return page.answer
    const found = await state.list(
      MEMBERS,
      { reference: { field: from.field, id: located.row.document.id } },
      page.value,
    )
    const rows = await Promise.all(found.rows.map((member) => state.get(to.kind, referenceId(member, to.field) ?? '')))
    const data = rows.filter((row) => row !== undefined).map((row) => presentFor(ports, request, to.kind, row.document))
    const offset = shownOffset(found)
    const shownPath = path.replace(`{${from.kind}}`, request.rawParameters[from.kind]!)
    const shown = pageAnswer({ rows: data, ...(offset === undefined ? {} : { offset }) }, shownPath, '')
    // Before 3.5 the list stood under its own name; clients of both times are around.
    return answerJson(200, { ...shown, [to.kind]: data })
  })
}

function getMember(ports: EntityPorts, from: Side, to: Side, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const near = await locateSide(ports, state, from, request)
    if (!near.ok) return near.answer
    const far = await locateSide(ports, state, to, request)
    if (!far.ok) return far.answer
    const member = await membership(state, from, near.row.document.id, to, far.row.document.id, request.workspace)
    if (member === undefined) return NOT_FOUND
    const data = [presentFor(ports, request, to.kind, far.row.document)]
    return answerJson(200, { data, next: null, [to.kind]: data })
  })
}

function addMembers(
  ports: EntityPorts,
  from: Side,
  to: Side,
  names: readonly string[],
  request: AdminRequest,
): Promise<Answer> {
  const fields = Object.fromEntries(
    names.map((name) => [name, { type: 'array', elements: { type: 'string' } } as const]),
  )
  const plan: Plan = async (state) => {
    const near = await locateSide(ports, state, from, request)
    if (!near.ok) return near
    const input = inputOf(ports.model, { kind: MEMBERS, about: 'The other side of memberships.', fields }, request.body)
    const given = names.map((name) => input[name]).find((value) => value !== undefined && value !== null)
    const wanted = typeof given === 'string' ? [given] : given
    if (
      !Array.isArray(wanted) ||
      wanted.length === 0 ||
      !wanted.every((item) => typeof item === 'string' && item !== '')
    ) {
      return {
        ok: false,
        answer: schemaViolation({
          [names[0]!]: given === undefined ? 'required field missing' : 'expected a name or an id, or a list of them',
        }),
      }
    }
    const operations: Change[] = []
    const added: Record<string, unknown>[] = []
    for (const name of new Set(wanted as string[])) {
      const far = await locateSide(ports, state, to, request, name)
      if (!far.ok) return { ok: false, answer: notThere(to, name) }
      const member = await planInsert(planContext(ports, state, request), MEMBERS, {
        [from.field]: { id: near.row.document.id },
        [to.field]: { id: far.row.document.id },
      })
      if (!member.ok) return member
      operations.push(...member.operations)
      added.push(presentFor(ports, request, to.kind, far.row.document))
    }
    const shown = presentFor(ports, request, from.kind, near.row.document)
    return { ok: true, operations, answer: answerJson(201, { [from.field]: shown, [to.kind]: added }) }
  }
  return commit(ports, request, plan, { verb: 'create', kind: MEMBERS })
}

function notThere(to: Side, name: string): Answer {
  return answerJson(404, { message: `Not found: no entity of ${to.kind} with name or id '${name}'` })
}

function removeMembers(ports: EntityPorts, from: Side, to: Side, request: AdminRequest): Promise<Answer> {
  const plan: Plan = async (state) => {
    const near = await locateSide(ports, state, from, request)
    if (!near.ok) return near
    const { id } = near.row.document
    if (request.parameters[to.kind] === undefined) {
      const members = await Array.fromAsync(everyRow(state, MEMBERS, { reference: { field: from.field, id } }))
      return { ok: true, operations: members.map(deletion), answer: NO_CONTENT }
    }
    const far = await locateSide(ports, state, to, request)
    if (!far.ok) return far
    const member = await membership(state, from, id, to, far.row.document.id, request.workspace)
    return member === undefined
      ? { ok: false, answer: NOT_FOUND }
      : { ok: true, operations: [deletion(member)], answer: NO_CONTENT }
  }
  return commit(ports, request, plan, { verb: 'remove', kind: MEMBERS })
}
