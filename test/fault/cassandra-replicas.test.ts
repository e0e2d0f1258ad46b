/**
 * Three replicas in a data center, of which one has lost its data, or comes back when the others have long forgotten what was
 * deleted. Only with `--full`.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { globSync, rmSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { watermarkName } from '#store/cassandra/projection-tables.ts'
import { TABLES } from '#store/cassandra/tables.ts'
import { startCassandra, type CassandraNode } from '../support/cassandra.ts'
import { driverFor } from '../support/cassandra-keyspace.ts'
import { agree, startBed, SERVED_MS, type ClusterNode } from '../support/cluster.ts'
import { isFullEffort } from '../support/effort.ts'
import { History, type Write } from '../support/history.ts'
import { requirePart } from '../support/parts.ts'
import { waitUntil } from '../support/wait.ts'

const KEYSPACE = 'replicas'
const KIND = 'keyauth_credentials'
const GC_GRACE_S = 1
const WRITES = 20

const skip = isFullEffort() ? false : 'takes minutes: npm run test:fault'

test('a replica loses its data, and one returns after gc_grace', { skip }, async (t) => {
  if (!(await requirePart(t, 'cassandra'))) return
  // Nothing but reads and later writes brings a replica what it missed.
  await using cassandra = await startCassandra({
    topology: 'dc1:3,dc2:1',
    settings: { hinted_handoff_enabled: false },
  })
  const { address } = cassandra
  await using bed = await startBed({ address, keyspace: KEYSPACE })
  const driver = driverFor(address, 'dc1')
  t.after(() => driver.close())
  await driver.whenConnected(30_000)
  for (const { name } of TABLES)
    await driver.execute(`ALTER TABLE ${KEYSPACE}.${name} WITH gc_grace_seconds = ${GC_GRACE_S}`, [], {
      kind: 'schema',
      consistency: 'ONE',
      isPrepared: false,
      timeoutMs: 60_000,
    })
  const one = await bed.start('one', 'dc1')
  const two = await bed.start('two', 'dc2')
  const nodes = [one, two]
  await bed.route(one, 'keys')
  await one.change('POST', '/routes/keys/plugins', { name: 'key-auth' })
  await one.change('PUT', '/consumers/alice', {})
  await one.allServe()
  const history = new History()
  const makeKey = (node: ClusterNode): Promise<Write> => {
    const id = randomUUID()
    return history.write(node, { action: 'create', kind: KIND, id }, () =>
      node.admin('POST', '/consumers/alice/key-auth', { id, key: id }),
    )
  }
  const revoke = (node: ClusterNode, id: string): Promise<Write> =>
    history.write(node, { action: 'delete', kind: KIND, id }, () =>
      node.admin('DELETE', `/consumers/alice/key-auth/${id}`),
    )
  const made = async (count: number) => {
    const ids: string[] = []
    while (ids.length < count) {
      const { outcome, effect } = await makeKey(nodes[ids.length % nodes.length]!)
      if (outcome === 'acknowledged') ids.push(effect.id)
    }
    return ids
  }
  const writesAgain = () =>
    waitUntil('writes go on', async () => (await makeKey(one)).outcome === 'acknowledged', SERVED_MS)
  /** Also on gateways that have nothing but what Cassandra tells them, by way of that replica. */
  const verified = async (replica: CassandraNode, accepted: readonly string[], refused: readonly string[]) => {
    const fresh = await bed.start(`fresh-${bed.nodes.length}`, 'dc1', { cassandra_contact_points: replica.address })
    const all = [...nodes, fresh]
    await agree(all)
    for (const node of all) {
      for (const [ids, isThere] of [
        [accepted, true],
        [refused, false],
      ] as const) {
        for (const id of ids) {
          const isFound = await history.lookup(node, { kind: KIND, id }, async () => {
            return (await node.proxy('/keys', { apikey: id })).status === 200
          })
          assert.equal(isFound, isThere, `${node.name} ${id}`)
        }
      }
      await history.verify(node)
    }
    await fresh.stop()
  }

  await t.test('all data of one replica is lost, also what it promised', async () => {
    const before = await made(WRITES)
    const replica = cassandra.of('dc1')[0]!
    await replica.kill()
    const data = path.join(replica.plan.folder, 'data')
    const lost = [...globSync(`${KEYSPACE}/*`, { cwd: data }), ...globSync('system/paxos*', { cwd: data })]
    assert.ok(lost.length > 5, lost.join())
    for (const folder of lost)
      for (const file of globSync('*', { cwd: path.join(data, folder) }))
        rmSync(path.join(data, folder, file), { recursive: true, force: true })
    rmSync(path.join(replica.plan.folder, 'commitlog'), { recursive: true, force: true })
    await writesAgain()
    const meanwhile = await made(WRITES)
    await replica.restart()
    const after = await made(WRITES)
    await verified(replica, [...before, ...meanwhile, ...after], [])
  })

  await t.test('a replica returns that does not know of deletions which the others have purged', async () => {
    const [kept, revoked] = [await made(WRITES), await made(WRITES)]
    await one.allServe()
    await waitUntil(
      'all is projected',
      async () => {
        const [row] = (
          await driver.execute(
            `SELECT revision FROM ${KEYSPACE}.log_state WHERE epoch = 1 AND name = '${watermarkName('dc1')}'`,
            [],
            {
              kind: 'read',
              consistency: 'LOCAL_QUORUM',
              isPrepared: false,
            },
          )
        ).rows
        return Number(row?.['revision'] ?? 0) >= (await history.look(one)).head
      },
      // It rests for half a minute or more between two.
      2 * SERVED_MS,
    )
    const replica = cassandra.of('dc1')[1]!
    await replica.stop()
    for (const id of revoked)
      await waitUntil('it is revoked', async () => (await revoke(one, id)).status === 204, SERVED_MS)
    const later = await made(WRITES)
    await one.allServe()
    await sleep((GC_GRACE_S + 2) * 1000)
    for (const node of cassandra.nodes) {
      if (!node.isRunning) continue
      await node.nodetool('flush', KEYSPACE)
      await node.nodetool('compact', KEYSPACE)
    }
    await replica.restart()
    await verified(replica, [...kept, ...later], revoked)
    await made(WRITES)
    await verified(replica, [...kept, ...later], revoked)
  })
})
