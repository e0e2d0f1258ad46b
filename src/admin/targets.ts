/**
 * Targets differ from the generated endpoints: the list is newest first with its own offsets, PUT changes an existing target
 * only, there is none at the top level; and beside them stand health, and setting it by hand.
 */
import type { Row } from '#model/document.ts'
import type { StateReader } from '#store/contract.ts'
import { type Answer, answerJson, answerMessage, NO_CONTENT, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint, Handler, Operation } from './endpoint.ts'
import { entityHandlers, filledPath, readAnswer } from './entity-handlers.ts'
import { PAGE_QUERY } from './entity-routes.ts'
import { invalidOffset } from './fail.ts'
import { belonging, locate, locateParent, type Scope } from './locate.ts'
import { pageAnswer, parseSize } from './paging.ts'
import { type AdminPorts, everyRow, presentFor } from './ports.ts'

const SCOPE: Scope = { kind: 'targets', parent: { kind: 'upstreams', field: 'upstream' } }
const PATH = '/upstreams/{upstreams}/targets'

/** Generated endpoints that Kong answers with 404. */
export const DISABLED_TARGET_PATHS = ['/targets', '/targets/{targets}', '/targets/{targets}/upstream'] as const

export function targetEndpoints(ports: AdminPorts): Endpoint[] {
  const handlers = entityHandlers(ports, SCOPE, `${PATH}/all`)
  return [
    {
      path: PATH,
      isInWorkspace: true,
      methods: {
        GET: listing(
          (request) => newestFirst(ports, request, PATH, present(ports)),
          'The targets of an upstream, newest first.',
        ),
      },
    },
    {
      path: `${PATH}/all`,
      isInWorkspace: true,
      methods: { GET: listing(handlers.list, 'The targets of an upstream, by id.') },
    },
    {
      path: `${PATH}/{targets}`,
      isInWorkspace: true,
      // Changes the fields that are given: the address may be the one that the path names, so nothing is made by it.
      methods: {
        PUT: {
          handler: handlers.update,
          about: 'Changes a target.',
          role: 'editor',
          body: { entity: 'targets', partial: true },
          answers: { 200: { entity: 'targets' }, 400: 'error', 404: 'error', 409: 'error', 415: 'message' },
        },
      },
    },
    {
      path: '/upstreams/{upstreams}/health',
      isInWorkspace: true,
      methods: {
        GET: {
          ...listing((request) => health(ports, request), 'The targets of an upstream with their health on this node.'),
          answers: { 200: { schema: { type: 'object' } }, 400: 'error', 404: 'message' },
        },
      },
    },
    ...(['healthy', 'unhealthy'] as const).flatMap((word) => [
      { path: `${PATH}/{targets}/${word}`, isInWorkspace: true, methods: healthMethods(ports, word === 'healthy') },
      {
        path: `${PATH}/{targets}/{address}/${word}`,
        isInWorkspace: true,
        methods: healthMethods(ports, word === 'healthy'),
      },
    ]),
  ]
}

function listing(handler: Handler, about: string): Operation {
  return {
    handler,
    about,
    role: 'viewer',
    query: PAGE_QUERY,
    answers: { 200: { page: 'targets' }, 400: 'error', 404: 'message' },
  }
}

type Show = (request: AdminRequest, rows: readonly Row[], upstream: Row) => Promise<readonly unknown[]>

function present(ports: AdminPorts): Show {
  return async (request, rows) => rows.map((row) => presentFor(ports, request, 'targets', row.document))
}

// Offsets are the number of targets before the page, as in Kong: the order is by time, not by id.
function newestFirst(
  ports: AdminPorts,
  request: AdminRequest,
  path: string,
  show: Show,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const above = await locateParent(ports.model, state, SCOPE, request)
    if (!above.ok) return above.answer
    const size = parseSize(request.query, 0)
    if (!size.ok) return size.answer
    const offset = request.query.one('offset') ?? '0'
    if (!/^\d{1,9}$/.test(offset)) return invalidOffset(offset, 'expected the offset of a page before')
    const rows = await targetsOf(state, above.parent!)
    const end = Number(offset) + size.value
    const data = await show(request, rows.slice(Number(offset), end), above.parent!)
    const page = { rows: data, ...(end < rows.length ? { offset: String(end) } : {}) }
    return answerJson(200, { ...pageAnswer(page, filledPath(path, request), ''), ...more })
  })
}

async function targetsOf(state: StateReader, upstream: Row): Promise<Row[]> {
  const rows = await Array.fromAsync(
    everyRow(state, 'targets', { reference: { field: 'upstream', id: upstream.document.id } }),
  )
  return rows.sort((a, b) => createdAt(b) - createdAt(a) || (a.document.id < b.document.id ? 1 : -1))
}

function createdAt(row: Row): number {
  return Number(row.document['created_at'])
}

function health(ports: AdminPorts, request: AdminRequest): Promise<Answer> {
  if (request.query.one('balancer_health') === '1') return balancerHealth(ports, request)
  const show: Show = async (_, rows, upstream) => {
    const known = await ports.health.targets(upstream.document.id)
    return rows.map((row) => {
      const found = known?.get(String(row.document['target']))
      const shown = presentFor(ports, request, 'targets', row.document)
      return found === undefined
        ? { ...shown, health: known === null ? 'HEALTHCHECKS_OFF' : 'DNS_ERROR' }
        : { ...shown, health: found.health, data: found.data }
    })
  }
  return newestFirst(ports, request, '/upstreams/{upstreams}/health', show, { node_id: ports.node.id })
}

function balancerHealth(ports: AdminPorts, request: AdminRequest): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const above = await locateParent(ports.model, state, SCOPE, request)
    if (!above.ok) return above.answer
    const { id } = above.parent!.document
    const known = await ports.health.balancer(id)
    return answerJson(200, { data: { health: 'HEALTHCHECKS_OFF', ...known, id }, next: null, node_id: ports.node.id })
  })
}

function healthMethods(ports: AdminPorts, isHealthy: boolean): Endpoint['methods'] {
  const operation: Operation = {
    handler: (request) => setHealth(ports, request, isHealthy),
    about: `Marks a target, or one of its addresses, as ${isHealthy ? 'healthy' : 'unhealthy'}.`,
    role: 'editor',
    answers: { 204: 'empty', 400: 'message', 404: 'message' },
  }
  // Kong 2 took POST; its scripts are still around.
  return { PUT: operation, POST: operation }
}

async function setHealth(ports: AdminPorts, request: AdminRequest, isHealthy: boolean): Promise<Answer> {
  const located = await locate(ports.model, ports.store, SCOPE, request)
  if (!located.ok) return located.answer
  const row = belonging(SCOPE, located)
  if (row === undefined) return NOT_FOUND
  const problem = await ports.health.set(
    located.parent!.document.id,
    String(row.document['target']),
    request.parameters['address'] ?? null,
    isHealthy,
  )
  return problem === null ? NO_CONTENT : answerMessage(400, problem)
}
