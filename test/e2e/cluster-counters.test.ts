/** Gateways in two data centers that count together, over a real Cassandra. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { runMeridian } from '../support/run-meridian.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

/** Some times what an exchange of counts takes, as this machine may be busy. */
const EXCHANGED_MS = 1500

/** Statuses of so many requests, so many at a time. */
async function ask(gateway: Gateway, url: string, count: number, atOnce = 8): Promise<number[]> {
  const statuses: number[] = []
  let left = count
  const one = async () => {
    while (left-- > 0) {
      const response = await fetch(gateway.proxyUrl + url, { signal: AbortSignal.timeout(20_000) })
      await response.arrayBuffer()
      statuses.push(response.status)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  return statuses
}

const admitted = (statuses: readonly number[]) => statuses.filter((status) => status === 200).length

async function configure(gateway: Gateway, method: string, url: string, body: object): Promise<Response> {
  return await fetch(gateway.adminUrl + url, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  })
}

test('two data centers admit the limit together, a restart forgets nothing, and the figures say that counts are exchanged', async (t) => {
  const cassandra = await sharedCassandra(t)
  if (cassandra === null) return
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-counters-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const keyring = path.join(folder, 'keyring')
  const { port, dataCenters } = cassandra.address
  const settingsOf = (dataCenter: string) => ({
    database: 'cassandra',
    cassandra_contact_points: dataCenters[dataCenter]!.join(','),
    cassandra_port: String(port),
    cassandra_local_datacenter: dataCenter,
    cassandra_keyspace: cassandra.keyspace,
    cassandra_data_centers: 'dc1:1,dc2:1',
    keyring_file: keyring,
    overload_delay: '0',
  })
  await runMeridian(['keyring', 'create', keyring])
  await runMeridian(['migrations', 'up'], { prefix: folder, ...settingsOf('dc1') })
  const start = (dataCenter: string) =>
    startGateway({ workers: 2, settings: settingsOf(dataCenter), prefix: path.join(folder, dataCenter) })

  await using upstream = await startUpstream()
  const started = await Promise.allSettled([start('dc1'), start('dc2')])
  t.after(async () => {
    for (const one of started) if (one.status === 'fulfilled') await one.value.stop()
  })
  const [first, second] = started.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  }) as [Gateway, Gateway]
  const service = await configure(first, 'POST', '/services', { name: 's', url: `http://127.0.0.1:${upstream.port}` })
  assert.equal(service.status, 201, await service.text())
  for (const name of ['quiet', 'busy']) {
    const made = [
      await configure(first, 'POST', '/services/s/routes', { name, paths: [`/${name}`] }),
      await configure(first, 'POST', `/routes/${name}/plugins`, {
        name: 'rate-limiting',
        config: { year: name === 'quiet' ? 40 : 300, policy: 'cluster', limit_by: 'service' },
      }),
    ]
    assert.deepEqual(
      made.map(({ status }) => status),
      [201, 201],
    )
  }
  await waitUntil(
    'the second gateway serves the routes',
    async () => {
      const response = await fetch(`${second.proxyUrl}/busy`, { signal: AbortSignal.timeout(5000) })
      await response.arrayBuffer()
      return response.headers.has('x-ratelimit-limit-year')
    },
    20_000,
  )

  await t.test('what was admitted in one data center is not admitted in the other', async () => {
    assert.equal(admitted(await ask(first, '/quiet', 30)), 30)
    await sleep(EXCHANGED_MS)
    const learning = admitted(await ask(second, '/quiet', 2))
    await sleep(EXCHANGED_MS)
    assert.equal(learning + admitted(await ask(second, '/quiet', 30)), 10)
    await waitUntil('the first one refuses', async () => admitted(await ask(first, '/quiet', 1)) === 0)
  })

  await t.test('both at once admit the limit, and little more', async () => {
    const startedMs = performance.now()
    const momentsMs: number[][] = [[], []]
    const flood = async (gateway: Gateway, moments: number[]) => {
      while (performance.now() - startedMs < 4000) {
        const statuses = await ask(gateway, '/busy', 4, 4)
        for (let i = admitted(statuses); i > 0; i--) moments.push(performance.now())
        // So that the limit is met only after counts were exchanged.
        await sleep(15)
      }
    }
    await Promise.all([flood(first, momentsMs[0]!), flood(second, momentsMs[1]!)])
    const total = momentsMs.flat().length
    const lastSecond = momentsMs.map((moments) => moments.filter((at) => at > moments.at(-1)! - 1000).length)
    t.diagnostic(`limit 300, admitted ${total}, in the last second before the limit ${lastSecond.join(' and ')}`)
    assert.ok(total >= 299, String(total))
    assert.ok(total <= 300 + lastSecond.reduce((a, b) => a + b, 0), String(total))
  })

  await t.test('a node that is started anew reads what it had counted', async () => {
    await first.stop()
    await using again = await start('dc1')
    await ask(again, '/quiet', 1)
    await sleep(EXCHANGED_MS)
    assert.equal(admitted(await ask(again, '/quiet', 10)), 0)
  })

  const page = await (await fetch(`${second.statusUrl}/metrics`)).text()
  assert.match(page, /^meridian_counters_synced 1$/m)
  assert.match(page, /^meridian_counters_sync_dropped_total 0$/m)
})

test('a node without a shared store refuses policy cluster where it is written', async () => {
  await using gateway = await startGateway({ database: 'sqlite' })
  const answer = await configure(gateway, 'POST', '/plugins', {
    name: 'rate-limiting',
    config: { minute: 5, policy: 'cluster' },
  })
  assert.equal(answer.status, 400)
  const { fields } = (await answer.json()) as { fields: { config: { policy: string } } }
  assert.match(fields.config.policy, /policy 'cluster' is not available without a store that nodes share/)
})
