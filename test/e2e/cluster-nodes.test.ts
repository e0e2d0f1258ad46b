import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { exitCodes } from '#cli/exit-code.ts'
import { newKeyringText } from '#store/keyring.ts'
import { driverFor, dropAndClose, makeKeyspace, replicasOf } from '../support/cassandra-keyspace.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { runChild } from '../support/process.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'
import { waitUntil } from '../support/wait.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')

async function meridian(gateway: Gateway, ...words: string[]) {
  return await runChild({
    command: process.execPath,
    args: [path.join(ROOT, 'src', 'main.ts'), ...words, '--admin', gateway.adminUrl],
    cwd: ROOT,
    name: 'meridian',
    timeoutMs: 30_000,
  })
}

/** Lines of `meridian status` that are nodes: the letters, the revision and the lag of each, by data center. */
async function statusOf(gateway: Gateway): Promise<string[]> {
  const { output } = await meridian(gateway, 'status')
  let dataCenter = ''
  return output.split('\n').flatMap((line) => {
    dataCenter = /^Datacenter: (.*)$/.exec(line)?.[1] ?? dataCenter
    const [letters = '', , revision, lag] = line.split(/ {2,}/)
    return /^[UD?][NSD-]$/.test(letters) ? [`${dataCenter} ${letters} ${revision} ${lag}`] : []
  })
}

test('gateways of two data centers know of each other, wait for each other, and miss the one that is killed', async (context) => {
  const cassandra = await sharedCassandra(context)
  if (cassandra === null) return
  const { address, keyspace } = cassandra
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-cluster-'))
  const keyring = path.join(folder, 'keyring')
  writeFileSync(keyring, newKeyringText('test', randomBytes), { mode: 0o600 })
  const driver = driverFor(address, 'dc1')
  const gateways: Gateway[] = []
  context.after(async () => {
    for (const gateway of gateways) await gateway.stop()
    await dropAndClose(keyspace, driver)
    rmSync(folder, { recursive: true })
  })
  await makeKeyspace(address, driver, keyspace)

  const replicas = Object.entries(replicasOf(address)).map(([name, count]) => `${name}:${count}`)
  for (const name of ['dc1', 'dc2']) {
    const settings = {
      database: 'cassandra',
      cassandra_contact_points: address.dataCenters[name]!.join(','),
      cassandra_port: String(address.port),
      cassandra_keyspace: keyspace,
      cassandra_local_datacenter: name,
      cassandra_data_centers: replicas.join(','),
      cassandra_timeout: '15s',
      keyring_file: keyring,
    }
    gateways.push(await startGateway({ settings }))
  }
  const [near, far] = gateways as [Gateway, Gateway]

  const made = await fetch(`${near.adminUrl}/services`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 's', host: '127.0.0.1' }),
  })
  assert.equal(made.status, 201)
  const revision = made.headers.get('x-config-revision')!
  for (const gateway of gateways) {
    const served = await meridian(gateway, 'wait', '--revision', revision, '--timeout', '20')
    assert.deepEqual([served.code, served.output], [0, `Every node that is up (2) serves revision ${revision}.\n`])
    assert.deepEqual(await statusOf(gateway), [`dc1 UN ${revision} 0`, `dc2 UN ${revision} 0`])
  }
  const late = await meridian(near, 'wait', '--revision', String(Number(revision) + 1), '--timeout', '0.1', '--json')
  assert.deepEqual([late.code, JSON.parse(late.output).lagging.length], [exitCodes.lagging, 2])

  const page = await (await fetch(`${far.statusUrl}/metrics`)).text()
  assert.match(page, /^meridian_config_propagation_seconds_count [1-9]/m)
  assert.match(page, /^meridian_cluster_nodes\{data_center="dc1",state="ready"\} 1$/m)
  assert.match(page, /^meridian_cassandra_reachable 1$/m)
  const isProjected = async () => {
    const text = await (await fetch(`${far.statusUrl}/metrics`)).text()
    return new RegExp(`^meridian_config_projected_revision ${revision}$`, 'm').test(text)
  }
  await waitUntil('the projection is written', isProjected, 30_000)

  await far.kill()
  await waitUntil('a node that was killed is down', async () => (await statusOf(near))[1]!.startsWith('dc2 D-'), 30_000)
  const rest = await meridian(near, 'wait', '--revision', revision)
  assert.deepEqual([rest.code, /because down: \S+\n$/.test(rest.output)], [0, true])
})
