/**
 * Runs the test files: all of test/, src/ and bench/, or those below the paths given. `--full` asks for the long form of tests
 * that have one (support/effort.ts). Type-check, lint and format are tests too (tools.test.ts), so that one summary, at
 * the end, tells everything.
 */
import { spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { startCassandra, type CassandraCluster } from './support/cassandra.ts'
import { SHARED_CLUSTER } from './support/shared-cluster-name.ts'

const ROOT = path.resolve(import.meta.dirname, '..')
/** As many as the smallest machine that the suite is meant for has cores; more only makes deadlines miss. */
const CONCURRENCY = 2
/** For one file. Also ends a file that has finished but left something open, which is then a failure. */
const FILE_TIMEOUT_MS = 600_000
/** The same for long forms: 100,000 simulated schedules take half an hour. */
const FULL_FILE_TIMEOUT_MS = 3_600_000

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { full: { type: 'boolean', default: false } },
})

function testFiles(below: string): string[] {
  if (below.endsWith('.test.ts')) return [below]
  return globSync(`${below}/**/*.test.ts`, { cwd: ROOT }).toSorted()
}

const files = (positionals.length > 0 ? positionals : ['test', 'src', 'bench']).flatMap(testFiles)
if (files.length === 0) {
  process.stderr.write(`no test files below ${positionals.join(', ')}\n`)
  process.exit(1)
}

/** Started once for all files that use it. Without one each of them says why it is skipped. */
async function startShared(): Promise<CassandraCluster | null> {
  const isUsed = files.some((file) => readFileSync(path.resolve(ROOT, file), 'utf8').includes('sharedCassandra('))
  if (!isUsed) return null
  try {
    return await startCassandra({ topology: 'dc1:1,dc2:1' })
  } catch (error) {
    process.stderr.write(`no Cassandra for tests: ${(error as Error).message}\n`)
    return null
  }
}

const cluster = await startShared()
const runner = spawn(
  process.execPath,
  [
    '--test',
    `--test-concurrency=${CONCURRENCY}`,
    `--test-timeout=${options.full ? FULL_FILE_TIMEOUT_MS : FILE_TIMEOUT_MS}`,
    '--test-reporter=spec',
    ...files,
  ],
  {
    cwd: ROOT,
    stdio: 'inherit',
    detached: true,
    env: {
      ...process.env,
      ...(options.full && { MERIDIAN_TEST_EFFORT: 'full' }),
      ...(cluster !== null && { [SHARED_CLUSTER]: JSON.stringify(cluster.address) }),
    },
  },
)
// To the whole group: the runner would wait for files that hang, and they end what they started themselves.
const endRunner = (): void => {
  if (runner.pid !== undefined && runner.exitCode === null && runner.signalCode === null)
    process.kill(-runner.pid, 'SIGTERM')
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, endRunner)
// Where a cluster was started, its own handler of these signals ends the process at once.
process.on('exit', endRunner)
runner.on('exit', (code) => {
  process.exitCode = code ?? 1
  void cluster?.stop()
})
