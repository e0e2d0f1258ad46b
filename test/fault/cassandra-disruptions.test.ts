/** Long faults of a cluster of two data centers: nodes that die, restart, sleep or are cut off. Only with `--full`. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlackHole } from '../support/black-hole.ts'
import { startCassandra } from '../support/cassandra.ts'
import { agree, startBed, SERVED_MS, type ClusterNode } from '../support/cluster.ts'
import { isFullEffort } from '../support/effort.ts'
import { History, type Write } from '../support/history.ts'
import { requirePart } from '../support/parts.ts'
import { startLoad } from '../support/proxy-load.ts'
import { waitUntil } from '../support/wait.ts'

const SLEEP_MS = 15_000
const PARTITION_MS = 60_000
/** Of one replica in two, while requests go on. */
const DEAD_MS = 10_000

const skip = isFullEffort() ? false : 'takes minutes: npm run test:fault'

test('a cluster keeps its promises through long faults', { skip }, async (t) => {
  if (!(await requirePart(t, 'cassandra'))) return
  await using cassandra = await startCassandra({ topology: 'dc1:1,dc2:1' })
  const { port, dataCenters } = cassandra.address
  const far = dataCenters['dc2']![0]!
  // Contact points have no port of their own, so the relay has another address.
  const relay = { host: '127.250.0.1', port }
  await using hole = await BlackHole.start(relay, { host: far, port })
  await using bed = await startBed({ address: cassandra.address, keyspace: 'disruptions' })
  const one = await bed.start('one', 'dc1')
  const two = await bed.start('two', 'dc2', {
    cassandra_contact_points: relay.host,
    cassandra_address_map: `${far}=${relay.host}:${port}`,
  })
  const nodes = [one, two]
  await bed.route(one, 'open')
  await bed.route(one, 'keys')
  await one.change('POST', '/routes/keys/plugins', { name: 'key-auth' })
  await one.change('PUT', '/consumers/alice', {})
  const { id: usedId } = await one.change('POST', '/consumers/alice/key-auth', { key: 'used' })
  await one.allServe()

  const history = new History()
  const makeKey = (node: ClusterNode): Promise<Write> => {
    const id = randomUUID()
    return history.write(node, { action: 'create', kind: 'keyauth_credentials', id }, () =>
      node.admin('POST', '/consumers/alice/key-auth', { id, key: id }),
    )
  }
  /** On every node, until the signal; looks at the node before each. */
  const writeOn = (signal: AbortSignal) =>
    Promise.all(
      nodes.map(async (node) => {
        while (!signal.aborted) {
          await history.look(node)
          await makeKey(node)
          await sleep(50)
        }
      }),
    )
  const load = () =>
    startLoad(
      nodes.flatMap((node) => [
        { node, path: '/open', status: 200 },
        { node, path: '/keys', headers: { apikey: 'used' }, status: 200 },
        { node, path: '/keys', headers: { apikey: 'wrong' }, status: 401 },
      ]),
    )
  const recovered = async () => {
    for (const node of nodes)
      await waitUntil(`${node.name} writes`, async () => (await makeKey(node)).outcome === 'acknowledged', SERVED_MS)
    await one.allServe()
    await agree(nodes)
    for (const node of nodes) {
      await history.look(node)
      await history.lookup(node, { kind: 'keyauth_credentials', id: usedId }, async () => {
        return (await node.proxy('/keys', { apikey: 'used' })).status === 200
      })
    }
    for (const node of nodes) await history.verify(node)
  }
  const told = () => (['acknowledged', 'refused', 'open'] as const).map((one) => `${history.count(one)} ${one}`).join()

  await t.test('kill -9 of the one Cassandra node of dc2 during writes, and its return', async (t) => {
    const requests = load()
    const ending = new AbortController()
    const writing = writeOn(ending.signal)
    await sleep(2_000)
    await cassandra.of('dc2')[0]!.kill()
    await sleep(DEAD_MS)
    const refused = await makeKey(one)
    assert.equal(refused.status, 503)
    await cassandra.of('dc2')[0]!.restart()
    ending.abort()
    await writing
    const { sent, failures } = await requests.end()
    t.diagnostic(`${sent} requests, ${failures.length} failed; writes: ${told()}`)
    assert.deepEqual(failures, [])
    await recovered()
  })

  await t.test('a restart of one Cassandra node after the other', async (t) => {
    const requests = load()
    const ending = new AbortController()
    const writing = writeOn(ending.signal)
    for (const node of cassandra.nodes) {
      await node.stop()
      await node.restart()
      await waitUntil('writes again', async () => (await makeKey(one)).outcome === 'acknowledged', SERVED_MS)
    }
    ending.abort()
    await writing
    const { sent, failures } = await requests.end()
    t.diagnostic(`${sent} requests, ${failures.length} failed; writes: ${told()}`)
    assert.deepEqual(failures, [])
    await recovered()
  })

  await t.test('a gateway that sleeps for 15 s and wakes', async () => {
    const { pid } = two.gateway.child
    process.kill(pid, 'SIGSTOP')
    try {
      for (let n = 0; n < 10; n++) assert.equal((await makeKey(one)).outcome, 'acknowledged')
      await sleep(SLEEP_MS)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await recovered()
    for (const { effect, outcome } of history.writes) {
      if (outcome !== 'acknowledged') continue
      assert.equal((await two.proxy('/keys', { apikey: effect.id })).status, 200)
    }
  })

  await t.test('60 s of silence between a gateway and its Cassandra', async (t) => {
    const requests = load()
    hole.block()
    const untilMs = performance.now() + PARTITION_MS
    while (performance.now() < untilMs) {
      await makeKey(one)
      assert.equal((await makeKey(two)).status, 503)
      await history.look(two)
    }
    assert.equal((await two.admin('GET', '/status')).json.database.reachable, false)
    hole.heal()
    const { sent, failures } = await requests.end()
    t.diagnostic(`${sent} requests, ${failures.length} failed; writes: ${told()}`)
    assert.deepEqual(failures, [])
    await recovered()
  })
})
