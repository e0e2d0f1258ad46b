/** What an operator does after the database was lost, or put back to an earlier state. */
import assert from 'node:assert/strict'
import { globSync, rmSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { TABLES } from '#store/cassandra/tables.ts'
import { startCassandra, type CassandraCluster } from '../support/cassandra.ts'
import { driverFor, makeKeyspace } from '../support/cassandra-keyspace.ts'
import { agree, startBed, SERVED_MS, type ClusterNode } from '../support/cluster.ts'
import { isFullEffort } from '../support/effort.ts'
import { requirePart } from '../support/parts.ts'
import { waitUntil } from '../support/wait.ts'

const KEYSPACE = 'restored'
const DATA = ['data', 'commitlog', 'hints', 'saved_caches']

test('a cluster that was lost is built again from the copy of one gateway, while traffic goes on', async (t) => {
  if (!isFullEffort()) return t.skip('takes minutes: npm run test:fault')
  if ((await requirePart(t, 'cassandra')) === null) return
  await using cluster = await startCassandra({ topology: 'dc1:1,dc2:1' })
  await using bed = await startBed({ address: cluster.address, keyspace: KEYSPACE })
  const [one, two] = [await bed.start('one', 'dc1'), await bed.start('two', 'dc2')]
  await bed.route(one, 'kept')
  const before = await one.allServe()

  for (const node of cluster.nodes) {
    await node.kill()
    for (const name of DATA) rmSync(path.join(node.plan.folder, name), { recursive: true, force: true })
  }
  assert.equal((await two.proxy('/kept')).status, 200)
  await Promise.all(cluster.nodes.map((node) => node.restart()))
  await migrate(cluster)
  assert.equal((await two.proxy('/kept')).status, 200)

  await begin(one, before)
  await bed.route(two, 'later')
  await agreeAt([one, two], before + 2)
  for (const node of [one, two]) for (const name of ['kept', 'later']) await proxied(node, name)
  const fresh = await bed.start('fresh', 'dc2')
  await agreeAt([one, two, fresh], before + 2)
  await proxied(fresh, 'kept')
  const isKnown = async () => {
    const { json } = await two.admin('GET', '/cluster/nodes')
    const all = json.data_centers.flatMap((one: { nodes: { epoch: number }[] }) => one.nodes) as { epoch: number }[]
    return all.length === 3 && all.every(({ epoch }) => epoch > 1 && epoch === all[0]!.epoch)
  }
  await waitUntil('each is known to follow the new epoch', isKnown, SERVED_MS)
})

test('a snapshot is put back, and all nodes go on from its state', async (t) => {
  if (!isFullEffort()) return t.skip('takes minutes: npm run test:fault')
  if ((await requirePart(t, 'cassandra')) === null) return
  await using cluster = await startCassandra({ topology: 'dc1:1,dc2:1' })
  await using bed = await startBed({ address: cluster.address, keyspace: KEYSPACE })
  const [one, two] = [await bed.start('one', 'dc1'), await bed.start('two', 'dc2')]
  await bed.route(one, 'kept')
  const before = await one.allServe()
  await projected(one, before)
  for (const node of cluster.nodes) await node.nodetool('snapshot', '-t', 'backup', KEYSPACE)
  await bed.route(two, 'lost')
  await one.allServe()

  for (const node of [one, two]) {
    await node.stop()
    for (const file of globSync('copy.db*', { cwd: node.prefix })) rmSync(path.join(node.prefix, file))
  }
  await putBack(cluster, 'backup')
  await one.start()
  assert.equal((await one.admin('GET', '/cluster/revision')).json.revision, before)
  await begin(one, before)
  await two.start()
  await agreeAt([one, two], before)
  for (const node of [one, two]) {
    await proxied(node, 'kept')
    assert.equal((await node.proxy('/lost')).status, 404)
  }
  await bed.route(two, 'next')
  await agreeAt([one, two], before + 2)
  await proxied(one, 'next')
})

async function begin(node: ClusterNode, revision: number): Promise<void> {
  await waitUntil(
    'the epoch begins',
    async () => (await node.admin('POST', '/cluster/epoch', { revision })).status === 200,
    SERVED_MS,
  )
}

async function agreeAt(nodes: readonly ClusterNode[], revision: number): Promise<void> {
  await waitUntil(`all stand at ${revision}`, async () => (await agree(nodes)).revision === revision, SERVED_MS)
}

async function proxied(node: ClusterNode, name: string): Promise<void> {
  await waitUntil(`${node.name} serves ${name}`, async () => (await node.proxy(`/${name}`)).status === 200, SERVED_MS)
}

/** Until the rows that a snapshot is to have are there. */
async function projected(node: ClusterNode, revision: number): Promise<void> {
  const isThere = async () => {
    const { text } = await node.admin('GET', '/metrics')
    return Number(/^meridian_config_projected_revision (\d+)/m.exec(text)?.[1]) >= revision
  }
  await waitUntil(`revision ${revision} is projected`, isThere, SERVED_MS)
}

async function migrate(cluster: CassandraCluster): Promise<void> {
  const driver = driverFor(cluster.address, 'dc1')
  try {
    await makeKeyspace(cluster.address, driver, KEYSPACE)
  } finally {
    await driver.close()
  }
}

/** The tables become what they were in the snapshot of each node. */
async function putBack(cluster: CassandraCluster, snapshot: string): Promise<void> {
  const driver = driverFor(cluster.address, 'dc1', { timeoutMs: 60_000 })
  try {
    await driver.whenConnected(60_000)
    for (const { name } of TABLES)
      await driver.execute(`TRUNCATE ${KEYSPACE}.${name}`, [], {
        kind: 'schema',
        consistency: 'ALL',
        isPrepared: false,
      })
  } finally {
    await driver.close()
  }
  for (const node of cluster.nodes) {
    for (const { name } of TABLES) {
      const [folder] = globSync(`data/${KEYSPACE}/${name}-*/snapshots/${snapshot}`, { cwd: node.plan.folder })
      if (folder === undefined) continue
      if (globSync('*-Data.db', { cwd: path.join(node.plan.folder, folder) }).length === 0) continue
      await node.nodetool('import', KEYSPACE, name, path.join(node.plan.folder, folder))
    }
  }
}
