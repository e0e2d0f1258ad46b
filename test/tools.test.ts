import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { test } from 'node:test'

const ROOT = path.resolve(import.meta.dirname, '..')

function runTool(name: string, ...args: string[]): void {
  const command = path.join(ROOT, 'node_modules', '.bin', name)
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' })
  assert.ifError(error)
  assert.equal(status, 0, `${name} ${args.join(' ')}\n${stdout}${stderr}`)
}

test('the sources type-check', () => runTool('tsc', '-p', '.'))

test('the linter finds nothing', () => runTool('oxlint', '--type-aware'))

test('the sources are formatted', () => runTool('oxfmt', '--check'))
