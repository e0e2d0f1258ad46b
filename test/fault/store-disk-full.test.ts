/** A disk that takes no more: the append fails and says so, nothing is there by half, and it goes on when there is room again. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { openSqliteStore } from '#store/sqlite.ts'
import { definitions, START_MS, testKeyring } from '../contract/store-fixture.ts'
import { startChild } from '../support/process.ts'
import { checkStore, History } from './store-history.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-full-'))
after(() => rmSync(folder, { recursive: true }))

test('appends fail while the disk is full, lose nothing, and succeed again afterwards', async () => {
  const file = path.join(folder, 'config.db')
  const script = path.join(import.meta.dirname, 'store-writer-child.ts')
  // The limit on the size of a file stands for the disk; only the soft one, so that it can be taken back.
  const command = `ulimit -S -f 400; exec "$0" "$@"`
  await using writer = await startChild({
    command: 'bash',
    args: ['-c', command, process.execPath, script, file, '', '0', '1000', 'go on'],
    name: 'store writer',
  })
  const [, outcome] = await writer.waitForOutput(/^failed (.*)$/m)
  assert.match(outcome ?? '', /^(open|STORE_UNAVAILABLE)$/)
  const before = acknowledged(writer.output)
  assert.ok(before > 5)

  execFileSync('prlimit', [`--pid=${writer.pid}`, '--fsize=unlimited:unlimited'])
  await writer.waitForOutput(new RegExp(`^${before + 5}$`, 'm'))
  await writer.stop('SIGKILL')
  const store = await openSqliteStore({ path: file, definitions, keyring: testKeyring(), nowMs: () => START_MS })
  assert.ok((await checkStore(store, new History())) >= acknowledged(writer.output))
  await store.close()
})

function acknowledged(output: string): number {
  return Math.max(...output.split('\n').map((line) => Number(line) || 0))
}
