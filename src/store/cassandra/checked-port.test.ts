import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '#core/errors.ts'
import { checkedPort } from './checked-port.ts'
import { CassandraFailure, type CassandraPort, type Selection } from './port.ts'
import { NODES } from './tables.ts'

const selection: Selection = { partition: { data_center: 'd' }, limit: 1, consistency: 'LOCAL_ONE' }

function bed(check: () => Promise<void>) {
  const at = { nowMs: 0, checks: 0, sent: 0 }
  const inner = { select: async () => (at.sent++, []) } as unknown as CassandraPort
  const port = checkedPort({ port: inner, check: () => (at.checks++, check()), monotonicMs: () => at.nowMs })
  return { at, ask: () => port.select(NODES, selection) }
}

test('what is right is checked once, also when many ask at once', async () => {
  const { at, ask } = bed(async () => {})
  await Promise.all([ask(), ask(), ask()])
  await ask()
  assert.deepEqual([at.checks, at.sent], [1, 4])
})

test('nothing is sent to a keyspace of a newer version, which is looked at again now and then', async () => {
  let isNewer = true
  const { at, ask } = bed(async () => {
    if (isNewer) throw new GatewayError('SCHEMA_NEWER', 'keyspace k has 999_more, which this version does not know')
  })
  const refused = { name: 'CassandraFailure', reason: 'refused', isSettled: true, message: /^keyspace k has 999_more/ }
  for (let n = 0; n < 3; n++) await assert.rejects(ask(), refused)
  assert.deepEqual([at.checks, at.sent], [1, 0])
  at.nowMs = 5_000
  await assert.rejects(ask(), refused)
  assert.deepEqual([at.checks, at.sent], [2, 0])
  isNewer = false
  at.nowMs = 10_000
  await ask()
  assert.deepEqual([at.checks, at.sent], [3, 1])
})

test('while it can not be asked each statement tries, and fails as the check does', async () => {
  const failure = new CassandraFailure('unreachable', 'not connected yet', true)
  let isAway = true
  const { at, ask } = bed(async () => {
    if (isAway) throw failure
  })
  await assert.rejects(ask(), failure)
  await assert.rejects(ask(), failure)
  assert.deepEqual([at.checks, at.sent], [2, 0])
  isAway = false
  await ask()
  assert.equal(at.sent, 1)
})
