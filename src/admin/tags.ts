/** `/tags`: which entities have which tags, over every kind that has tags. */
import { t } from '#model/schema.ts'
import { validateField } from '#model/validate.ts'
import type { StateReader } from '#store/contract.ts'
import { offsetAfter } from '#store/offset.ts'
import { type Answer, answerJson } from './answer.ts'
import type { AdminRequest, Endpoint, Operation } from './endpoint.ts'
import { readAnswer } from './entity-handlers.ts'
import { isServed, PAGE_QUERY } from './entity-routes.ts'
import { invalidOffset, invalidUnique, schemaViolation } from './fail.ts'
import { pageAnswer, parseSize } from './paging.ts'
import type { EntityPorts } from './ports.ts'

export function tagEndpoints(ports: EntityPorts): Endpoint[] {
  return [
    {
      path: '/tags',
      isInWorkspace: true,
      methods: { GET: listing((request) => list(ports, request, null), 'Every tag with its entity.'), POST: REFUSED },
    },
    {
      path: '/tags/{tags}',
      isInWorkspace: true,
      methods: {
        GET: listing((request) => listOne(ports, request), 'The entities with a tag.'),
        PUT: REFUSED,
        PATCH: REFUSED,
        DELETE: REFUSED,
      },
    },
  ]
}

const ITEM = {
  type: 'object',
  required: ['entity_name', 'entity_id', 'tag'],
  properties: {
    entity_name: { type: 'string' },
    entity_id: { type: 'string', format: 'uuid' },
    tag: { type: 'string' },
  },
}

function listing(handler: Operation['handler'], about: string): Operation {
  const schema = {
    type: 'object',
    required: ['data', 'next'],
    properties: {
      data: { type: 'array', items: ITEM },
      next: { type: ['string', 'null'] },
      offset: { type: 'string' },
    },
  }
  return { handler, about, role: 'viewer', query: PAGE_QUERY, answers: { 200: { schema }, 400: 'error' } }
}

// Tags live on their entities; Kong lists the methods and refuses them.
const REFUSED: Operation = {
  handler: () => schemaViolation({ tags: 'does not support insert/upsert/update/delete operations' }),
  about: 'Not supported: tags are fields of their entities.',
  role: 'editor',
  answers: { 400: 'error', 415: 'message' },
}

function listOne(ports: EntityPorts, request: AdminRequest): Answer | Promise<Answer> {
  const tag = request.parameters['tags']!
  const problem = validateField(t.tag(), tag)
  return problem === null ? list(ports, request, tag) : invalidUnique('tag', problem as string)
}

/** Where a page starts: at the tag `tag` of entity `id`, which stands after the entity `after` of its kind. */
interface Position {
  readonly kind: number
  readonly after: string
  readonly id: string
  readonly tag: number
}

const START: Position = { kind: 0, after: '', id: '', tag: 0 }

function list(ports: EntityPorts, request: AdminRequest, tag: string | null): Promise<Answer> {
  return readAnswer(ports, async (state) => {
    const size = parseSize(request.query)
    if (!size.ok) return size.answer
    const kinds = kindsWithTags(ports)
    const offset = request.query.one('offset')
    const start = offset === undefined ? START : parsePosition(offset ?? '', kinds.length)
    if (start === null) return invalidOffset(offset ?? '', 'expected the offset of a page before')
    const data: Readonly<Record<string, string>>[] = []
    let next: Position | null = null
    for await (const { position, item } of items(state, kinds, request.workspace, tag, start)) {
      if (data.length === size.value) {
        next = position
        break
      }
      data.push(item)
    }
    // As Kong without a database shows a tag that nothing has.
    if (tag !== null && data.length === 0 && !ports.isDatabase) return answerJson(200, { data: {}, next: null })
    const path = tag === null ? '/tags' : `/tags/${request.rawParameters['tags']}`
    return answerJson(
      200,
      pageAnswer({ rows: data, ...(next === null ? {} : { offset: showPosition(next) }) }, path, ''),
    )
  })
}

function kindsWithTags(ports: EntityPorts): string[] {
  return [...ports.model.entities.values()]
    .filter((definition) => definition.fields['tags'] !== undefined && isServed(ports, definition))
    .map(({ kind }) => kind)
}

/** Rows read at once. */
const ROWS = 1000

async function* items(
  state: StateReader,
  kinds: readonly string[],
  workspace: string,
  tag: string | null,
  start: Position,
): AsyncGenerator<{ readonly position: Position; readonly item: Readonly<Record<string, string>> }> {
  const filter = tag === null ? { workspace } : { workspace, tags: { match: 'all', values: [tag] } as const }
  for (let kind = start.kind; kind < kinds.length; kind++) {
    let after = kind === start.kind ? start.after : ''
    for (let isMore = true; isMore;) {
      const page = await state.list(
        kinds[kind]!,
        filter,
        after === '' ? { size: ROWS } : { size: ROWS, offset: offsetAfter(after) },
      )
      for (const { document } of page.rows) {
        const own = tag === null ? ((document['tags'] ?? []) as readonly string[]) : [tag]
        const first = kind === start.kind && document.id === start.id ? start.tag : 0
        for (let i = first; i < own.length; i++) {
          yield {
            position: { kind, after, id: document.id, tag: i },
            item: { entity_name: kinds[kind]!, entity_id: document.id, tag: own[i]! },
          }
        }
        after = document.id
      }
      isMore = page.offset !== undefined
    }
  }
}

function showPosition({ kind, after, id, tag }: Position): string {
  return Buffer.from(JSON.stringify([kind, after, id, tag])).toString('base64url')
}

function parsePosition(offset: string, kinds: number): Position | null {
  let list: unknown
  try {
    list = JSON.parse(Buffer.from(offset, 'base64url').toString())
  } catch {
    return null // not JSON: no page gave this offset
  }
  if (!Array.isArray(list) || list.length !== 4) return null
  const [kind, after, id, tag] = list as unknown[]
  const isNumber = (value: unknown, limit: number): value is number =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) < limit
  return isNumber(kind, kinds) &&
    typeof after === 'string' &&
    typeof id === 'string' &&
    isNumber(tag, Number.MAX_SAFE_INTEGER)
    ? { kind, after, id, tag }
    : null
}
