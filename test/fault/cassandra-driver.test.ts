import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDriverPort } from '#store/cassandra/driver-port.ts'
import { readMigrations } from '#store/cassandra/migration-files.ts'
import { applyMigrations } from '#store/cassandra/migrations.ts'
import { CassandraFailure, type CassandraPort, type TableRow } from '#store/cassandra/port.ts'
import { NODES, RUNTIME } from '#store/cassandra/tables.ts'
import { startCassandra } from '../support/cassandra.ts'
import { driverFor, makeKeyspace, replicasOf } from '../support/cassandra-keyspace.ts'
import { isFullEffort } from '../support/effort.ts'
import { requirePart } from '../support/parts.ts'
import { waitUntil } from '../support/wait.ts'

/** Cassandra takes so long to call a node dead that was killed: half a minute, and more where the machine is busy. */
const DETECTED_MS = 120_000
const SERIAL = { serial: 'SERIAL', commit: 'QUORUM' } as const

let keys = 0
const newRow = (): TableRow => ({ space: 's', key: `k${++keys}`, value: 'v', expires_at_ms: 1 })
const heartbeat = { data_center: 'd', node_id: 'n', state: 's', heartbeat_ms: 1 }

async function failureOf(work: Promise<unknown>): Promise<CassandraFailure | null> {
  try {
    await work
    return null
  } catch (error) {
    assert.ok(error instanceof CassandraFailure)
    return error
  }
}

async function stands(port: CassandraPort, { space, key }: TableRow): Promise<boolean> {
  const partition = { space: space!, key: key! }
  return (await port.select(RUNTIME, { partition, limit: 1, consistency: 'SERIAL' })).length > 0
}

test('of three data centers one dies, then another: each statement says whether it may still have an effect', async (context) => {
  if (!isFullEffort()) return context.skip('takes minutes: npm run test:fault')
  if ((await requirePart(context, 'cassandra')) === null) return
  await using cluster = await startCassandra({ topology: 'dc1:1,dc2:1,dc3:1', settings: { phi_convict_threshold: 5 } })
  const { address } = cluster
  const driver = driverFor(address, 'dc1')
  context.after(() => driver.close())
  await makeKeyspace(address, driver, 'faults')
  const port = createDriverPort({ driver, keyspace: 'faults' })
  const everywhere = { ...SERIAL, commit: 'EACH_QUORUM' } as const
  assert.deepEqual(await port.insertIfAbsent(RUNTIME, newRow(), everywhere), { isApplied: true })

  await cluster.of('dc3')[0]!.kill()
  // Not known to be dead: the cluster waits for it, and can't tell.
  const early = await failureOf(port.insert(NODES, heartbeat, { consistency: 'EACH_QUORUM' }))
  assert.deepEqual([early?.reason, early?.isSettled], ['timeout', false])
  await waitUntil(
    'the dead node is known',
    async () =>
      (await failureOf(port.insert(NODES, heartbeat, { consistency: 'EACH_QUORUM' })))?.reason === 'unavailable',
    DETECTED_MS,
  )
  const write = await failureOf(port.insert(NODES, heartbeat, { consistency: 'EACH_QUORUM' }))
  assert.deepEqual([write?.reason, write?.isSettled], ['unavailable', true])
  // Two of three decide, and only then is the third missed: told as unavailable, and done all the same.
  const decided = newRow()
  const commit = await failureOf(port.insertIfAbsent(RUNTIME, decided, everywhere))
  assert.deepEqual([commit?.reason, commit?.isSettled], ['unavailable', false])
  assert.equal(await stands(port, decided), true)
  assert.deepEqual(await port.insertIfAbsent(RUNTIME, newRow(), SERIAL), { isApplied: true })

  // Migrations look before they change anything.
  const lines: string[] = []
  const migrations = [
    ...readMigrations(),
    { number: 999, name: '999_more', statement: 'ALTER TABLE nodes ADD more text', checksum: 'x' },
  ]
  const applying = applyMigrations({
    driver,
    keyspace: 'faults',
    migrations,
    dataCenters: replicasOf(address),
    holder: 'the test',
    waitMs: 1000,
    consensusMs: 5000,
    nowMs: Date.now,
    monotonicMs: () => performance.now(),
    report: (line) => void lines.push(line),
  })
  await assert.rejects(applying, { code: 'SCHEMA_DISAGREEMENT', message: /^a node is down, so nothing was changed/ })
  assert.deepEqual(lines, [])

  await cluster.of('dc2')[0]!.kill()
  await waitUntil(
    'the second dead node is known',
    async () => (await failureOf(port.insertIfAbsent(RUNTIME, newRow(), SERIAL)))?.reason === 'unavailable',
    DETECTED_MS,
  )
  const refused = await failureOf(port.insertIfAbsent(RUNTIME, newRow(), SERIAL))
  assert.deepEqual([refused?.reason, refused?.isSettled], ['unavailable', true])
  const local = { serial: 'LOCAL_SERIAL', commit: 'LOCAL_QUORUM' } as const
  assert.deepEqual(await port.insertIfAbsent(RUNTIME, newRow(), local), { isApplied: true })

  // The last one, which this driver asks.
  const [node] = cluster.of('dc1')
  await node!.kill()
  await waitUntil('nothing is reached', async () => !driver.isConnected, 20_000)
  const gone = await failureOf(port.insert(NODES, heartbeat, { consistency: 'LOCAL_ONE' }))
  assert.deepEqual([gone?.reason, gone?.isSettled], ['unreachable', true])
  await node!.restart()
  await driver.whenConnected(30_000)
  await waitUntil(
    'it writes again',
    async () => (await failureOf(port.insert(NODES, heartbeat, { consistency: 'LOCAL_ONE' }))) === null,
    30_000,
  )
  assert.equal(driver.remoteContacts, 0)
})
