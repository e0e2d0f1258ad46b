/**
 * Runs the test files: all of test/, src/ and bench/, or those below the paths given. `--full` asks for the long form of tests
 * that have one (support/effort.ts). Type-check, lint and format are tests too (tools.test.ts), so that one summary, at
 * the end, tells everything.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

const ROOT = path.resolve(import.meta.dirname, '..')
/** As many as the smallest machine that the suite is meant for has cores; more only makes deadlines miss. */
const CONCURRENCY = 2
/** For one file. Also ends a file that has finished but left something open, which is then a failure. */
const FILE_TIMEOUT_MS = 240_000

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

const runner = spawn(
  process.execPath,
  [
    '--test',
    `--test-concurrency=${CONCURRENCY}`,
    `--test-timeout=${FILE_TIMEOUT_MS}`,
    '--test-reporter=spec',
    ...files,
  ],
  {
    cwd: ROOT,
    stdio: 'inherit',
    detached: true,
    env: { ...process.env, ...(options.full && { MERIDIAN_TEST_EFFORT: 'full' }) },
  },
)
// To the whole group: the runner would wait for files that hang, and they end what they started themselves.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => runner.pid !== undefined && process.kill(-runner.pid, 'SIGTERM'))
}
runner.on('exit', (code) => {
  process.exitCode = code ?? 1
})
