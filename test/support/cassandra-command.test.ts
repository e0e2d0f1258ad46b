import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { requirePart } from './parts.ts'
import { runChild } from './process.ts'
import { waitUntil } from './wait.ts'

const run = (...words: string[]) =>
  runChild({
    command: process.execPath,
    args: [path.join(import.meta.dirname, 'cassandra-command.ts'), ...words],
    timeoutMs: 240_000,
  })

test('a cluster outlives the command that starts it, and another command ends it', async (t) => {
  if ((await requirePart(t, 'cassandra')) === null) return
  const parent = mkdtempSync(path.join(tmpdir(), 'meridian-up-'))
  const folder = path.join(parent, 'cluster')
  try {
    const up = await run('up', '--topology', 'dc1:1', '--folder', folder)
    assert.equal(up.code, 0, up.output)
    assert.match(up.output, /cassandra_contact_points = 127\.[\d.]+\n.*cassandra_port = \d+\n.*datacenter = dc1/)
    const [node] = JSON.parse(readFileSync(path.join(folder, 'nodes.json'), 'utf8')) as [{ readonly pid: number }]
    assert.match((await run('up', '--folder', folder)).output, /^It runs already/)
    const status = await run('nodetool', '--folder', folder, 'status')
    assert.match(status.output, /Datacenter: dc1[^]*UN {2}127/)
    const down = await run('down', '--folder', folder)
    assert.deepEqual([down.code, down.output], [0, '1 nodes ended\n'])
    await waitUntil('the node is gone', async () => !existsSync(`/proc/${node.pid}`))
    assert.equal((await run('nodetool', '--folder', folder, 'status')).code, 1)
  } finally {
    await run('down', '--folder', folder)
    rmSync(parent, { recursive: true })
  }
})

test('a wrong option starts nothing', async () => {
  const wrong = await run('up', '--heap', '16', '--folder', path.join(tmpdir(), 'meridian-none'))
  assert.deepEqual([wrong.code, wrong.output], [1, '--heap: expected MiB from 128 on, got 16\n'])
})
