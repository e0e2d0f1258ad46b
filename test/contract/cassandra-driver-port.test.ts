import { randomBytes } from 'node:crypto'
import { after, before } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createCassandraRuntimeStore } from '#store/cassandra/runtime.ts'
import { createDriverPort } from '#store/cassandra/driver-port.ts'
import type { CassandraDriver } from '#store/cassandra/driver.ts'
import { driverFor, dropKeyspace, makeKeyspace, newKeyspaceName, sharedPlace } from '../support/cassandra-keyspace.ts'
import { cassandraPortSuite } from './cassandra-port.ts'
import { runtimeStoreSuite } from './runtime-store.ts'
import { testKeyring } from './store-fixture.ts'

const keyspace = newKeyspaceName()
let driver: CassandraDriver

before(async () => {
  const place = await sharedPlace()
  driver = driverFor(place, 'dc1')
  await makeKeyspace(place, driver, keyspace)
})
after(async () => {
  await dropKeyspace(driver, keyspace)
  await driver.close()
})

const openPort = () => createDriverPort({ driver, keyspace })

cassandraPortSuite('driver', async () => ({ port: openPort(), elapse: delay, close: async () => {} }))

runtimeStoreSuite('cassandra', async (nowMs) => {
  const port = openPort()
  // Each store is empty, though they share a table: keys are hashed with another keyring.
  const keyring = testKeyring(`k:${randomBytes(32).toString('base64')}`)
  return createCassandraRuntimeStore({ port, keyring, nowMs })
})
