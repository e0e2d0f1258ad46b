/**
 * The way of every change: planned against the state at one revision, committed by the writer, answered when every worker of
 * this node serves it. So a 2xx means: committed, and serving here (or, after `SERVING_TIMEOUT_MS`, said to be pending).
 */
import type { Model } from '#model/contract.ts'
import type { RefusedOperation } from '#model/refusal.ts'
import type { Operation, StateReader } from '#store/contract.ts'
import type { Writer, WriteResult } from '#store/writer.ts'
import { type Answer, answerMessage, withHeaders } from './answer.ts'
import type { AdminRequest } from './endpoint.ts'
import { outcomeOpen, preconditionFailed, refusedByStore, unsupportedOperation } from './fail.ts'

/** What a request wants to change in a state, or the answer that refuses it. May be asked again when another change came first. */
export type Plan = (state: StateReader) => Promise<Planned>
export type Planned =
  | { readonly ok: true; readonly operations: readonly Operation[]; readonly answer: Answer }
  | { readonly ok: false; readonly answer: Answer }

/** What a write is called in the answer of a gateway without a database. */
export interface WriteName {
  readonly verb: RefusedOperation
  readonly kind: string
  /** The endpoint key that the entity was named by. */
  readonly keyField?: string
}

/** Tells when a revision serves on all workers of this node. */
export interface Serving {
  /** True as soon as every worker serves the revision (or a later one), false after the time. */
  waitFor(revision: number, timeoutMs: number): Promise<boolean>
  /** The lowest revision over the workers. */
  readonly revision: number
}

export interface Committer {
  readonly model: Model
  readonly writer: Writer
  readonly serving: Serving
  /** False with `database = off`: entities change by POST /config only. */
  readonly isDatabase: boolean
}

export const SERVING_TIMEOUT_MS = 2000

export interface CommitOptions {
  /** What the log says of the way that the change came by; `admin` by default. */
  readonly via?: string
  /** A precondition of the endpoint's own, where the client gave none. */
  readonly ifRevision?: number
}

/** Commits what the plan says, unless it says nothing, and answers with the revision. */
export async function commit(
  committer: Committer,
  request: AdminRequest,
  plan: Plan,
  name: WriteName | null,
  options: CommitOptions = {},
): Promise<Answer> {
  const given = parseIfMatch(request)
  if (given !== null && typeof given !== 'number') return given
  const ifRevision = given ?? options.ifRevision ?? null
  let answer: Answer = answerMessage(500, 'An unexpected error occurred')
  const result = await committer.writer.write<Answer>(
    async (state) => {
      const planned = await plan(state)
      if (!planned.ok) return { refusal: planned.answer }
      // Validated first, refused then: as Kong does, so that a config can be tried out.
      if (!committer.isDatabase && name !== null && planned.operations.length > 0) {
        return { refusal: unsupportedOperation(name.verb, name.kind, name.keyField) }
      }
      answer = planned.answer
      return { operations: planned.operations }
    },
    {
      origin: { ...request.origin, via: options.via ?? request.origin.via },
      ...(ifRevision === null ? {} : { ifRevision }),
    },
  )
  return await answerOf(committer, result, answer, ifRevision)
}

async function answerOf(
  committer: Committer,
  result: WriteResult<Answer>,
  answer: Answer,
  ifRevision: number | null,
): Promise<Answer> {
  switch (result.outcome) {
    case 'appended': {
      const isServing = await committer.serving.waitFor(result.revision, SERVING_TIMEOUT_MS)
      const committed = atRevision(committer, answer, result.revision, { 'X-Config-Transaction': result.txid })
      return isServing ? committed : withHeaders(committed, { 'X-Config-Serving': 'pending' })
    }
    case 'unchanged':
      return atRevision(committer, answer, result.revision)
    case 'refused':
      return result.refusal
    case 'violation':
      return refusedByStore(result.violation, committer.model.entities)
    case 'precondition_failed':
      return preconditionFailed(ifRevision ?? 0, result.revision)
    case 'open':
      return outcomeOpen(result.txid)
    case 'unavailable':
      return withHeaders(answerMessage(503, unavailableText[result.reason]), { 'Retry-After': '1' })
  }
}

/**
 * The answer with the revision that it belongs to: what a later `If-Match` names. Without a database revisions are this process's
 * own and begin again with it, so they are not given out as if they meant more.
 */
export function atRevision(
  { isDatabase }: Pick<Committer, 'isDatabase'>,
  answer: Answer,
  revision: number,
  more: Readonly<Record<string, string>> = {},
): Answer {
  return isDatabase ? withHeaders(answer, { 'X-Config-Revision': String(revision), ...more }) : answer
}

const unavailableText = {
  deadline: 'The change could not be committed in time; nothing was changed',
  queue_full: 'Too many changes wait to be committed; nothing was changed',
  closed: 'The gateway is stopping; nothing was changed',
} as const

/** The revision in `If-Match` (with or without quotes), null when the header is absent. */
export function parseIfMatch({ headers }: Pick<AdminRequest, 'headers'>): number | null | Answer {
  const text = headers['if-match']
  if (text === undefined || text === '*') return null
  const match = /^\s*(?:"(\d{1,15})"|(\d{1,15}))\s*$/.exec(String(text))
  if (match === null)
    return answerMessage(
      400,
      'If-Match: expected the revision of the configuration as in X-Config-Revision, such as "42"',
    )
  return Number(match[1] ?? match[2])
}
