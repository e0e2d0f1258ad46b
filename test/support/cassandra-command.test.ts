import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { readSettings } from '#model/settings/read.ts'
import { requirePart } from './parts.ts'
import { runChild } from './process.ts'

const LIMIT_MS = 200_000

function commandIn(folder: string) {
  return async (action: string, ...args: string[]) => {
    const script = path.join(import.meta.dirname, 'cassandra-command.ts')
    return await runChild({
      command: process.execPath,
      args: [script, action, '--folder', folder, ...args],
      timeoutMs: LIMIT_MS,
    })
  }
}

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-cassandra-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

test('a cluster for developers stays, is told as settings, starts again what was killed, and ends', async (t) => {
  if ((await requirePart(t, 'cassandra')) === null) return
  const folder = newFolder(t)
  const run = commandIn(folder)
  t.after(() => run('down'))

  const up = await run('up', '--topology', 'dc1:1')
  assert.equal(up.code, 0, up.output)
  const [, address = '', pid = ''] = /^dc1 {2}([\d.]+):\d+ {2}process (\d+)$/m.exec(up.output) ?? []
  const text = up.output.slice(up.output.indexOf('# meridian.conf'))
  const read = readSettings({
    file: { path: 'meridian.conf', text },
    environment: {},
    overrides: {},
    workingFolder: folder,
    cores: 1,
  })
  assert.ok(read.ok, read.ok ? '' : read.problems.join('\n'))
  assert.partialDeepStrictEqual(read.settings, {
    database: 'cassandra',
    cassandra_contact_points: [address],
    cassandra_local_datacenter: 'dc1',
    cassandra_data_centers: { dc1: 1 },
  })

  const status = await run('nodetool', 'status')
  assert.match(status.output, new RegExp(`^UN +${address} `, 'm'))

  process.kill(Number(pid), 'SIGKILL')
  const again = await run('up')
  assert.equal(again.code, 0, again.output)
  assert.match(again.output, new RegExp(`^dc1  ${address}:\\d+  process (?!${pid}$)\\d+$`, 'm'))

  const other = await run('up', '--topology', 'dc1:2')
  assert.match(other.output, /there is a cluster dc1:1: first npm run cassandra:down/)
  assert.equal(other.code, 1)

  const down = await run('down')
  assert.equal(down.code, 0, down.output)
  assert.deepEqual(readdirSync(folder), [])
})

test('without a cluster nodetool says how to start one, and down that there is none', async (t) => {
  const run = commandIn(newFolder(t))
  const nodetool = await run('nodetool', 'status')
  assert.deepEqual([nodetool.code, nodetool.output], [1, 'no node runs: npm run cassandra:up\n'])
  const down = await run('down')
  assert.deepEqual([down.code, down.output], [0, 'there is no cluster\n'])
})
