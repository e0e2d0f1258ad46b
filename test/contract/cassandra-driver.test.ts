import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { openCassandraDriver } from '#store/cassandra/driver.ts'
import { CassandraFailure } from '#store/cassandra/port.ts'
import { driverFor } from '../support/cassandra-keyspace.ts'
import { freePort } from '../support/free-port.ts'
import { runChild } from '../support/process.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'

const VERSION = 'SELECT release_version FROM system.local'
const READ = { kind: 'read', consistency: 'ONE' } as const

function failure(reason: string, isSettled: boolean, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof CassandraFailure)
    assert.deepEqual([error.reason, error.isSettled], [reason, isSettled])
    assert.match(error.message, message)
    return true
  }
}

test('a dead contact point and a name that is none are passed over', async (context) => {
  const shared = await sharedCassandra(context)
  if (shared === null) return
  const place = shared.address
  const { dataCenters, port } = place
  const driver = openCassandraDriver({
    contactPoints: [`127.0.0.1:${await freePort()}`, 'cassandra.invalid', ...dataCenters['dc1']!],
    port,
    localDataCenter: 'dc1',
  })
  await driver.whenConnected(20_000)
  const { rows } = await driver.execute(VERSION, [], READ)
  assert.match(String(rows[0]?.['release_version']), /^\d+\./)
  assert.equal(driver.remoteContacts, 0)
  await driver.close()
  await assert.rejects(driver.execute(VERSION, [], READ), failure('unreachable', true, /is closed/))
})

test('where nothing can be reached, it says so at once and goes on trying', async () => {
  let attempts = 0
  const driver = openCassandraDriver({
    contactPoints: ['127.0.0.1'],
    port: await freePort(),
    localDataCenter: 'dc1',
    observer: { connectFailed: () => void attempts++ },
  })
  await assert.rejects(driver.execute(VERSION, [], READ), failure('unreachable', true, /not connected yet/))
  await assert.rejects(driver.whenConnected(2500), failure('unreachable', true, /ECONNREFUSED/))
  assert.ok(attempts >= 2, `${attempts} attempts`)
  await assert.rejects(driver.execute(VERSION, [], READ), failure('unreachable', true, /ECONNREFUSED/))
  await driver.close()
})

test('a data center that the cluster does not have is told with those that it has', async (context) => {
  const shared = await sharedCassandra(context)
  if (shared === null) return
  const place = shared.address
  const driver = driverFor(place, 'dc1', { localDataCenter: 'dc9' })
  const message = /^cassandra_local_datacenter: expected a data center of the cluster \(dc1, dc2.*\), got 'dc9'$/
  await assert.rejects(driver.whenConnected(3000), failure('refused', true, message))
  await driver.close()
})

test('a contact point of another data center is counted, and only the local one is asked', async (context) => {
  const shared = await sharedCassandra(context)
  if (shared === null) return
  const place = shared.address
  const seen: string[] = []
  const driver = driverFor(place, 'dc1', {
    contactPoints: place.dataCenters['dc2']!,
    observer: { remoteContact: (_, dataCenter) => void seen.push(dataCenter) },
  })
  await driver.whenConnected(10_000)
  assert.deepEqual([driver.remoteContacts, seen], [1, ['dc2']])
  for (let count = 0; count < 5; count++) {
    const { rows } = await driver.execute('SELECT data_center FROM system.local', [], READ)
    assert.equal(rows[0]?.['data_center'], 'dc1')
  }
  await driver.close()
})

test('the list of nodes is read again and again while statements go on', async (context) => {
  const shared = await sharedCassandra(context)
  if (shared === null) return
  const driver = driverFor(shared.address, 'dc1', { refreshMs: 20 })
  await driver.whenConnected(10_000)
  const untilMs = performance.now() + 400
  while (performance.now() < untilMs) await driver.execute(VERSION, [], READ)
  assert.equal(driver.isConnected, true)
  const versions = await driver.schemaVersions()
  assert.equal([...versions.values()].flat().length, 2)
  await driver.close()
})

test('a statement that is none is refused before it is tried', async (context) => {
  const shared = await sharedCassandra(context)
  if (shared === null) return
  const place = shared.address
  const driver = driverFor(place, 'dc1')
  await driver.whenConnected(10_000)
  const write = { kind: 'write', consistency: 'ONE' } as const
  await assert.rejects(driver.execute('SELEKT 1', [], write), failure('invalid', true, /SELEKT/))
  await assert.rejects(driver.execute('SELECT * FROM nowhere.nothing', [], write), failure('invalid', true, /nowhere/))
  const byKey = 'SELECT rpc_address FROM system.peers WHERE peer = ?'
  await assert.rejects(driver.execute(byKey, [7], write), failure('invalid', true, /inet|Not a valid/i))
  await driver.close()
})

test('a deadline that passes leaves a write open and a read settled', async (context) => {
  const shared = await sharedCassandra(context)
  if (shared === null) return
  const place = shared.address
  const driver = driverFor(place, 'dc1')
  await driver.whenConnected(10_000)
  context.after(() => driver.close())
  const late = (kind: 'read' | 'conditional') => {
    const answer = driver.execute('SELECT * FROM system.local', [], { ...READ, kind, timeoutMs: 1 })
    // The loop is held up until the deadline has passed: no answer can be read before that.
    for (const began = performance.now(); performance.now() - began < 10;);
    return answer
  }
  await assert.rejects(late('conditional'), failure('timeout', false, /no answer in 1 ms/))
  await assert.rejects(late('read'), failure('timeout', true, /no answer/))
})

test('the end of a driver lets its process end, whatever state it was in', async (context) => {
  const shared = await sharedCassandra(context)
  if (shared === null) return
  const place = shared.address
  const script = path.join(import.meta.dirname, 'cassandra-driver-child.ts')
  const [point] = place.dataCenters['dc1']!
  const states = {
    connected: [point, place.port, 'dc1', 3000],
    'in a data center that is none': [point, place.port, 'dc9', 2500],
    'without a node': ['127.0.0.1', await freePort(), 'dc1', 1500],
    'while it connects': [point, place.port, 'dc1', 0],
  }
  for (const [state, args] of Object.entries(states)) {
    const child = await runChild({
      command: process.execPath,
      args: [script, ...args.map(String)],
      name: state,
      timeoutMs: 30_000,
    })
    assert.deepEqual([child.code, child.output], [0, 'closed\n'], state)
  }
})
