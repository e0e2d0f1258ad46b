/** The nodes of two data centers on a real cluster: what the unit tests of `Membership` assume of rows, timestamps and replication. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createDriverPort } from '#store/cassandra/driver-port.ts'
import { Membership } from '#store/cassandra/nodes.ts'
import { parseNodeState } from '#store/cluster-view.ts'
import { driverFor, dropAndClose, makeKeyspace } from '../support/cassandra-keyspace.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'
import { waitUntil } from '../support/wait.ts'

const QUIET = { info() {}, warn() {} }

test('nodes of two data centers see each other come, serve, and go, with clocks that are minutes apart', async (context) => {
  const cassandra = await sharedCassandra(context)
  if (cassandra === null) return
  const { address, keyspace } = cassandra
  const drivers = ['dc1', 'dc2'].map((name) => driverFor(address, name))
  context.after(async () => {
    await dropAndClose(keyspace, drivers[0]!, ...drivers.slice(1))
  })
  await makeKeyspace(address, drivers[0]!, keyspace)

  let revision = 1
  const start = (at: 0 | 1, nodeId: string, skewMs: number) => {
    const membership = new Membership({
      port: createDriverPort({ driver: drivers[at]!, keyspace }),
      nodeId,
      dataCenter: `dc${at + 1}`,
      dataCenters: ['dc1', 'dc2'],
      state: () => ({ ...parseNodeState('{"ready":true}'), incarnation: nodeId, serving_revision: revision }),
      log: QUIET,
      monotonicMs: () => performance.now(),
      nowMs: () => Date.now() + skewMs,
      delay: (ms, signal) => delay(ms, undefined, { signal }),
      random: Math.random,
    })
    membership.start()
    return membership
  }
  const seenBy = (membership: Membership, id: string) => membership.nodes().find(({ node_id }) => node_id === id)

  const here = start(0, 'a', -60_000)
  let there = start(1, 'b', 60_000)
  await waitUntil(
    'each sees the other',
    () => seenBy(here, 'b')?.status === 'up' && seenBy(there, 'a')?.status === 'up',
  )
  revision = 2
  here.wake()
  there.wake()
  await waitUntil('what is served is known in the other data center', () => {
    here.wake()
    return seenBy(here, 'b')?.serving_revision === 2
  })
  assert.deepEqual([here.failure, there.failure], [null, null])

  await there.close()
  await waitUntil('one that has ended is down', () => seenBy(here, 'b')?.status === 'down')
  // Its clock was two minutes ahead of what it is now.
  there = start(1, 'b', -60_000)
  await waitUntil('it is up again', () => seenBy(here, 'b')?.status === 'up')
  await Promise.all([here.close(), there.close()])
})
