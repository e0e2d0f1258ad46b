/** `/log`: the history of the configuration, differences between its revisions, and going back to one. Never shows a secret. */
import type { Document } from '#model/document.ts'
import type { LogEntry } from '#store/contract.ts'
import { diffRevisions, rollbackOperations } from '#store/rollback.ts'
import { type Answer, answerJson, answerMessage, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint, Operation } from './endpoint.ts'
import { inputOf } from './entity-input.ts'
import { PAGE_QUERY } from './entity-routes.ts'
import { invalidOffset } from './fail.ts'
import { pageAnswer, parseSize } from './paging.ts'
import type { EntityPorts } from './ports.ts'
import { commit, type CommitOptions, parseIfMatch } from './write.ts'

export function logEndpoints(ports: EntityPorts): Endpoint[] {
  const revision = (name: string, about: string, required: boolean) => ({
    name,
    about,
    schema: { type: 'integer', minimum: 0 },
    required,
  })
  return [
    {
      path: '/log',
      methods: {
        GET: { ...show((request) => list(ports, request), 'The transactions, newest first.'), query: PAGE_QUERY },
      },
    },
    {
      path: '/log/{revision}',
      methods: {
        GET: { ...show((request) => one(ports, request), 'One transaction with what it changed.'), query: PAGE_QUERY },
      },
    },
    {
      path: '/log/tx/{txid}',
      methods: {
        GET: {
          ...show((request) => byTransaction(ports, request), 'What became of a transaction.'),
          query: PAGE_QUERY,
        },
      },
    },
    {
      path: '/log/diff',
      methods: {
        GET: {
          ...show((request) => diff(ports, request), 'What differs between two revisions.'),
          query: [
            revision('from', 'The revision to start from.', true),
            revision('to', 'The revision to end at; the newest when absent.', false),
          ],
        },
      },
    },
    {
      path: '/log/rollback',
      methods: {
        POST: {
          handler: (request) => rollback(ports, request),
          about: 'Makes the configuration what it was at a revision, as a new revision.',
          role: 'editor',
          body: {
            schema: {
              type: 'object',
              required: ['revision'],
              properties: { revision: { type: 'integer', minimum: 0 } },
            },
            required: true,
          },
          answers: {
            200: { schema: { type: 'object' } },
            400: 'error',
            405: 'message',
            409: 'error',
            410: 'message',
            412: 'message',
            415: 'message',
          },
        },
      },
    },
  ]
}

function show(handler: Operation['handler'], about: string): Operation {
  return {
    handler,
    about,
    role: 'viewer',
    answers: { 200: { schema: { type: 'object' } }, 400: 'error', 404: 'message', 410: 'message' },
  }
}

/** The offset is the revision that the page starts at: revisions never move. */
async function list({ store }: EntityPorts, { query }: AdminRequest): Promise<Answer> {
  const size = parseSize(query)
  if (!size.ok) return size.answer
  const head = await store.head()
  const offset = query.one('offset') ?? String(head.revision)
  if (!/^\d{1,15}$/.test(offset)) return invalidOffset(offset, 'expected the offset of a page before')
  const rows: unknown[] = []
  let revision = Math.min(Number(offset), head.revision)
  let hasMore = false
  for (; revision > 0; revision--) {
    const entry = await store.entry(revision)
    // Retention has cut what is older.
    if (entry === undefined) break
    hasMore = rows.length === size.value
    if (hasMore) break
    rows.push(summary(entry))
  }
  const page = pageAnswer(
    { rows, ...(hasMore ? { offset: String(revision) } : {}) },
    '/log',
    query.one('size') === undefined ? '' : `&size=${size.value}`,
  )
  return answerJson(200, { ...page, head: { revision: head.revision, hash: head.hash } })
}

async function one(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  const text = request.parameters['revision']!
  if (!/^\d{1,15}$/.test(text)) return answerMessage(400, `expected a revision, got '${text.slice(0, 100)}'`)
  const entry = await ports.store.entry(Number(text))
  return entry === undefined ? NOT_FOUND : details(ports, request, entry, {})
}

async function byTransaction(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  const txid = request.parameters['txid']!
  const entry = await ports.store.entry(txid)
  if (entry !== undefined) return details(ports, request, entry, { txid, outcome: 'committed' })
  // A node that was loaded from the cluster's state, or whose log was cut, can't tell of what is older.
  const since = await ports.store.logStart()
  const message =
    since === 0
      ? 'No transaction of this id was committed'
      : `No transaction of this id was committed after revision ${since}, where the log of this node starts`
  return answerJson(404, { message, txid, outcome: 'unknown', since })
}

/** A transaction may be a whole configuration: the list shows how it begins. */
const CHANGES_SHOWN = 20

function summary(entry: LogEntry): Readonly<Record<string, unknown>> {
  const changes = entry.effects.slice(0, CHANGES_SHOWN).map(({ kind, workspace, id, document }, i) => {
    return { action: actionOf(entry.before[i] ?? null, document), kind, workspace, id }
  })
  return { ...headOf(entry), changes }
}

function headOf({
  revision,
  txid,
  origin,
  atMs,
  members,
  hash,
  previousHash,
  effects,
}: LogEntry): Readonly<Record<string, unknown>> {
  return {
    revision,
    txid,
    at: new Date(atMs).toISOString(),
    ...originOf(origin),
    ...(members === undefined ? {} : { members: members.map(memberOf) }),
    hash,
    previous_hash: previousHash,
    change_count: effects.length,
  }
}

function memberOf({
  txid,
  operations,
  origin,
}: NonNullable<LogEntry['members']>[number]): Readonly<Record<string, unknown>> {
  return { txid, operations, ...originOf(origin) }
}

function originOf({ actor, via, requestId, address }: LogEntry['origin']): Readonly<Record<string, unknown>> {
  return { actor, via, request_id: requestId ?? null, address: address ?? null }
}

/** The changes with the documents before and after them, a page at a time. */
function details(
  { secrets }: EntityPorts,
  { query }: AdminRequest,
  entry: LogEntry,
  more: Readonly<Record<string, unknown>>,
): Answer {
  const size = parseSize(query)
  if (!size.ok) return size.answer
  const offset = query.one('offset') ?? '0'
  if (!/^\d{1,9}$/.test(offset)) return invalidOffset(offset, 'expected the offset of a page before')
  const start = Number(offset)
  const end = start + size.value
  const hide = (kind: string, document: Document | null) => (document === null ? null : secrets.redact(kind, document))
  const changes = entry.effects.slice(start, end).map(({ kind, workspace, id, document }, i) => {
    const before = entry.before[start + i] ?? null
    return {
      action: actionOf(before, document),
      kind,
      workspace,
      id,
      before: hide(kind, before),
      after: hide(kind, document),
    }
  })
  const next = end < entry.effects.length ? { offset: String(end) } : {}
  return answerJson(200, { ...headOf(entry), ...more, changes, ...next })
}

function actionOf(before: Document | null, after: Document | null): 'create' | 'update' | 'delete' {
  return after === null ? 'delete' : before === null ? 'create' : 'update'
}

async function diff({ store, secrets }: EntityPorts, { query }: AdminRequest): Promise<Answer> {
  const head = (await store.head()).revision
  const from = revisionOf(query.one('from'), undefined)
  const to = revisionOf(query.one('to'), head)
  if (from === null) return answerMessage(400, 'from: expected a revision')
  if (to === null) return answerMessage(400, 'to: expected a revision')
  if (Math.max(from, to) > head)
    return answerMessage(400, `expected revisions up to ${head}, got ${Math.max(from, to)}`)
  return answerJson(200, { from, to, changes: await diffRevisions(store, secrets, from, to) })
}

function revisionOf(text: string | null | undefined, absent: number | undefined): number | null {
  if (text === undefined) return absent ?? null
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null
}

/** How often a rollback starts again when somebody else commits meanwhile. */
const ATTEMPTS = 5

async function rollback(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  if (!ports.isDatabase)
    return answerMessage(
      405,
      'cannot roll back when not using a database: load the configuration wanted by POST /config',
    )
  const { revision } = inputOf(ports.model, ROLLBACK_BODY, request.body)
  if (!Number.isSafeInteger(revision) || (revision as number) < 0)
    return answerMessage(400, 'revision: expected the revision to go back to')
  const target = revision as number
  const wanted = parseIfMatch(request)
  for (let attempt = 1; ; attempt++) {
    const head = (await ports.store.head()).revision
    if (target > head) return answerMessage(400, `revision: expected at most ${head}, the newest, got ${target}`)
    const operations = await rollbackOperations(ports.store, target, head)
    const answer = answerJson(200, { rolled_back_to: target, from: head, changes: operations.length })
    const options: CommitOptions = { via: 'rollback', ...(wanted === null ? { ifRevision: head } : {}) }
    const result = await commit(ports, request, async () => ({ ok: true, operations, answer }), null, options)
    // The caller's own precondition is the caller's to act on.
    if (result.status !== 412 || wanted !== null || attempt === ATTEMPTS) return result
  }
}

const ROLLBACK_BODY = {
  kind: 'rollback',
  about: 'The body of a rollback.',
  fields: { revision: { type: 'integer' } },
} as const
