/** `meridian migrations ...`: the schema of the Cassandra keyspace, seen and brought forward. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { GatewayError } from '#core/errors.ts'
import type { ReadSettings } from '#model/settings/read.ts'
import { parseDuration } from '#model/settings/scalars.ts'
import type { CassandraDriver } from '#store/cassandra/driver.ts'
import { readMigrations } from '#store/cassandra/migration-files.ts'
import {
  applyMigrations,
  explainCassandra,
  finalizeMigrations,
  readMigrationState,
  type MigrationOptions,
  type MigrationState,
} from '#store/cassandra/migrations.ts'
import { CassandraFailure } from '#store/cassandra/port.ts'
import {
  jsonOption,
  printJson,
  printTable,
  settingsOptions,
  textOption,
  type CliContext,
  type Command,
  type OptionValues,
} from './command.ts'
import { exitCodes } from './exit-code.ts'
import { loadSettings } from './load-settings.ts'

const DEFAULT_WAIT = '5m'
/** Time for all contact points to be tried more than once. */
const CONNECT_MS = 15_000

async function up(context: CliContext, options: OptionValues): Promise<number> {
  const wait = textOption(options, 'wait') ?? DEFAULT_WAIT
  const waitMs = parseDuration(wait)
  if (waitMs === null) throw new GatewayError('USAGE', `--wait: expected a time such as 30s or 5m, got '${wait}'`)
  return await withCluster(context, options, async (cluster, { settings }) => {
    const applied = await applyMigrations({
      ...cluster,
      dataCenters: settings.cassandra_data_centers,
      holder: holderName(),
      waitMs,
      takeOver: options['take-over'] === true,
      consensusMs: settings.cassandra_schema_consensus_timeout,
      monotonicMs: () => performance.now(),
      report: (line) => void context.stdout.write(`${line}\n`),
    })
    const count = applied.length === 1 ? '1 migration' : `${applied.length} migrations`
    context.stdout.write(
      applied.length === 0
        ? `keyspace ${cluster.keyspace} is up to date\n`
        : `${count} applied to ${cluster.keyspace}\n`,
    )
    return exitCodes.done
  })
}

const upDefinition = {
  about:
    'Makes the keyspace and its tables, or what of them this version adds. Safe from several nodes at once, and after a kill.',
  positionals: [],
  options: {
    ...settingsOptions,
    wait: {
      type: 'string',
      value: 'TIME',
      about: `How long another process is waited for, ${DEFAULT_WAIT} by default.`,
    },
    'take-over': {
      type: 'boolean',
      about: 'Does not wait for a process that holds the lease: for one that is known to be dead.',
    },
  },
  run: up,
} as const

export const migrationsUp: Command = { ...upDefinition, name: 'migrations up' }
/** Kong's name for the first time. */
export const migrationsBootstrap: Command = {
  ...upDefinition,
  name: 'migrations bootstrap',
  about: 'The same as `migrations up`.',
}

export const migrationsList: Command = {
  name: 'migrations list',
  about: 'Lists the migrations: those that are applied, with when and by whom, and those that are not.',
  positionals: [],
  options: { ...settingsOptions, ...jsonOption },
  async run(context, options) {
    return await withCluster(context, options, async (cluster) => {
      const state = await readMigrationState(cluster)
      const rows = rowsOf(state)
      if (options['json'] === true) printJson(context, rows)
      else
        printTable(context, [
          ['NUMBER', 'NAME', 'STATE', 'AT', 'BY'],
          ...rows.map(({ number, name, state: word, at, by }) => [String(number), name, word, at ?? '', by ?? '']),
        ])
      return exitCodes.done
    })
  },
}

export const migrationsStatus: Command = {
  name: 'migrations status',
  about: `Says in one line whether the keyspace is what this version needs; exits with ${exitCodes.pending} when it lacks something, with ${exitCodes.refused} when it is newer.`,
  positionals: [],
  options: { ...settingsOptions, ...jsonOption },
  async run(context, options) {
    return await withCluster(context, options, async (cluster) => {
      const state = await readMigrationState(cluster)
      const { code, text } = verdictOf(state, cluster.keyspace)
      if (options['json'] === true) {
        const { applied, pending, unknown, finalized, lease, replication } = state
        const names = (all: readonly { readonly name: string }[]) => all.map(({ name }) => name)
        printJson(context, {
          keyspace: cluster.keyspace,
          replication,
          applied: applied.length,
          pending: names(pending),
          unknown: names(unknown),
          finalized,
          lease,
        })
      } else context.stdout.write(`${text}\n`)
      return code
    })
  },
}

export const migrationsFinalize: Command = {
  name: 'migrations finalize',
  about:
    'Says that all nodes are of this version now: from then on a node of an older version does not start on the keyspace.',
  positionals: [],
  options: settingsOptions,
  async run(context, options) {
    return await withCluster(context, options, async (cluster) => {
      const number = await finalizeMigrations({ ...cluster, holder: holderName() })
      context.stdout.write(`keyspace ${cluster.keyspace} is final up to migration ${number}\n`)
      return exitCodes.done
    })
  },
}

async function withCluster(
  context: CliContext,
  options: OptionValues,
  work: (cluster: MigrationOptions, read: ReadSettings) => Promise<number>,
): Promise<number> {
  const read = loadSettings(context, options)
  const { database, cassandra_keyspace: keyspace } = read.settings
  if (database !== 'cassandra')
    throw new GatewayError(
      'SETTINGS_INVALID',
      `database: expected cassandra, which alone has migrations, got '${database}'`,
    )
  const driver = await context.openCassandra(read.settings)
  try {
    await connected(driver)
    return await work({ driver, keyspace, migrations: readMigrations(), nowMs: Date.now }, read)
  } finally {
    await driver.close()
  }
}

async function connected(driver: CassandraDriver): Promise<void> {
  try {
    await driver.whenConnected(CONNECT_MS)
  } catch (error) {
    throw error instanceof CassandraFailure ? explainCassandra(error) : error
  }
}

/** Who applies migrations, for the others; unlike any other process. */
function holderName(): string {
  return `${hostname()} process ${process.pid} (${randomUUID().slice(0, 8)})`
}

interface MigrationRow {
  readonly number: number
  readonly name: string
  readonly state: 'applied' | 'pending' | 'of a newer version'
  readonly at?: string
  readonly by?: string
}

function rowsOf({ applied, pending, unknown }: MigrationState): MigrationRow[] {
  const rows = [
    ...applied.map(({ number, name, appliedAtMs, appliedBy }) => ({
      number,
      name,
      state: unknown.some((one) => one.number === number) ? ('of a newer version' as const) : ('applied' as const),
      at: new Date(appliedAtMs).toISOString(),
      by: appliedBy,
    })),
    ...pending.map(({ number, name }) => ({ number, name, state: 'pending' as const })),
  ]
  return rows.toSorted((a, b) => a.number - b.number)
}

function verdictOf(state: MigrationState, keyspace: string): { readonly code: number; readonly text: string } {
  const { replication, applied, pending, unknown, finalized, lease } = state
  const busy = lease === null ? '' : `; ${lease.holder} applies migrations now`
  if (replication === null)
    return { code: exitCodes.pending, text: `keyspace ${keyspace} does not exist: run meridian migrations up` }
  if (unknown.length > 0)
    return { code: exitCodes.refused, text: `keyspace ${keyspace} is of a newer version: ${namesOf(unknown)}${busy}` }
  if (pending.length > 0)
    return {
      code: exitCodes.pending,
      text: `keyspace ${keyspace} lacks ${namesOf(pending)}: run meridian migrations up${busy}`,
    }
  const final = finalized === null ? '' : `, final up to ${finalized}`
  return {
    code: exitCodes.done,
    text: `keyspace ${keyspace} is up to date: ${applied.length} migrations${final}${busy}`,
  }
}

function namesOf(migrations: readonly { readonly name: string }[]): string {
  return migrations.map(({ name }) => name).join(', ')
}
