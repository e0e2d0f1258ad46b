/** All of Cassandra dies: gateways serve on from their copies, say what they can't do, and recover by themselves. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCassandra } from '../support/cassandra.ts'
import { agree, startBed, type ClusterNode } from '../support/cluster.ts'
import { effort } from '../support/effort.ts'
import { History } from '../support/history.ts'
import { requirePart } from '../support/parts.ts'
import { startLoad } from '../support/proxy-load.ts'
import { waitUntil } from '../support/wait.ts'

const OUTAGE_MS = effort(2_000, 40_000)
/** After Cassandra answers clients again; on an idle machine it is a second or two. */
const RECOVERED_MS = 60_000

test('with all of Cassandra dead no request fails, a restart serves, and all recovers by itself', async (t) => {
  if (!(await requirePart(t, 'cassandra'))) return
  await using cassandra = await startCassandra({ topology: 'dc1:1,dc2:1' })
  await using bed = await startBed({ address: cassandra.address, keyspace: 'outage' })
  const one = await bed.start('one', 'dc1')
  const two = await bed.start('two', 'dc2')
  await bed.route(one, 'open')
  await bed.route(one, 'keys')
  await one.change('POST', '/routes/keys/plugins', { name: 'key-auth' })
  await one.change('PUT', '/consumers/alice', {})
  for (const key of ['used', 'unused']) await one.change('POST', '/consumers/alice/key-auth', { key })
  const before = await one.allServe()
  const history = new History()
  const makeKey = (node: ClusterNode) => {
    const id = randomUUID()
    return history.write(node, { action: 'create', kind: 'keyauth_credentials', id }, () =>
      node.admin('POST', '/consumers/alice/key-auth', { id, key: id }),
    )
  }

  const load = startLoad(
    [one, two].flatMap((node) => [
      { node, path: '/open', status: 200 },
      { node, path: '/keys', headers: { apikey: 'used' }, status: 200 },
      { node, path: '/keys', headers: { apikey: 'wrong' }, status: 401 },
    ]),
  )
  await sleep(500)
  await Promise.all(cassandra.nodes.map((node) => node.kill()))

  await t.test('a key that no node had used yet is accepted, an unknown one refused', async () => {
    assert.equal((await two.proxy('/keys', { apikey: 'unused' })).status, 200)
    assert.equal((await two.proxy('/keys', { apikey: 'unknown' })).status, 401)
  })

  await t.test(
    'reads of the Admin API are answered, writes with 503 and a code or a transaction to ask for',
    async () => {
      assert.equal((await one.admin('GET', '/consumers/alice')).status, 200)
      // The first one may have been on its way when the connections broke: of that it can only be said that it is open.
      for (let n = 0; n < 2; n++) {
        const refused = await one.admin('PATCH', '/services/open', { retries: n + 1 })
        assert.equal(refused.status, 503, refused.text)
        assert.ok(refused.json.code === 'STORE_UNAVAILABLE' || refused.headers['x-config-transaction'], refused.text)
      }
      assert.equal((await makeKey(one)).status, 503)
      await waitUntil(
        '/status says that the database does not answer',
        async () => (await one.admin('GET', '/status')).json.database.reachable === false,
      )
      await history.look(one)
      await history.look(two)
    },
  )
  await sleep(OUTAGE_MS)

  await t.test('of the requests that went on meanwhile none failed', async (t) => {
    const { sent, failures } = await load.end()
    t.diagnostic(`${sent} requests, ${failures.length} failed`)
    assert.deepEqual(failures, [])
  })

  await t.test('a gateway that is restarted without Cassandra serves from its copy', async (t) => {
    await two.kill()
    const startedAtMs = performance.now()
    await two.start()
    t.diagnostic(`ready after ${Math.round(performance.now() - startedAtMs)} ms`)
    assert.equal((await two.proxy('/open')).status, 200)
    assert.equal((await two.proxy('/keys', { apikey: 'unused' })).status, 200)
    assert.equal((await two.proxy('/keys', { apikey: 'unknown' })).status, 401)
    assert.equal((await history.look(two)).head, before)
  })

  await t.test('when Cassandra is back a write works on every node, and all agree', async (t) => {
    await Promise.all(cassandra.nodes.map((node) => node.restart()))
    const backAtMs = performance.now()
    for (const node of [one, two]) {
      await waitUntil(
        `${node.name} writes again`,
        async () => (await makeKey(node)).outcome === 'acknowledged',
        RECOVERED_MS,
      )
      t.diagnostic(`${node.name} writes ${Math.round(performance.now() - backAtMs)} ms after Cassandra answers again`)
    }
    await one.allServe()
    await agree([one, two])
    for (const { effect } of history.writes) {
      for (const node of [one, two])
        await history.lookup(
          node,
          effect,
          async () => (await node.proxy('/keys', { apikey: effect.id })).status === 200,
        )
    }
    for (const node of [one, two]) await history.verify(node)
    for (const { effect, outcome } of history.writes) {
      if (outcome !== 'acknowledged') continue
      assert.equal((await two.proxy('/keys', { apikey: effect.id })).status, 200)
    }
  })
})
