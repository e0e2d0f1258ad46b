/** A keyspace of its own on a running cluster, with the tables of `cql/`. */
import { openCassandraDriver, type CassandraDriver, type DriverOptions } from '#store/cassandra/driver.ts'
import { readMigrations } from '#store/cassandra/migration-files.ts'
import { applyMigrations } from '#store/cassandra/migrations.ts'

/** Where nodes are, by the name of their data center. */
export interface ClusterPlace {
  readonly port: number
  readonly addresses: Readonly<Record<string, readonly string[]>>
}

/** The cluster that tests share: two data centers. */
export async function sharedPlace(): Promise<ClusterPlace> {
  return { port: 19142, addresses: { dc1: ['127.0.0.71'], dc2: ['127.0.0.72'] } }
}

let made = 0

export function newKeyspaceName(): string {
  return `test_${process.pid}_${Date.now().toString(36)}_${++made}`
}

export function driverFor(
  { port, addresses }: ClusterPlace,
  dataCenter: string,
  options: Partial<DriverOptions> = {},
): CassandraDriver {
  return openCassandraDriver({
    contactPoints: addresses[dataCenter] ?? [],
    port,
    localDataCenter: dataCenter,
    // The machine of the tests has few cores, and schema changes stop them all for a while.
    timeoutMs: 15_000,
    ...options,
  })
}

export async function makeKeyspace(place: ClusterPlace, driver: CassandraDriver, keyspace: string): Promise<void> {
  await driver.whenConnected(30_000)
  await applyMigrations({
    driver,
    keyspace,
    migrations: readMigrations(),
    dataCenters: replicasOf(place),
    holder: `test ${process.pid}`,
    waitMs: 60_000,
    consensusMs: 30_000,
    nowMs: Date.now,
    monotonicMs: () => performance.now(),
    report: () => {},
  })
}

/** A replica on every node, up to three in a data center. */
export function replicasOf({ addresses }: ClusterPlace): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(addresses).map(([name, nodes]) => [name, Math.min(3, nodes.length)]))
}

export async function dropKeyspace(driver: CassandraDriver, keyspace: string): Promise<void> {
  await driver.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`, [], {
    kind: 'schema',
    consistency: 'ONE',
    isPrepared: false,
    timeoutMs: 30_000,
  })
}
