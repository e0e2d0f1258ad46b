import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  openCassandraDriver,
  type CassandraDriver,
  type DriverOptions,
  type StatementOptions,
} from '#store/cassandra/driver.ts'
import { startCassandra } from './cassandra.ts'
import { nodePlans, parseTopology } from './cassandra-plan.ts'
import { requirePart } from './parts.ts'
import { sharedCassandra } from './shared-cassandra.ts'

const CONNECT_MS = 30_000
const schema: StatementOptions = { kind: 'schema', consistency: 'LOCAL_QUORUM', isPrepared: false }
const write: StatementOptions = { kind: 'write', consistency: 'EACH_QUORUM' }
const read: StatementOptions = { kind: 'read', consistency: 'LOCAL_QUORUM' }

async function makeKeyspace(driver: CassandraDriver, keyspace: string, replicas: string): Promise<void> {
  await driver.whenConnected(CONNECT_MS)
  await driver.execute(
    `CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', ${replicas}}`,
    [],
    schema,
  )
  await driver.execute(`CREATE TABLE ${keyspace}.letters (id int PRIMARY KEY, letter text)`, [], schema)
}

/** A driver that is closed when it is disposed of: before a cluster that was started earlier is. */
function openDriver(options: DriverOptions) {
  const driver = openCassandraDriver({ timeoutMs: 20_000, ...options })
  return { driver, [Symbol.asyncDispose]: () => driver.close() }
}

test('a node that was killed comes back with its data', async (t) => {
  if ((await requirePart(t, 'cassandra')) === null) return
  await using cluster = await startCassandra({ topology: 'dc1:1,dc2:1' })
  const [, node] = cluster.nodes
  assert.equal(node?.dataCenter, 'dc2')
  const options = { contactPoints: cluster.contactPoints('dc2'), port: cluster.port, localDataCenter: 'dc2' }
  {
    await using client = openDriver(options)
    await makeKeyspace(client.driver, 'kept', `'dc1': 1, 'dc2': 1`)
    await client.driver.execute(`INSERT INTO kept.letters (id, letter) VALUES (1, 'a')`, [], write)
  }
  const before = node.pid
  await node.kill()
  assert.equal(node.isRunning, false)
  await node.restart()
  assert.notEqual(node.pid, before)
  {
    await using client = openDriver(options)
    await client.driver.whenConnected(CONNECT_MS)
    const { rows } = await client.driver.execute('SELECT letter FROM kept.letters WHERE id = 1', [], read)
    assert.deepEqual(rows, [{ letter: 'a' }])
  }
  assert.match(await node.nodetool('status'), /Datacenter: dc1[^]*UN {2}127[^]*Datacenter: dc2[^]*UN {2}127/)
  await assert.rejects(node.nodetool('no-such-command'), /nodetool no-such-command ended with exit code 1/)
})

test('a cluster can ask for TLS and a password', async (t) => {
  if ((await requirePart(t, 'cassandra')) === null) return
  await using cluster = await startCassandra({ topology: 'dc1:1', tls: true, auth: true })
  const { tls, credentials, port } = cluster
  assert.ok(tls !== null && credentials !== null)
  const common = { contactPoints: cluster.contactPoints('dc1'), port, localDataCenter: 'dc1' }
  const verified = { verify: true, ca: tls.ca }
  await using known = openDriver({ ...common, credentials, tls: verified })
  await known.driver.whenConnected(CONNECT_MS)
  await using stranger = openDriver({
    ...common,
    credentials: { ...credentials, password: 'guessed' },
    tls: verified,
  })
  await using plain = openDriver({ ...common, credentials })
  await Promise.all([stranger, plain].map(({ driver }) => assert.rejects(driver.whenConnected(2_000))))
})

test('each caller has a keyspace of its own in the shared cluster', async (t) => {
  const [one, other] = [await sharedCassandra(t), await sharedCassandra(t)]
  if (one === null || other === null) return
  assert.notEqual(one.keyspace, other.keyspace)
  assert.deepEqual(Object.keys(one.address.dataCenters), ['dc1', 'dc2'])
  await using client = openDriver({
    contactPoints: one.address.dataCenters['dc2'] ?? [],
    port: one.address.port,
    localDataCenter: 'dc2',
  })
  await makeKeyspace(client.driver, one.keyspace, `'dc1': 1, 'dc2': 1`)
  await client.driver.execute(`INSERT INTO ${one.keyspace}.letters (id, letter) VALUES (1, 'a')`, [], write)
})

test('a topology names data centers, each once, with 1 to 9 nodes', () => {
  assert.deepEqual(parseTopology('dc1:3, eu-west:1'), [
    { name: 'dc1', count: 3 },
    { name: 'eu-west', count: 1 },
  ])
  for (const wrong of ['', 'dc1', 'dc1:0', 'dc1:10', 'dc1:1,dc1:2', ':3', 'dc1:1,'])
    assert.throws(() => parseTopology(wrong), /topology: expected data centers/, wrong)
})

test('no two nodes of a cluster have the same address or token', () => {
  const topology = 'dc1:9,dc2:9,dc3:1'
  const plans = nodePlans('/x', { topology }, parseTopology(topology), (dataCenter, n) => `10.0.${dataCenter}.${n}`)
  assert.equal(new Set(plans.map(({ address }) => address)).size, 19)
  assert.equal(new Set(plans.map(({ token }) => token)).size, 19)
  for (const { token, seeds } of plans) {
    assert.equal(BigInt.asIntN(64, BigInt(token)), BigInt(token))
    assert.equal(seeds.length, 19)
  }
})
