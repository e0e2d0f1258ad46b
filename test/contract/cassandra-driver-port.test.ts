import { randomBytes } from 'node:crypto'
import { after, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createDriverPort } from '#store/cassandra/driver-port.ts'
import type { CassandraDriver } from '#store/cassandra/driver.ts'
import type { CassandraPort } from '#store/cassandra/port.ts'
import { createCassandraRuntimeStore } from '#store/cassandra/runtime.ts'
import { driverFor, dropAndClose, makeKeyspace } from '../support/cassandra-keyspace.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'
import { cassandraPortSuite } from './cassandra-port.ts'
import { runtimeStoreSuite } from './runtime-store.ts'
import { testKeyring } from './store-fixture.ts'

interface Made {
  readonly driver: CassandraDriver
  readonly keyspace: string
}

/** One keyspace for the file: making one takes longer than all of its tests. */
let made: Promise<Made> | undefined
after(async () => {
  if (made === undefined) return
  const { driver, keyspace } = await made
  await dropAndClose(keyspace, driver)
})

async function openPort(test: TestContext): Promise<CassandraPort | null> {
  if (made === undefined) {
    const shared = await sharedCassandra(test)
    if (shared === null) return null
    made = make(shared)
  }
  return createDriverPort(await made)
}

async function make({ address, keyspace }: NonNullable<Awaited<ReturnType<typeof sharedCassandra>>>): Promise<Made> {
  const driver = driverFor(address, 'dc1')
  await makeKeyspace(address, driver, keyspace)
  return { driver, keyspace }
}

cassandraPortSuite('driver', async (test) => {
  const port = await openPort(test)
  return port && { port, elapse: delay, close: async () => {} }
})

runtimeStoreSuite('cassandra', async (nowMs, test) => {
  const port = await openPort(test)
  // Each store is empty, though they share a table: keys are hashed with another keyring.
  const keyring = testKeyring(`k:${randomBytes(32).toString('base64')}`)
  return port && createCassandraRuntimeStore({ port, keyring, nowMs })
})
