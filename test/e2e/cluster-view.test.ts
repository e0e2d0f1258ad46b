import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { exitCodes } from '#cli/exit-code.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { runChild } from '../support/process.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')

async function meridian(gateway: Gateway, ...words: string[]) {
  return await runChild({
    command: process.execPath,
    args: [path.join(ROOT, 'src', 'main.ts'), ...words, '--admin', gateway.adminUrl],
    cwd: ROOT,
    name: 'meridian',
    timeoutMs: 30_000,
  })
}

test('a gateway with a store of its own is one node in one data center, whose changes are waited for and timed', async () => {
  await using gateway = await startGateway({ database: 'sqlite', workers: 2 })
  const made = await fetch(`${gateway.adminUrl}/services`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 's', host: '127.0.0.1' }),
  })
  const revision = made.headers.get('x-config-revision')!

  const status = await meridian(gateway, 'status')
  assert.match(status.output, /^Datacenter: local\n=+\n/)
  assert.match(
    status.output,
    new RegExp(`^UN +127\\.0\\.0\\.1:${gateway.adminPort} +${revision} +0 +[0-9.]+ req/s +2 `, 'm'),
  )
  const nodes = JSON.parse((await meridian(gateway, 'nodes', '--json')).output)
  assert.partialDeepStrictEqual(nodes, { nodes: [{ data_center: 'local', state: 'ready', is_self: true, lag: 0 }] })
  const served = await meridian(gateway, 'wait', '--revision', revision, '--timeout', '5')
  assert.equal(served.code, 0)
  const late = await meridian(gateway, 'wait', '--revision', String(Number(revision) + 1), '--timeout', '0.2')
  assert.deepEqual([late.code, late.output.split('\n').length], [exitCodes.lagging, 4])

  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  assert.match(page, /^meridian_config_propagation_seconds_count 1$/m)
  assert.match(page, /^meridian_cluster_nodes\{data_center="local",state="ready"\} 1$/m)

  await fetch(`${gateway.statusUrl}/status/ready`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"status":"draining"}',
  })
  assert.match((await meridian(gateway, 'status')).output, /^UD /m)
})
