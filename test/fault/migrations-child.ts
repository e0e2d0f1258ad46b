/** A process that applies the migrations to a keyspace, and prints what it does: the first so many. */
import { readMigrations } from '#store/cassandra/migration-files.ts'
import { applyMigrations } from '#store/cassandra/migrations.ts'
import type { CassandraAddress } from '../support/cassandra.ts'
import { driverFor, replicasOf } from '../support/cassandra-keyspace.ts'

const [place = '', dataCenter = '', keyspace = '', leaseMs = '', count = ''] = process.argv.slice(2)
const cluster = JSON.parse(place) as CassandraAddress
const driver = driverFor(cluster, dataCenter)
await driver.whenConnected(30_000)
const applied = await applyMigrations({
  driver,
  keyspace,
  migrations: readMigrations().slice(0, Number(count)),
  dataCenters: replicasOf(cluster),
  holder: `process ${process.pid}`,
  waitMs: 120_000,
  consensusMs: 30_000,
  leaseMs: Number(leaseMs),
  nowMs: Date.now,
  monotonicMs: () => performance.now(),
  report: (line) => void process.stdout.write(`${line}\n`),
})
await driver.close()
process.stdout.write(`done ${applied.length}\n`)
