/**
 * Brings a keyspace to the schema of this version. One statement at a time, under a lease, each waited for until every node has it;
 * every statement may be repeated, so a run that was killed anywhere is repeated from the first one that is not noted as applied. A
 * paused process that wakes and sends its statement late does no harm for the same reason.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { GatewayError } from '#core/errors.ts'
import { createDriverPort } from './driver-port.ts'
import type { CassandraDriver, StatementOptions, StatementResult } from './driver.ts'
import { acquireLease, leaseHolder, type HeldLease, type LeaseOptions, type OtherHolder } from './lease.ts'
import { patientPort } from './patient-port.ts'
import { statementFor, type Migration } from './migration-files.ts'
import {
  CassandraFailure,
  type CassandraPort,
  type ConditionalOptions,
  type ReadConsistency,
  type Table,
} from './port.ts'

export const MIGRATIONS: Table = {
  name: 'migrations',
  partition: { scope: 'text' },
  clustering: { number: 'int' },
  columns: { name: 'text', checksum: 'text', applied_at_ms: 'bigint', applied_by: 'text' },
}

export interface MigrationOptions {
  readonly driver: CassandraDriver
  readonly keyspace: string
  /** Those that this version knows, in order. */
  readonly migrations: readonly Migration[]
  readonly nowMs: () => number
}

export interface ApplyOptions extends MigrationOptions {
  /** Replicas for each data center of a keyspace that has to be made. */
  readonly dataCenters: Readonly<Record<string, number>> | null
  /** Unlike any other process's. */
  readonly holder: string
  /** How long another process is waited for. */
  readonly waitMs: number
  /** How long all nodes are waited for after each statement. */
  readonly consensusMs: number
  readonly leaseMs?: number
  /** The lease of another process is taken over at once. That process learns of it before its next change, and stops. */
  readonly takeOver?: boolean
  readonly monotonicMs: () => number
  /** A line for the operator. */
  readonly report: (line: string) => void
}

export interface AppliedMigration {
  readonly number: number
  readonly name: string
  readonly checksum: string
  readonly appliedAtMs: number
  readonly appliedBy: string
}

export interface MigrationState {
  /** Null when there is no such keyspace. */
  readonly replication: Readonly<Record<string, string>> | null
  readonly applied: readonly AppliedMigration[]
  /** Known to this version and not applied. */
  readonly pending: readonly Migration[]
  /** Applied, and not known to this version. */
  readonly unknown: readonly AppliedMigration[]
  /** The last one that every node has to know; null before the first `finalize`. */
  readonly finalized: number | null
  readonly lease: OtherHolder | null
}

/** Everything is at stake for all data centers: a majority of all replicas decides. */
const CONDITIONAL: ConditionalOptions = { serial: 'SERIAL', commit: 'QUORUM' }
/** Longer than any statement takes: what another process must see unchanged before it takes over. */
const LEASE_MS = 60_000
/** Cassandra writes schema changes to disk on all nodes before it answers. */
const DDL_TIMEOUT_MS = 30_000
const POLL_MS = 500
/** What a node says that does not know a table or a keyspace. */
const UNKNOWN = /does not exist|unconfigured table/
const ATTEMPTS = 5
const LEASE = 'migrations'
/** What a keyspace has to have before anything can be noted in it. */
const OWN_TABLES = 2
const APPLIED = 'applied'
const FINAL = 'final'

export async function readMigrationState(options: MigrationOptions): Promise<MigrationState> {
  return await explained(async () => {
    const { driver, keyspace, migrations, nowMs } = options
    const replication = await readReplication(driver, keyspace)
    const nothing = { applied: [], pending: migrations, unknown: [], finalized: null, lease: null }
    if (replication === null || !(await hasOwnTables(driver, keyspace))) return { replication, ...nothing }
    const port = patientPort(createDriverPort({ driver, keyspace }))
    const applied = await readApplied(port)
    const isApplied = new Set(applied.map(({ number }) => number))
    const newest = migrations.at(-1)?.number ?? 0
    return {
      replication,
      applied,
      pending: migrations.filter(({ number }) => !isApplied.has(number)),
      unknown: applied.filter(({ number }) => number > newest),
      finalized: await readFinalized(port, 'SERIAL'),
      lease: await leaseHolder({ port, name: LEASE, conditional: CONDITIONAL, nowMs }),
    }
  })
}

/**
 * Rejects unless the keyspace can be worked with: SCHEMA_PENDING when it lacks something, SCHEMA_NEWER when something that this
 * version doesn't know was made final. Until then a newer schema only adds, and does not disturb.
 */
export async function requireSchema(options: MigrationOptions): Promise<void> {
  // A data center that is cut off has to be able to start nodes too; only what looks unfinished here is looked at more closely.
  const near = await explained(() => readSchema(options))
  const { pending, unknown, finalized } = near?.pending.length === 0 ? near : await readMigrationState(options)
  if (pending.length > 0)
    throw new GatewayError('SCHEMA_PENDING', `keyspace ${options.keyspace}: ${namesOf(pending)} not applied`)
  const foreign = unknown.filter(({ number }) => finalized !== null && number <= finalized)
  if (foreign.length > 0) throw newer(options.keyspace, foreign)
}

/** What replicas of this data center know of the schema; null when there is no keyspace. */
async function readSchema({
  driver,
  keyspace,
  migrations,
}: MigrationOptions): Promise<Pick<MigrationState, 'pending' | 'unknown' | 'finalized'> | null> {
  if (!(await hasOwnTables(driver, keyspace))) return null
  const port = createDriverPort({ driver, keyspace })
  const applied = await readApplied(port, 'LOCAL_QUORUM')
  const isApplied = new Set(applied.map(({ number }) => number))
  const newest = migrations.at(-1)?.number ?? 0
  return {
    pending: migrations.filter(({ number }) => !isApplied.has(number)),
    unknown: applied.filter(({ number }) => number > newest),
    finalized: await readFinalized(port, 'LOCAL_QUORUM'),
  }
}

/** Answers the names of what it applied. */
export async function applyMigrations(options: ApplyOptions): Promise<readonly string[]> {
  return await explained(() => new Run(options).run())
}

/** Says that every node is of this version, from now on: an older one doesn't start any more. */
export async function finalizeMigrations(options: MigrationOptions & { readonly holder: string }): Promise<number> {
  const { driver, keyspace, migrations, nowMs, holder } = options
  const { pending, unknown } = await readMigrationState(options)
  if (unknown.length > 0) throw newer(keyspace, unknown)
  if (pending.length > 0)
    throw new GatewayError('SCHEMA_PENDING', `keyspace ${keyspace}: ${namesOf(pending)} not applied, nothing is final`)
  const newest = migrations.at(-1)!
  const { number, name, checksum } = newest
  const row = { scope: FINAL, number, name, checksum, applied_at_ms: nowMs(), applied_by: holder }
  await explained(() => note(createDriverPort({ driver, keyspace }), row))
  return number
}

class Run {
  readonly #options: ApplyOptions
  readonly #port: CassandraPort

  constructor(options: ApplyOptions) {
    this.#options = options
    this.#port = patientPort(createDriverPort(options))
  }

  async run(): Promise<readonly string[]> {
    const { driver, keyspace, migrations } = this.#options
    await this.#ensureKeyspace()
    if (!(await hasOwnTables(driver, keyspace))) {
      for (const migration of migrations.slice(0, OWN_TABLES)) await this.#change(statementFor(migration, keyspace))
    }
    if ((await this.#onceKnown(() => this.#pending())).length === 0) return []
    const lease = await this.#onceKnown(() => this.#acquire())
    try {
      return await this.#apply(lease)
    } finally {
      // A failure of the release must not hide the one before it; the lease ends by itself.
      await lease.release().catch(() => {})
    }
  }

  async #apply(lease: HeldLease): Promise<readonly string[]> {
    const { keyspace, holder, nowMs, report } = this.#options
    const pending = await this.#pending()
    if (pending.length > 0) await this.#requireAllReplicas()
    for (const migration of pending) {
      const { number, name, checksum } = migration
      report(`applying ${name}`)
      await this.#change(statementFor(migration, keyspace), lease)
      const row = { scope: APPLIED, number, name, checksum, applied_at_ms: nowMs(), applied_by: holder }
      await note(this.#port, row)
      report(`applied  ${name}`)
    }
    return pending.map(({ name }) => name)
  }

  async #pending(): Promise<readonly Migration[]> {
    const { keyspace, migrations, report } = this.#options
    const applied = await readApplied(this.#port)
    const newest = migrations.at(-1)?.number ?? 0
    const unknown = applied.filter(({ number }) => number > newest)
    if (unknown.length > 0) throw newer(keyspace, unknown)
    const checksums = new Map(applied.map(({ number, checksum }) => [number, checksum]))
    for (const { number, name, checksum } of migrations) {
      const before = checksums.get(number)
      if (before !== undefined && before !== checksum) report(`${name} was applied in another form: nothing is changed`)
    }
    return migrations.filter(({ number }) => !checksums.has(number))
  }

  async #ensureKeyspace(): Promise<void> {
    const { driver, keyspace, dataCenters, report } = this.#options
    const found = await readReplication(driver, keyspace)
    if (found !== null) {
      this.#compareReplication(found)
      return
    }
    if (dataCenters === null) {
      throw new GatewayError(
        'SETTINGS_INVALID',
        `cassandra_data_centers: expected data centers with their number of replicas, because keyspace ${keyspace} has to be made`,
      )
    }
    const nodes = await countNodes(driver)
    const known = [...nodes.keys()].toSorted().join(', ')
    for (const [name, replicas] of Object.entries(dataCenters)) {
      const count = nodes.get(name)
      if (count === undefined) throw invalid(`expected data centers of the cluster (${known}), got '${name}'`)
      if (count < replicas)
        throw invalid(`expected at most ${count} replicas in ${name}, which has ${count} nodes, got ${replicas}`)
    }
    const parts = Object.entries(dataCenters).map(([name, replicas]) => `'${name}': ${replicas}`)
    report(`making keyspace ${keyspace} with ${parts.join(', ')}`)
    await this.#change(
      `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', ${parts.join(', ')}}`,
    )
  }

  #compareReplication(found: Readonly<Record<string, string>>): void {
    const { keyspace, dataCenters, report } = this.#options
    const { class: strategy = '', ...replicas } = found
    if (!strategy.endsWith('.NetworkTopologyStrategy')) {
      throw new GatewayError(
        'CASSANDRA_REFUSED',
        `cassandra_keyspace: expected a keyspace with NetworkTopologyStrategy, but ${keyspace} has ${strategy}`,
      )
    }
    const form = (map: Readonly<Record<string, unknown>>): string =>
      Object.entries(map)
        .map(([name, count]) => `${name}:${String(count)}`)
        .toSorted()
        .join(',')
    if (dataCenters !== null && form(dataCenters) !== form(replicas))
      report(`keyspace ${keyspace} has ${form(replicas)}; cassandra_data_centers is not applied to it`)
  }

  async #acquire(): Promise<HeldLease> {
    const { holder, nowMs, monotonicMs, report, waitMs, leaseMs = LEASE_MS, takeOver = false } = this.#options
    const options: LeaseOptions = {
      port: this.#port,
      name: LEASE,
      holder,
      leaseMs: takeOver ? 0 : leaseMs,
      conditional: CONDITIONAL,
      monotonicMs,
      nowMs,
      delay,
      observer: {
        waits: (other) =>
          report(
            `waiting for ${other.holder}, which renewed its lease ${age(other)} ago; ` +
              `if it has died its lease is over ${Math.round(leaseMs / 1000)} s from now, or at once with --take-over`,
          ),
        takesOver: (other) => report(`taking over from ${other.holder}, which renewed its lease ${age(other)} ago`),
      },
    }
    const lease = await acquireLease(options, waitMs)
    if (lease !== null) return lease
    const other = await leaseHolder(options)
    throw new GatewayError(
      'MIGRATIONS_BUSY',
      other === null
        ? undefined
        : `migrations are applied by ${other.holder}, which renewed its lease ${age(other)} ago`,
    )
  }

  /** A node that is down is better found before the first change than after it. */
  async #requireAllReplicas(): Promise<void> {
    const { driver, keyspace } = this.#options
    try {
      await driver.execute(`SELECT number FROM ${keyspace}.migrations WHERE scope = ? LIMIT 1`, [APPLIED], {
        kind: 'read',
        consistency: 'ALL',
      })
    } catch (cause) {
      if (!(cause instanceof CassandraFailure) || (cause.reason !== 'unavailable' && cause.reason !== 'timeout'))
        throw cause
      throw new GatewayError('SCHEMA_DISAGREEMENT', `a node is down, so nothing was changed: ${cause.message}`, {
        cause,
      })
    }
  }

  /** What another process made a moment ago one node knows, and the next that is asked may not, for as long as they take to agree. */
  async #onceKnown<T>(act: () => Promise<T>): Promise<T> {
    const { monotonicMs, consensusMs } = this.#options
    const deadline = monotonicMs() + consensusMs
    for (;;) {
      try {
        return await act()
      } catch (error) {
        const isUnknown = error instanceof CassandraFailure && error.reason === 'invalid' && UNKNOWN.test(error.message)
        if (!isUnknown || monotonicMs() >= deadline) throw error
      }
      await delay(POLL_MS)
    }
  }

  /** One statement, and until every node has it. */
  async #change(statement: string, lease?: HeldLease): Promise<void> {
    const { isSchemaInAgreement } = await this.#executeSchema(statement, lease)
    if (isSchemaInAgreement) return
    const { monotonicMs, consensusMs, driver, leaseMs = LEASE_MS } = this.#options
    const deadline = monotonicMs() + consensusMs
    let renewAt = monotonicMs() + leaseMs / 3
    for (;;) {
      const versions = await driver.schemaVersions()
      if (versions.size <= 1) return
      if (monotonicMs() >= deadline) throw disagreement(versions)
      if (monotonicMs() >= renewAt) {
        await this.#requireLease(lease)
        renewAt = monotonicMs() + leaseMs / 3
      }
      await delay(POLL_MS)
    }
  }

  async #executeSchema(statement: string, lease?: HeldLease): Promise<StatementResult> {
    const options: StatementOptions = {
      kind: 'schema',
      consistency: 'ONE',
      isPrepared: false,
      timeoutMs: DDL_TIMEOUT_MS,
    }
    for (let attempt = 1; ; attempt++) {
      await this.#requireLease(lease)
      try {
        return await this.#options.driver.execute(statement, [], options)
      } catch (error) {
        const isFinal = !(error instanceof CassandraFailure) || error.reason === 'invalid' || error.reason === 'refused'
        if (isFinal || attempt === ATTEMPTS) throw error
        await delay(POLL_MS)
      }
    }
  }

  async #requireLease(lease: HeldLease | undefined): Promise<void> {
    if (lease === undefined || (await lease.renew())) return
    throw new GatewayError('MIGRATIONS_BUSY', 'another process took over, because this one was silent for too long')
  }
}

/** The same row again is no failure: an outcome that was open, or two processes at once. */
async function note(port: CassandraPort, row: Readonly<Record<string, string | number>>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await port.insertIfAbsent(MIGRATIONS, row, CONDITIONAL)
      return
    } catch (error) {
      if (!(error instanceof CassandraFailure) || error.isSettled || attempt === ATTEMPTS) throw error
      await delay(POLL_MS)
    }
  }
}

async function readFinalized(port: CassandraPort, consistency: ReadConsistency): Promise<number | null> {
  const finals = await port.select(MIGRATIONS, { partition: { scope: FINAL }, limit: 1000, consistency })
  return finals.length === 0 ? null : Number(finals.at(-1)!['number'])
}

async function readApplied(
  port: CassandraPort,
  consistency: ReadConsistency = 'SERIAL',
): Promise<readonly AppliedMigration[]> {
  const rows = await port.select(MIGRATIONS, { partition: { scope: APPLIED }, limit: 1000, consistency })
  return rows.map((row) => ({
    number: Number(row['number']),
    name: String(row['name']),
    checksum: String(row['checksum']),
    appliedAtMs: Number(row['applied_at_ms']),
    appliedBy: String(row['applied_by']),
  }))
}

const LOCAL_READ: StatementOptions = { kind: 'read', consistency: 'ONE' }

async function readReplication(driver: CassandraDriver, keyspace: string): Promise<Record<string, string> | null> {
  const statement = 'SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?'
  const { rows } = await driver.execute(statement, [keyspace], LOCAL_READ)
  return rows[0] === undefined ? null : (JSON.parse(String(rows[0]['replication'])) as Record<string, string>)
}

async function hasOwnTables(driver: CassandraDriver, keyspace: string): Promise<boolean> {
  const statement = 'SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?'
  const { rows } = await driver.execute(statement, [keyspace], LOCAL_READ)
  const names = rows.map(({ table_name: name }) => name)
  return names.includes('migrations') && names.includes('leases')
}

async function countNodes(driver: CassandraDriver): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const table of ['local', 'peers']) {
    const { rows } = await driver.execute(`SELECT data_center FROM system.${table}`, [], LOCAL_READ)
    for (const { data_center: name } of rows) counts.set(String(name), (counts.get(String(name)) ?? 0) + 1)
  }
  return counts
}

/** What Cassandra refuses or can't do, in the words of the command line. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof CassandraFailure)) throw cause
    throw explainCassandra(cause)
  }
}

export function explainCassandra(cause: CassandraFailure): GatewayError {
  const code = { unreachable: 'CASSANDRA_UNREACHABLE', refused: 'CASSANDRA_REFUSED' } as const
  const named = cause.reason === 'unreachable' || cause.reason === 'refused' ? code[cause.reason] : 'CASSANDRA_FAILED'
  return new GatewayError(named, cause.message, { cause })
}

function newer(keyspace: string, unknown: readonly AppliedMigration[]): GatewayError {
  return new GatewayError(
    'SCHEMA_NEWER',
    `keyspace ${keyspace} has ${namesOf(unknown)}, which this version does not know`,
  )
}

function disagreement(versions: ReadonlyMap<string, readonly string[]>): GatewayError {
  const groups = [...versions.values()].toSorted((a, b) => b.length - a.length)
  const others = groups.slice(1).flat().toSorted().join(', ')
  return new GatewayError(
    'SCHEMA_DISAGREEMENT',
    `the schema of these nodes differs from that of the others after the last statement, are they down? ${others}`,
  )
}

function invalid(problem: string): GatewayError {
  return new GatewayError('SETTINGS_INVALID', `cassandra_data_centers: ${problem}`)
}

function namesOf(migrations: readonly { readonly name: string }[]): string {
  return migrations.map(({ name }) => name).join(', ')
}

function age({ ageMs }: OtherHolder): string {
  return `${Math.max(0, Math.round(ageMs / 1000))} s`
}
