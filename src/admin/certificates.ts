/** Certificates take and show their server names: `snis` of a body becomes rows of snis, in the same transaction. */
import type { Row } from '#model/document.ts'
import type { Operation, StateReader } from '#store/contract.ts'
import { type Answer, answerJson, answerMessage, NO_CONTENT } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import { inputFor, planContext, readAnswer } from './entity-handlers.ts'
import type { Input } from './entity-input.ts'
import { isUuid } from './entity-key.ts'
import { deletion, type EntityPlan, planInsert, planUpdate, planUpsert } from './entity-plans.ts'
import { PAGE_QUERY } from './entity-routes.ts'
import { invalidUnique, notFound, schemaViolation } from './fail.ts'
import { pageAnswer, parsePage, parseTags, repeatedArguments, shownOffset } from './paging.ts'
import { type EntityPorts, everyRow, presentFor } from './ports.ts'
import { commit, type Plan, type Planned } from './write.ts'

const KIND = 'certificates'
const SCOPE = { kind: KIND }
/** Generated, but Kong answers it with 404. */
export const DISABLED_CERTIFICATE_PATHS = ['/snis/{snis}/certificate'] as const

export function certificateEndpoints(ports: EntityPorts): Endpoint[] {
  const entity = { entity: KIND } as const
  const errors = { 400: 'error', 404: 'error', 409: 'error', 415: 'message' } as const
  return [
    {
      path: '/certificates',
      isInWorkspace: true,
      methods: {
        GET: {
          handler: (request) => list(ports, request),
          about: 'Lists the certificates.',
          role: 'viewer',
          query: PAGE_QUERY,
          answers: { 200: { page: KIND }, 400: 'error' },
        },
        POST: {
          handler: (request) => insert(ports, request),
          about: 'Adds a certificate, with its server names.',
          role: 'editor',
          body: entity,
          answers: { 201: entity, ...errors },
        },
      },
    },
    {
      path: '/certificates/{certificates}',
      isInWorkspace: true,
      methods: {
        GET: {
          handler: (request) => get(ports, request),
          about: 'A certificate, by id or server name.',
          role: 'viewer',
          answers: { 200: entity, 404: 'error' },
        },
        PUT: {
          handler: (request) => upsert(ports, request),
          about: 'Makes or replaces a certificate.',
          role: 'editor',
          body: entity,
          answers: { 200: entity, ...errors },
        },
        PATCH: {
          handler: (request) => update(ports, request),
          about: 'Changes some fields of a certificate.',
          role: 'editor',
          body: { entity: KIND, partial: true },
          answers: { 200: entity, ...errors },
        },
        DELETE: {
          handler: (request) => remove(ports, request),
          about: 'Deletes a certificate with its server names.',
          role: 'editor',
          answers: { 204: 'empty', 400: 'error', 404: 'error' },
        },
      },
    },
  ]
}

function list(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const page = parsePage(request.query, ports.isDatabase)
    if (!page.ok) return page.answer
    const tags = parseTags(request.query)
    if (!tags.ok) return tags.answer
    const found = await state.list(
      KIND,
      { workspace: request.workspace, ...(tags.value === undefined ? {} : { tags: tags.value }) },
      page.value,
    )
    const rows = await Promise.all(found.rows.map((row) => shown(ports, state, request, row)))
    const offset = shownOffset(found)
    return answerJson(
      200,
      pageAnswer(
        { rows, ...(offset === undefined ? {} : { offset }) },
        '/certificates',
        repeatedArguments(request.query),
      ),
    )
  })
}

function get(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const located = await locateById(state, request)
    if (!located.ok) return located.answer
    return located.row === undefined
      ? notFound({ field: 'id', value: located.id })
      : answerJson(200, await shown(ports, state, request, located.row))
  })
}

function insert(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  const plan: Plan = async (state) => {
    const input = inputFor(ports, SCOPE, request, null)
    const wanted = await checkNames(ports, state, request, input, null)
    if (!wanted.ok) return wanted
    const certificate = await planInsert(planContext(ports, state, request), KIND, input)
    return await withNames(ports, state, request, certificate, wanted.names ?? [], 201)
  }
  return commit(ports, request, plan, { verb: 'create', kind: KIND })
}

// A body without `snis` takes away the names that are there, like every other field that PUT does not name.
function upsert(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  const newId = ports.check(request.atMs).uuid()
  const plan: Plan = async (state) => {
    const located = await locateById(state, request)
    const { id, row } = located.ok ? located : { id: newId, row: undefined }
    const input = inputFor(ports, SCOPE, request, null)
    const wanted = await checkNames(ports, state, request, input, id)
    if (!wanted.ok) return wanted
    const certificate = await planUpsert(
      planContext(ports, state, request),
      KIND,
      row,
      { field: 'id', value: id },
      input,
    )
    return await withNames(ports, state, request, certificate, wanted.names ?? [], 200)
  }
  return commit(ports, request, plan, { verb: 'create or update', kind: KIND })
}

function update(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  const plan: Plan = async (state) => {
    const located = await locateById(state, request)
    if (!located.ok) return located
    if (located.row === undefined) return { ok: false, answer: notFound({ field: 'id', value: located.id }) }
    const input = inputFor(ports, SCOPE, request, located.row)
    const wanted = await checkNames(ports, state, request, input, located.id)
    if (!wanted.ok) return wanted
    const certificate = await planUpdate(planContext(ports, state, request), KIND, located.row, input)
    return await withNames(ports, state, request, certificate, wanted.names, 200)
  }
  return commit(ports, request, plan, { verb: 'update', kind: KIND })
}

function remove(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  const plan: Plan = async (state) => {
    const located = await locateById(state, request)
    if (!located.ok) return located
    if (located.row === undefined) return { ok: true, operations: [], answer: NO_CONTENT }
    const names = await namesOf(state, located.id)
    return { ok: true, operations: [...names.map(deletion), deletion(located.row)], answer: NO_CONTENT }
  }
  return commit(ports, request, plan, { verb: 'remove', kind: KIND })
}

type LocatedById =
  | { readonly ok: true; readonly id: string; readonly row: Row | undefined }
  | { readonly ok: false; readonly answer: Answer }

/** By id, or by one of its server names. */
async function locateById(state: StateReader, { parameters, workspace }: AdminRequest): Promise<LocatedById> {
  const text = parameters[KIND]!
  const id = isUuid(text)
    ? text.toLowerCase()
    : (
        (await state.lookup('snis', 'name', text, workspace))?.document['certificate'] as
          | { readonly id: string }
          | undefined
      )?.id
  if (id === undefined) return { ok: false, answer: answerMessage(404, 'SNI not found') }
  const row = await state.get(KIND, id)
  return { ok: true, id, row: row?.workspace === workspace ? row : undefined }
}

type Names =
  | { readonly ok: true; readonly names: readonly string[] | undefined }
  | { readonly ok: false; readonly answer: Answer }

/** The names that the body asks for: each one possible, given once, and not another certificate's. What is no list of texts is left to the model. */
async function checkNames(
  { model }: EntityPorts,
  state: StateReader,
  { workspace }: AdminRequest,
  input: Input,
  id: string | null,
): Promise<Names> {
  const { snis } = input
  if (snis === null) return { ok: true, names: [] }
  if (!Array.isArray(snis) || !snis.every((name) => typeof name === 'string')) return { ok: true, names: undefined }
  for (const [i, name] of snis.entries()) {
    if (snis.indexOf(name) !== i) return { ok: false, answer: schemaViolation({ snis: `${name} is duplicated` }) }
    const problem = model.checkField('snis', 'name', name)
    if (problem !== null) return { ok: false, answer: invalidUnique('name', problem) }
    const other = (await state.lookup('snis', 'name', name, workspace))?.document['certificate'] as
      | { readonly id: string }
      | undefined
    if (other !== undefined && other.id !== id) {
      return {
        ok: false,
        answer: schemaViolation({ snis: `${name} already associated with existing certificate '${other.id}'` }),
      }
    }
  }
  return { ok: true, names: snis.toSorted() }
}

/** Adds the changes of the server names to those of the certificate; `names` undefined leaves them. */
async function withNames(
  ports: EntityPorts,
  state: StateReader,
  request: AdminRequest,
  certificate: EntityPlan,
  names: readonly string[] | undefined,
  status: number,
): Promise<Planned> {
  if (!certificate.ok) return certificate
  const { id } = certificate.document
  const current = await namesOf(state, id)
  const has = new Set(current.map(nameOf))
  const operations: Operation[] = [...certificate.operations]
  if (names !== undefined) operations.push(...current.filter((row) => !names.includes(nameOf(row))).map(deletion))
  for (const name of names ?? []) {
    if (has.has(name)) continue
    const added = await planInsert(planContext(ports, state, request), 'snis', { name, certificate: { id } })
    if (!added.ok) return added
    operations.push(...added.operations)
  }
  const snis = names ?? current.map(nameOf).toSorted()
  return {
    ok: true,
    operations,
    answer: answerJson(status, { ...presentFor(ports, request, KIND, certificate.document), snis }),
  }
}

async function shown(
  ports: EntityPorts,
  state: StateReader,
  request: AdminRequest,
  row: Row,
): Promise<Record<string, unknown>> {
  const names = await namesOf(state, row.document.id)
  return { ...presentFor(ports, request, KIND, row.document), snis: names.map(nameOf).toSorted() }
}

function namesOf(state: StateReader, id: string): Promise<Row[]> {
  return Array.fromAsync(everyRow(state, 'snis', { reference: { field: 'certificate', id } }))
}

function nameOf(row: Row): string {
  return String(row.document['name'])
}
