import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '#core/errors.ts'
import type { Model } from '#model/contract.ts'
import type { StateReader, Violation } from '#store/contract.ts'
import type { Build, Writer, WriteResult } from '#store/writer.ts'
import { type Answer, answerJson, NO_CONTENT } from './answer.ts'
import type { AdminRequest } from './endpoint.ts'
import { unexpected } from './fail.ts'
import { commit, type Committer, type Plan } from './write.ts'

const request = { headers: {}, origin: { actor: 'local', via: 'admin' } } as unknown as AdminRequest
const state = {} as StateReader
const operation = { op: 'delete', kind: 'services', workspace: '', id: 'x' } as const
const plan: Plan = async () => ({ ok: true, operations: [operation], answer: NO_CONTENT })

/** A writer that builds once and then answers what it is told. */
function committer(outcome: WriteResult<Answer>, isDatabase = true, isServing = true): Committer {
  const write = async (build: Build<Answer>): Promise<WriteResult<Answer>> => {
    const built = await build(state, { revision: 6, hash: '', digests: {} })
    return 'refusal' in built ? { outcome: 'refused', refusal: built.refusal } : outcome
  }
  return {
    model: { entities: new Map() } as unknown as Model,
    writer: { write, close: async () => {} } as unknown as Writer,
    serving: { waitFor: async () => isServing, revision: 7 },
    isDatabase,
  }
}

const NAME = { verb: 'remove', kind: 'services', keyField: 'name' } as const

test('a committed change is answered with its revision, and whether it serves', async () => {
  const appended = { outcome: 'appended', revision: 7, txid: 't' } as const
  assert.deepEqual(await commit(committer(appended), request, plan, NAME), {
    status: 204,
    body: null,
    headers: { 'X-Config-Revision': '7', 'X-Config-Transaction': 't' },
  })
  const pending = await commit(committer(appended, true, false), request, plan, NAME)
  assert.equal(pending.headers?.['X-Config-Serving'], 'pending')
})

test('an outcome that nobody knows is no refusal: it names the transaction to look for', async () => {
  const answer = await commit(committer({ outcome: 'open', txid: 't' }), request, plan, NAME)
  assert.deepEqual(
    [answer.status, answer.headers?.['X-Config-Transaction'], answer.headers?.['Retry-After']],
    [503, 't', '1'],
  )
  assert.match(JSON.stringify(answer.body), /\/log\/tx\/t/)
})

test('a change that was given up says that nothing was changed', async () => {
  for (const reason of ['deadline', 'queue_full', 'closed'] as const) {
    const answer = await commit(committer({ outcome: 'unavailable', reason }), request, plan, NAME)
    assert.equal(answer.status, 503)
    assert.match(JSON.stringify(answer.body), /nothing was changed/)
  }
})

test('a plan that refuses is answered as it says, and one that changes nothing with the revision that is there', async () => {
  const refusal = answerJson(404, { message: 'Not found' })
  assert.equal(
    await commit(
      committer({ outcome: 'unchanged', revision: 6 }),
      request,
      async () => ({ ok: false, answer: refusal }),
      NAME,
    ),
    refusal,
  )
  const unchanged = await commit(
    committer({ outcome: 'unchanged', revision: 6 }),
    request,
    async () => ({ ok: true, operations: [], answer: NO_CONTENT }),
    NAME,
  )
  assert.deepEqual(unchanged.headers, { 'X-Config-Revision': '6' })
})

test('without a database a change that would be done is refused, one that would do nothing is not', async () => {
  const refused = await commit(committer({ outcome: 'appended', revision: 7, txid: 't' }, false), request, plan, NAME)
  assert.deepEqual(
    refused,
    answerJson(405, {
      message: "cannot remove 'services' entities by 'name' when not using a database",
      name: 'operation unsupported',
      code: 12,
    }),
  )
  const nothing = await commit(
    committer({ outcome: 'unchanged', revision: 0 }, false),
    request,
    async () => ({ ok: true, operations: [], answer: NO_CONTENT }),
    NAME,
  )
  assert.deepEqual(nothing, NO_CONTENT)
})

test('what the state does not allow has the status and code of Kong', async () => {
  const violations: readonly (readonly [Violation, number, number | undefined])[] = [
    [{ type: 'unique', kind: 'services', fields: { name: 's' }, existingId: 'x' }, 409, 5],
    [{ type: 'primary_key', kind: 'services', id: 'x' }, 400, 3],
    [{ type: 'foreign', kind: 'routes', field: 'service', reference: 'services', id: 'x' }, 400, 4],
    [{ type: 'restrict', kind: 'services', id: 'x', referencedBy: 'routes' }, 400, 4],
    [{ type: 'too_large', bytes: 2, limitBytes: 1 }, 413, undefined],
  ]
  for (const [violation, status, code] of violations) {
    const { status: actual, body } = await commit(committer({ outcome: 'violation', violation }), request, plan, NAME)
    assert.deepEqual([actual, (body as { json: { code?: number } }).json.code], [status, code], violation.type)
  }
})

test('a failure of the table of errors keeps its status; any other is logged, and told without what it says', () => {
  const logged: unknown[] = []
  const log = { error: (fields: object) => void logged.push(fields) }
  const busy = unexpected(new GatewayError('STORE_UNAVAILABLE'), log, {})
  assert.deepEqual([busy.status, busy.headers?.['Retry-After']], [503, '1'])
  assert.equal(unexpected(new GatewayError('LOG_TRUNCATED'), log, {}).status, 410)
  assert.equal(logged.length, 0)
  const bug = unexpected(new Error('password is hunter2'), log, { requestId: 'r' })
  assert.deepEqual(bug, answerJson(500, { message: 'An unexpected error occurred' }))
  assert.equal(logged.length, 1)
})
