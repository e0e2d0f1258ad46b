import assert from 'node:assert/strict'
import path from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createDriverPort } from '#store/cassandra/driver-port.ts'
import type { CassandraDriver } from '#store/cassandra/driver.ts'
import { readMigrations, statementFor, type Migration } from '#store/cassandra/migration-files.ts'
import {
  applyMigrations,
  finalizeMigrations,
  MIGRATIONS,
  readMigrationState,
  requireSchema,
  type ApplyOptions,
} from '#store/cassandra/migrations.ts'
import { CassandraFailure } from '#store/cassandra/port.ts'
import { driverFor, dropKeyspace, replicasOf } from '../support/cassandra-keyspace.ts'
import type { CassandraAddress } from '../support/cassandra.ts'
import { runChild, startChild } from '../support/process.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'

const migrations = readMigrations()
const NAMES = migrations.map(({ name }) => name)
/** Enough of them to be stopped in between: each takes a second or so. */
const FEW = migrations.slice(0, 6)
const CHILD = path.join(import.meta.dirname, 'migrations-child.ts')
/** In the tests' time. */
const LEASE_MS = 3000

let place: CassandraAddress
/** One in each data center. */
let drivers: readonly CassandraDriver[] = []
let driver: CassandraDriver
const keyspaces: string[] = []

after(async () => {
  try {
    for (const keyspace of keyspaces) await dropKeyspace(driver, keyspace)
  } finally {
    await Promise.all(drivers.map((one) => one.close()))
  }
})

/** A keyspace that is not made yet, with everything connected; null after marking the test as skipped. */
async function newKeyspace(context: TestContext): Promise<string | null> {
  const shared = await sharedCassandra(context)
  if (shared === null) return null
  if (drivers.length === 0) {
    place = shared.address
    drivers = Object.keys(place.dataCenters).map((name) => driverFor(place, name))
    driver = drivers[0]!
  }
  await Promise.all(drivers.map((one) => one.whenConnected(30_000)))
  keyspaces.push(shared.keyspace)
  return shared.keyspace
}

/** One with everything, for tests that leave it as it is. */
let complete: Promise<string | null> | undefined
function completeKeyspace(context: TestContext): Promise<string | null> {
  complete ??= newKeyspace(context).then(async (keyspace) => {
    if (keyspace !== null) await applyMigrations(optionsFor(keyspace))
    return keyspace
  })
  return complete
}

function optionsFor(keyspace: string, lines: string[] = []): ApplyOptions {
  return {
    driver,
    keyspace,
    migrations,
    dataCenters: replicasOf(place),
    holder: 'the test',
    waitMs: 60_000,
    consensusMs: 30_000,
    leaseMs: LEASE_MS,
    nowMs: Date.now,
    monotonicMs: () => performance.now(),
    report: (line) => void lines.push(line),
  }
}

const childFor = (keyspace: string, dataCenter = 'dc1', count = FEW.length) => ({
  command: process.execPath,
  args: [CHILD, JSON.stringify(place), dataCenter, keyspace, String(LEASE_MS), String(count)],
  name: 'migrations',
})

/** Names and ids of the tables, as each data center knows them. */
async function tablesOf(keyspace: string): Promise<readonly unknown[]> {
  return await Promise.all(
    drivers.map(async (one) => {
      const statement = 'SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = ?'
      const { rows } = await one.execute(statement, [keyspace], { kind: 'read', consistency: 'ONE' })
      return Object.fromEntries(rows.map(({ table_name: name, id }) => [String(name), String(id)]))
    }),
  )
}

function idsFor(keyspace: string, of: readonly Migration[] = FEW): Readonly<Record<string, string>> {
  return Object.fromEntries(
    of.map((migration) => {
      const id = /WITH id = ([0-9a-f-]{36}) AND /.exec(statementFor(migration, keyspace))?.[1]
      return [migration.name.slice(4), id ?? assert.fail(migration.name)]
    }),
  )
}

test('makes keyspace and tables, then finds nothing to do, and says what there is', async (context) => {
  const keyspace = await newKeyspace(context)
  if (keyspace === null) return
  complete = Promise.resolve(keyspace)
  const before = await readMigrationState(optionsFor(keyspace))
  assert.deepEqual([before.replication, before.pending.length], [null, NAMES.length])
  await assert.rejects(requireSchema(optionsFor(keyspace)), { code: 'SCHEMA_PENDING' })

  assert.deepEqual(await applyMigrations(optionsFor(keyspace)), NAMES)
  for (const tables of await tablesOf(keyspace)) assert.deepEqual(tables, idsFor(keyspace, migrations))
  await requireSchema(optionsFor(keyspace))
  const lines: string[] = []
  assert.deepEqual([await applyMigrations(optionsFor(keyspace, lines)), lines], [[], []])

  const state = await readMigrationState(optionsFor(keyspace))
  const replicas = Object.entries(replicasOf(place)).map(([name, count]) => [name, String(count)])
  assert.deepEqual(state.replication, {
    class: 'org.apache.cassandra.locator.NetworkTopologyStrategy',
    ...Object.fromEntries(replicas),
  })
  assert.deepEqual(
    [state.applied.map(({ name }) => name), state.pending, state.unknown, state.finalized, state.lease],
    [NAMES, [], [], null, null],
  )
})

test('three processes in two data centers at once make each table once', async (context) => {
  const keyspace = await newKeyspace(context)
  if (keyspace === null) return
  const ran = await Promise.all(
    ['dc1', 'dc2', 'dc1'].map((name) => runChild({ ...childFor(keyspace, name), timeoutMs: 120_000 })),
  )
  for (const { code, output } of ran) assert.equal(code, 0, output)
  const outputs = ran.map(({ output }) => output).join('')
  for (const { name } of FEW) assert.equal(outputs.split(`applied  ${name}\n`).length, 2, name)
  for (const tables of await tablesOf(keyspace)) assert.deepEqual(tables, idsFor(keyspace))
})

test('a run that was killed at any step is gone on with, and its lease is taken over with its holder told', async (context) => {
  const keyspace = await newKeyspace(context)
  if (keyspace === null) return
  const steps = [/making keyspace/, /applying 001/, /applied {2}003/, /applying 005/]
  for (const [index, step] of steps.entries()) {
    const child = await startChild(childFor(keyspace))
    await child.waitForOutput(step, 60_000)
    // Somewhere in the statement that follows, or in what is noted after it.
    await delay(index * 70)
    child.killGroup()
    await child.exited
  }
  const lines: string[] = []
  await applyMigrations({ ...optionsFor(keyspace, lines), migrations: FEW })
  assert.match(lines.join('\n'), /^taking over from process \d+, which renewed its lease \d+ s ago$/m)
  const { applied, lease } = await readMigrationState(optionsFor(keyspace))
  assert.deepEqual([applied.map(({ name }) => name), lease], [FEW.map(({ name }) => name), null])
  for (const tables of await tablesOf(keyspace)) assert.deepEqual(tables, idsFor(keyspace))
})

test('a process that was paused until another took over stops before its next change', async (context) => {
  const keyspace = await newKeyspace(context)
  if (keyspace === null) return
  const child = await startChild(childFor(keyspace))
  await child.waitForOutput(/applying 003/, 60_000)
  child.signal('SIGSTOP')
  const lines: string[] = []
  await applyMigrations({ ...optionsFor(keyspace, lines), migrations: FEW })
  assert.match(lines.join('\n'), /^taking over from process \d+/m)
  child.signal('SIGCONT')
  const { code } = await child.exited
  assert.notEqual(code, 0)
  assert.match(child.output, /another process took over/)
  for (const tables of await tablesOf(keyspace)) assert.deepEqual(tables, idsFor(keyspace))
})

test('a keyspace of a newer version is refused; for nodes that run only once it is final', async (context) => {
  const keyspace = await completeKeyspace(context)
  if (keyspace === null) return
  const older = { ...optionsFor(keyspace), migrations: migrations.slice(0, -1) }
  const named = { code: 'SCHEMA_NEWER', message: new RegExp(`${keyspace} has ${NAMES.at(-1)}, which this version`) }
  await assert.rejects(applyMigrations(older), named)
  await assert.rejects(finalizeMigrations(older), named)
  await requireSchema(older)
  assert.equal(await finalizeMigrations(optionsFor(keyspace)), migrations.length)
  await assert.rejects(requireSchema(older), named)
  await requireSchema(optionsFor(keyspace))
})

test('a migration that was applied in another form is told, and not applied again', async (context) => {
  const keyspace = await completeKeyspace(context)
  if (keyspace === null) return
  const changed = migrations.map((one) => (one.number === 4 ? { ...one, checksum: 'another' } : one))
  const lines: string[] = []
  assert.deepEqual(await applyMigrations({ ...optionsFor(keyspace, lines), migrations: changed }), [])
  assert.deepEqual(lines, ['004_config_log was applied in another form: nothing is changed'])
})

test('data centers that the cluster does not have, or too many replicas, are refused before anything is made', async (context) => {
  const keyspace = await newKeyspace(context)
  if (keyspace === null) return
  const apply = (dataCenters: ApplyOptions['dataCenters']) => applyMigrations({ ...optionsFor(keyspace), dataCenters })
  const refused = (message: RegExp) => ({ code: 'SETTINGS_INVALID', message })
  await assert.rejects(
    apply({ dc1: 1, dc9: 1 }),
    refused(/^cassandra_data_centers: expected data centers of the cluster \(dc1, dc2.*\), got 'dc9'$/),
  )
  await assert.rejects(apply({ dc1: 99 }), refused(/^cassandra_data_centers: expected at most \d+ replicas in dc1/))
  await assert.rejects(apply(null), refused(/^cassandra_data_centers: expected data centers with their number/))
  assert.equal((await readMigrationState(optionsFor(keyspace))).replication, null)
})

test('while another process has the lease it is waited for only so long', async (context) => {
  const keyspace = await newKeyspace(context)
  if (keyspace === null) return
  const child = await startChild(childFor(keyspace))
  await child.waitForOutput(/applying 003/, 60_000)
  child.signal('SIGSTOP')
  try {
    const waiting = applyMigrations({ ...optionsFor(keyspace), waitMs: 500, leaseMs: 60_000 })
    await assert.rejects(waiting, { code: 'MIGRATIONS_BUSY', message: /^migrations are applied by process \d+, which/ })
    // For those who know that it is dead.
    const lines: string[] = []
    await applyMigrations({ ...optionsFor(keyspace, lines), migrations: FEW, leaseMs: 60_000, takeOver: true })
    assert.match(lines.join('\n'), /^taking over from process \d+, which renewed its lease \d+ s ago$/m)
  } finally {
    child.killGroup()
  }
})

test('schemas that do not come to agree stop it, with the nodes that differ, and a later run goes on', async (context) => {
  const keyspace = await newKeyspace(context)
  if (keyspace === null) return
  // As a node that is down looks from another: the change is done, and the versions stay different.
  const disagreeing: CassandraDriver = {
    ...asObject(driver),
    async execute(statement, values, options) {
      const result = await driver.execute(statement, values, options)
      return statement.includes('config_log') ? { ...result, isSchemaInAgreement: false } : result
    },
    schemaVersions: async () =>
      new Map([
        ['a', ['10.0.0.1', '10.0.0.2']],
        ['b', ['10.0.0.3']],
      ]),
  }
  const few = { ...optionsFor(keyspace), migrations: FEW }
  await assert.rejects(applyMigrations({ ...few, driver: disagreeing, consensusMs: 1000 }), {
    code: 'SCHEMA_DISAGREEMENT',
    message: /are they down\? 10\.0\.0\.3$/,
  })
  const { applied } = await readMigrationState(optionsFor(keyspace))
  assert.deepEqual(
    applied.map(({ name }) => name),
    NAMES.slice(0, 3),
  )
  assert.deepEqual(await applyMigrations(few), NAMES.slice(3, FEW.length))
})

test('a replica that is down is found before anything is changed', async (context) => {
  const keyspace = await newKeyspace(context)
  if (keyspace === null) return
  const down: CassandraDriver = {
    ...asObject(driver),
    async execute(statement, values, options) {
      if (options.consistency === 'ALL') throw new CassandraFailure('unavailable', '2 required but only 1 alive', true)
      return await driver.execute(statement, values, options)
    },
  }
  await assert.rejects(applyMigrations({ ...optionsFor(keyspace), driver: down }), {
    code: 'SCHEMA_DISAGREEMENT',
    message: 'a node is down, so nothing was changed: 2 required but only 1 alive',
  })
  assert.equal((await readMigrationState(optionsFor(keyspace))).applied.length, 0)
})

test('the note of a migration is written once', async (context) => {
  const keyspace = await completeKeyspace(context)
  if (keyspace === null) return
  const port = createDriverPort({ driver, keyspace })
  const [row] = await port.select(MIGRATIONS, { partition: { scope: 'applied' }, limit: 1, consistency: 'SERIAL' })
  const another = { ...row!, applied_by: 'another' }
  const result = await port.insertIfAbsent(MIGRATIONS, another, { serial: 'SERIAL', commit: 'QUORUM' })
  assert.deepEqual(result, { isApplied: false, row })
})

/** Its methods bound to it, to replace some of them. */
function asObject(of: CassandraDriver): CassandraDriver {
  return {
    execute: (...given) => of.execute(...given),
    executeAll: (...given) => of.executeAll(...given),
    whenConnected: (...given) => of.whenConnected(...given),
    schemaVersions: () => of.schemaVersions(),
    close: () => of.close(),
    isConnected: true,
    remoteContacts: 0,
  }
}
