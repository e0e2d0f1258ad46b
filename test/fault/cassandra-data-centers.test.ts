/**
 * Real partitions and the loss of a whole data center, over a line of its own between two data centers: dc1 has two of three
 * replicas, so it can go on without dc2, and dc2 can't without it. Only with `--full`.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCassandra } from '../support/cassandra.ts'
import { agree, startBed, SERVED_MS, type ClusterNode } from '../support/cluster.ts'
import { isFullEffort } from '../support/effort.ts'
import { History, type Write } from '../support/history.ts'
import { openNetwork } from '../support/network.ts'
import { requirePart } from '../support/parts.ts'
import { startLoad } from '../support/proxy-load.ts'
import { waitUntil } from '../support/wait.ts'

const PARTITION_MS = 60_000
/** One way, as between continents. */
const DELAY_MS = 40
/** From the first sight of what was written meanwhile to the last of it: on an idle machine a second is the limit, here others run beside. */
const CONVERGED_MS = 5_000
const HEALED_MS = 120_000
const KIND = 'keyauth_credentials'

const skip = isFullEffort() ? false : 'takes minutes: npm run test:fault'

test('two data centers lose each other, and one loses all of its Cassandra', { skip }, async (t) => {
  if (!(await requirePart(t, 'cassandra'))) return
  const opened = await openNetwork({ sites: ['dc1', 'dc2'], delayMs: DELAY_MS })
  if (opened.outcome === 'not_allowed') return t.skip(opened.reason)
  await using network = opened.network
  await using cassandra = await startCassandra({ topology: 'dc1:2,dc2:1', network })
  await using bed = await startBed({ address: cassandra.address, keyspace: 'partition' })
  const one = await bed.start('one', 'dc1')
  const two = await bed.start('two', 'dc1')
  const three = await bed.start('three', 'dc2')
  const nodes = [one, two, three]
  await bed.route(one, 'open')
  await bed.route(one, 'keys')
  await one.change('POST', '/routes/keys/plugins', { name: 'key-auth' })
  await one.change('PUT', '/consumers/alice', {})
  const { id: revokedId } = await one.change('POST', '/consumers/alice/key-auth', { key: 'revoked' })
  await one.change('POST', '/consumers/alice/key-auth', { key: 'used' })
  await one.allServe()

  const history = new History()
  const makeKey = (node: ClusterNode): Promise<Write> => {
    const id = randomUUID()
    return history.write(node, { action: 'create', kind: KIND, id }, () =>
      node.admin('POST', '/consumers/alice/key-auth', { id, key: id }),
    )
  }
  const load = () =>
    startLoad(
      nodes.flatMap((node) => [
        { node, path: '/open', status: 200 },
        { node, path: '/keys', headers: { apikey: 'used' }, status: 200 },
        { node, path: '/keys', headers: { apikey: 'wrong' }, status: 401 },
      ]),
    )
  const told = () => (['acknowledged', 'refused', 'open'] as const).map((one) => `${history.count(one)} ${one}`).join()
  /** Every key that was told to be there is accepted on every node, and the history holds. */
  const verified = async () => {
    await one.allServe()
    await agree(nodes)
    for (const { effect, outcome } of history.writes) {
      if (outcome !== 'acknowledged' || effect.action !== 'create') continue
      for (const node of nodes)
        assert.ok(
          await history.lookup(
            node,
            effect,
            async () => (await node.proxy('/keys', { apikey: effect.id })).status === 200,
          ),
          `${node.name} ${effect.id}`,
        )
    }
    for (const node of nodes) await history.verify(node)
  }

  await t.test(`a partition of ${PARTITION_MS / 1000} s, and its end`, async (t) => {
    const requests = load()
    await history.look(three)
    await network.cut()
    const untilMs = performance.now() + PARTITION_MS
    await waitUntil('dc1 writes alone', async () => (await makeKey(one)).outcome === 'acknowledged', SERVED_MS)
    const gone = { action: 'delete', kind: KIND, id: revokedId } as const
    const revocation = await history.write(one, gone, () =>
      one.admin('DELETE', `/consumers/alice/key-auth/${revokedId}`),
    )
    assert.equal(revocation.outcome, 'acknowledged')
    while (performance.now() < untilMs) {
      await makeKey(two)
      assert.notEqual((await makeKey(three)).outcome, 'acknowledged', 'a minority must not decide')
      for (const node of nodes) await history.look(node)
      await sleep(200)
    }
    await agree([one, two])
    const { head } = await history.look(one)
    const before = await history.look(three)
    assert.ok(before.head < head, `dc2 stands at ${before.head}, dc1 at ${head}`)

    await network.mend()
    const mendedAtMs = performance.now()
    let seenAtMs = 0
    let largest = before.head
    await waitUntil(
      'dc2 serves what was written meanwhile',
      async () => {
        largest = (await history.look(three)).serving
        if (largest > before.head) seenAtMs ||= performance.now()
        return largest >= head
      },
      HEALED_MS,
    )
    const convergedAtMs = performance.now()
    assert.equal((await three.proxy('/keys', { apikey: 'revoked' })).status, 401)
    const { sent, failures } = await requests.end()
    t.diagnostic(
      `${sent} requests, ${failures.length} failed; writes: ${told()}; ${head - before.head} revisions behind; seen ` +
        `${Math.round(seenAtMs - mendedAtMs)} ms after the line was mended, all served ${Math.round(convergedAtMs - seenAtMs)} ms later`,
    )
    assert.deepEqual(failures, [])
    assert.ok(convergedAtMs - seenAtMs <= CONVERGED_MS)
    await waitUntil('dc2 writes again', async () => (await makeKey(three)).outcome === 'acknowledged', HEALED_MS)
    await verified()
  })

  await t.test('dc2 loses all of its Cassandra, and gets it back', async (t) => {
    const requests = load()
    for (const node of cassandra.of('dc2')) await node.kill()
    await waitUntil('dc1 writes on', async () => (await makeKey(one)).outcome === 'acknowledged', SERVED_MS)
    const refused = await makeKey(three)
    assert.notEqual(refused.outcome, 'acknowledged')
    for (let n = 0; n < 20; n++) await makeKey(two)
    await history.look(three)
    await three.kill()
    const { sent, failures } = await requests.end()
    // What was under way on the gateway that was killed just now.
    assert.deepEqual(
      failures.filter((failure) => !failure.startsWith('three')),
      [],
    )
    await three.start()
    assert.equal((await three.proxy('/keys', { apikey: 'used' })).status, 200)
    assert.equal((await three.proxy('/keys', { apikey: 'revoked' })).status, 401)
    for (const node of cassandra.of('dc2')) await node.restart()
    await waitUntil('dc2 writes again', async () => (await makeKey(three)).outcome === 'acknowledged', HEALED_MS)
    await verified()
    t.diagnostic(`${sent} requests; writes: ${told()}`)
  })

  await t.test(
    'dc1, which has the majority, loses all of its Cassandra: everybody serves, nobody writes',
    async (t) => {
      const requests = load()
      await Promise.all(cassandra.of('dc1').map((node) => node.kill()))
      for (const node of nodes) assert.notEqual((await makeKey(node)).outcome, 'acknowledged')
      await sleep(5_000)
      for (const node of nodes) await history.look(node)
      await Promise.all(cassandra.of('dc1').map((node) => node.restart()))
      for (const node of nodes)
        await waitUntil(`${node.name} writes`, async () => (await makeKey(node)).outcome === 'acknowledged', HEALED_MS)
      const { sent, failures } = await requests.end()
      t.diagnostic(`${sent} requests, ${failures.length} failed; writes: ${told()}`)
      assert.deepEqual(failures, [])
      await verified()
    },
  )
})
