/** Gateways on a real Cassandra that tell each other over a real Redis that there is a new revision. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { runMeridian } from '../support/run-meridian.ts'
import { startRedis } from '../support/redis.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'
import { waitUntil } from '../support/wait.ts'

const CHANGES = 20

async function revisionOf(gateway: Gateway): Promise<number> {
  const status = await (await fetch(`${gateway.statusUrl}/status`)).json()
  return (status as { meridian: { serving: number } }).meridian.serving
}

/** Writes by the first, and answers after how many ms the second served it. */
async function change(first: Gateway, second: Gateway, name: string): Promise<number> {
  const answer = await fetch(`${first.adminUrl}/consumers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: name }),
  })
  const revision = Number(answer.headers.get('x-config-revision'))
  assert.equal(answer.status, 201, await answer.text())
  const beganMs = performance.now()
  while ((await revisionOf(second)) < revision) {
    if (performance.now() - beganMs > 60_000) throw new Error(`revision ${revision} did not arrive within 60 s`)
  }
  return performance.now() - beganMs
}

test('a node hears of a revision at once over Redis, and with its usual rhythm without', async (t) => {
  const program = await requirePart(t, 'redis')
  const cassandra = await sharedCassandra(t)
  if (program === null || cassandra === null) return
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-wake-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const keyring = path.join(folder, 'keyring')
  const { port, dataCenters } = cassandra.address
  await using redis = await startRedis(program)
  const settings = {
    database: 'cassandra',
    cassandra_contact_points: dataCenters['dc1']!.join(','),
    cassandra_port: String(port),
    cassandra_local_datacenter: 'dc1',
    cassandra_keyspace: cassandra.keyspace,
    cassandra_data_centers: 'dc1:1,dc2:1',
    keyring_file: keyring,
    worker_silence_timeout: '30',
    // Far longer than what is measured, so that only Redis can be the reason.
    db_update_frequency: '20s',
    redis_profiles: `events=redis://127.0.0.1:${redis.port}`,
    redis_wake: 'events',
  }
  await runMeridian(['keyring', 'create', keyring])
  await runMeridian(['migrations', 'up'], { prefix: folder, ...settings })
  const start = (name: string) => startGateway({ settings, prefix: path.join(folder, name) })
  const [first, second] = await Promise.all([start('one'), start('two')])
  t.after(() => Promise.all([first.stop(), second.stop()]))
  await waitUntil('both listen', async () => {
    const told = (await redis.client.pubsub('NUMSUB', 'meridian:revision')) as [string, number]
    return told[1] === 2
  })
  const times: number[] = []
  for (let i = 0; i < CHANGES; i++) times.push(await change(first, second, `heard-${i}`))
  times.sort((a, b) => a - b)
  t.diagnostic(`heard after ${times[CHANGES / 2]!.toFixed(0)} ms (median), ${times.at(-1)!.toFixed(0)} ms (slowest)`)
  assert.ok(times.at(-1)! < 5000, times.join(' '))
  await redis.kill()
  const withoutMs = await change(first, second, 'not-heard')
  t.diagnostic(`without Redis after ${withoutMs.toFixed(0)} ms`)
})
