/** A keyspace of its own on a running cluster, with the tables of `cql/`. */
import { openCassandraDriver, type CassandraDriver, type DriverOptions } from '#store/cassandra/driver.ts'
import { readMigrations } from '#store/cassandra/migration-files.ts'
import { applyMigrations } from '#store/cassandra/migrations.ts'
import type { CassandraAddress } from './cassandra.ts'

export function driverFor(
  { port, dataCenters }: CassandraAddress,
  dataCenter: string,
  options: Partial<DriverOptions> = {},
): CassandraDriver {
  return openCassandraDriver({
    contactPoints: dataCenters[dataCenter] ?? [],
    port,
    localDataCenter: dataCenter,
    // The machine of the tests has few cores, and schema changes stop them all for a while.
    timeoutMs: 15_000,
    ...options,
  })
}

export async function makeKeyspace(
  address: CassandraAddress,
  driver: CassandraDriver,
  keyspace: string,
): Promise<void> {
  await driver.whenConnected(30_000)
  await applyMigrations({
    driver,
    keyspace,
    migrations: readMigrations(),
    dataCenters: replicasOf(address),
    holder: `test ${process.pid}`,
    waitMs: 60_000,
    consensusMs: 30_000,
    nowMs: Date.now,
    monotonicMs: () => performance.now(),
    report: () => {},
  })
}

/** A replica on every node, up to three in a data center. */
export function replicasOf({ dataCenters }: CassandraAddress): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(dataCenters).map(([name, nodes]) => [name, Math.min(3, nodes.length)]))
}

/** Drops it by the first of the drivers, and closes all, which would else keep the process of the test. */
export async function dropAndClose(
  keyspace: string,
  ...drivers: readonly [CassandraDriver, ...CassandraDriver[]]
): Promise<void> {
  try {
    await dropKeyspace(drivers[0], keyspace)
  } finally {
    for (const driver of drivers) await driver.close()
  }
}

export async function dropKeyspace(driver: CassandraDriver, keyspace: string): Promise<void> {
  await driver.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`, [], {
    kind: 'schema',
    consistency: 'ONE',
    isPrepared: false,
    // Schema changes of several test files wait for each other.
    timeoutMs: 120_000,
  })
}
