import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCassandraDriver } from '#store/cassandra/driver.ts'
import { startCassandra } from './cassandra.ts'
import { parseTopology } from './cassandra-plan.ts'
import { openNetwork } from './network.ts'
import { requirePart } from './parts.ts'
import { sharedCassandra } from './shared-cassandra.ts'

test('a cluster of two data centers answers, and a node that is killed comes back with its data', async (t) => {
  if ((await requirePart(t, 'cassandra')) === null) return
  await using cluster = await startCassandra({ topology: 'dc1:1,dc2:1' })
  const [node] = cluster.of('dc2')
  assert.ok(node)
  assert.match(await node.nodetool('status'), /Datacenter: dc1[^]*UN {2}127[^]*Datacenter: dc2[^]*UN {2}127/)
  const write = { kind: 'write', consistency: 'EACH_QUORUM', isPrepared: false } as const
  const schema = { kind: 'schema', consistency: 'LOCAL_QUORUM', isPrepared: false } as const
  const driver = openCassandraDriver({
    contactPoints: [node.address],
    port: cluster.port,
    localDataCenter: 'dc2',
    timeoutMs: 20_000,
  })
  try {
    await driver.whenConnected(30_000)
    const replicas = `{'class': 'NetworkTopologyStrategy', 'dc1': 1, 'dc2': 1}`
    await driver.execute(`CREATE KEYSPACE k WITH replication = ${replicas}`, [], schema)
    await driver.execute('CREATE TABLE k.t (id int PRIMARY KEY, name text)', [], schema)
    await driver.execute("INSERT INTO k.t (id, name) VALUES (1, 'kept')", [], write)
    await node.kill()
    await node.restart()
    const rows = await untilAnswered(() =>
      driver.execute('SELECT name FROM k.t WHERE id = 1', [], { kind: 'read', consistency: 'LOCAL_QUORUM' }),
    )
    assert.deepEqual(rows.rows, [{ name: 'kept' }])
  } finally {
    await driver.close()
  }
})

test('data centers that are far apart', async (t) => {
  if ((await requirePart(t, 'cassandra')) === null) return
  const opened = await openNetwork({ sites: ['dc1', 'dc2'], delayMs: 40 })
  if (opened.outcome === 'not_allowed') return t.skip(opened.reason)
  await using network = opened.network
  await using cluster = await startCassandra({ topology: 'dc1:1,dc2:1', network })
  const [node] = cluster.of('dc2')
  assert.ok(node)
  assert.match(await node.nodetool('status'), /Datacenter: dc1[^]*UN {2}10[^]*Datacenter: dc2[^]*UN {2}10/)
  const driver = openCassandraDriver({
    contactPoints: [node.address],
    port: cluster.port,
    localDataCenter: 'dc2',
    timeoutMs: 20_000,
  })
  try {
    await driver.whenConnected(30_000)
    const schema = { kind: 'schema', consistency: 'LOCAL_QUORUM', isPrepared: false } as const
    const replicas = `{'class': 'NetworkTopologyStrategy', 'dc1': 1, 'dc2': 1}`
    await driver.execute(`CREATE KEYSPACE k WITH replication = ${replicas}`, [], schema)
    await driver.execute('CREATE TABLE k.t (id int PRIMARY KEY, name text)', [], schema)
    const insert = async (consistency: 'LOCAL_QUORUM' | 'EACH_QUORUM') => {
      const start = performance.now()
      const write = { kind: 'write', consistency, isPrepared: false } as const
      await untilAnswered(() => driver.execute("INSERT INTO k.t (id, name) VALUES (1, 'far')", [], write))
      return performance.now() - start
    }
    await insert('EACH_QUORUM')
    const farMs = await insert('EACH_QUORUM')
    assert.ok(farMs >= 80, `${farMs} ms`)
    await network.cut()
    // It goes on in each data center by itself.
    await insert('LOCAL_QUORUM')
    await network.mend()
  } finally {
    await driver.close()
  }
})

test('a cluster can ask for TLS and a password', async (t) => {
  if ((await requirePart(t, 'cassandra')) === null) return
  await using cluster = await startCassandra({ topology: 'dc1:1', tls: true, auth: true })
  const { tls, credentials, port } = cluster
  assert.ok(tls !== null && credentials !== null)
  const common = { contactPoints: cluster.contactPoints('dc1'), port, localDataCenter: 'dc1' }
  const verified = { verify: true, ca: tls.ca }
  const known = openCassandraDriver({ ...common, credentials, tls: verified })
  const guess = { ...credentials, password: 'guessed' }
  const refused = [
    openCassandraDriver({ ...common, credentials: guess, tls: verified }),
    openCassandraDriver({ ...common, credentials }),
  ]
  try {
    await known.whenConnected(30_000)
    await Promise.all(refused.map((driver) => assert.rejects(driver.whenConnected(2_000))))
  } finally {
    for (const driver of [known, ...refused]) await driver.close()
  }
})

test('a topology names data centers, each once, with 1 to 9 nodes', () => {
  assert.deepEqual(parseTopology('dc1:3,eu-west:1'), [
    { name: 'dc1', count: 3 },
    { name: 'eu-west', count: 1 },
  ])
  for (const wrong of ['', 'dc1', 'dc1:0', 'dc1:10', 'dc1:1,dc1:2', ':3', 'dc1:1,'])
    assert.throws(() => parseTopology(wrong), /topology: expected/, wrong)
})

test('each caller of the shared cluster has a keyspace of its own', async (t) => {
  const [one, other] = [await sharedCassandra(t), await sharedCassandra(t)]
  if (one === null || other === null) return
  assert.notEqual(one.keyspace, other.keyspace)
  assert.deepEqual(Object.keys(one.address.dataCenters), ['dc1', 'dc2'])
})

/** The driver needs a moment to find the node again. */
async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 60_000
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}
