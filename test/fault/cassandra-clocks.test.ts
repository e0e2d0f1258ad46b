/** Gateways whose clocks are wrong by a minute each way, in two data centers: changes arrive, and nothing is lost or undone. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { agree, startBed, SERVED_MS, type ClusterNode } from '../support/cluster.ts'
import { effort } from '../support/effort.ts'
import { History } from '../support/history.ts'
import { requirePart } from '../support/parts.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'
import { waitUntil } from '../support/wait.ts'

const CHANGES = effort(4, 20)
const SKEW_S = 60
const KIND = 'keyauth_credentials'

test(`gateways with clocks ${SKEW_S} s ahead and behind agree on one configuration`, async (t) => {
  const library = await requirePart(t, 'libfaketime')
  const place = library && (await sharedCassandra(t))
  if (!library || !place) return
  await using bed = await startBed(place)
  // Its monotonic clock goes on as it is: only what the time of day says is wrong.
  const skewed = (offset: string) => ({
    wrapper: ['env', `LD_PRELOAD=${library}`, `FAKETIME=${offset}s`, 'FAKETIME_DONT_FAKE_MONOTONIC=1'],
  })
  const ahead = await bed.start('ahead', 'dc1', {}, skewed(`+${SKEW_S}`))
  const behind = await bed.start('behind', 'dc2', {}, skewed(`-${SKEW_S}`))
  const right = await bed.start('right', 'dc2')
  const nodes = [ahead, behind, right]

  await t.test('their clocks are wrong', async () => {
    for (const [node, seconds] of [
      [ahead, SKEW_S],
      [behind, -SKEW_S],
      [right, 0],
    ] as const) {
      const told = Date.parse(String((await node.admin('GET', '/')).headers['date']))
      assert.ok(
        Math.abs(told - Date.now() - seconds * 1000) < 15_000,
        `${node.name} says ${new Date(told).toISOString()}`,
      )
    }
  })

  await bed.route(ahead, 'keys')
  await ahead.change('POST', '/routes/keys/plugins', { name: 'key-auth' })
  await ahead.change('PUT', '/consumers/alice', {})
  await ahead.allServe()
  const history = new History()
  const accepts = async (node: ClusterNode, key: string) => (await node.proxy('/keys', { apikey: key })).status === 200
  const make = async (node: ClusterNode, id: string) => {
    const effect = { action: 'create', kind: KIND, id } as const
    const body = { id, key: id }
    const write = await history.write(node, effect, () => node.admin('POST', '/consumers/alice/key-auth', body))
    assert.equal(write.outcome, 'acknowledged')
  }
  const revoke = async (node: ClusterNode, id: string) => {
    const effect = { action: 'delete', kind: KIND, id } as const
    const write = await history.write(node, effect, () => node.admin('DELETE', `/consumers/alice/key-auth/${id}`))
    assert.equal(write.outcome, 'acknowledged')
  }

  for (const [maker, remover] of [
    [ahead, behind],
    [behind, ahead],
  ] as const) {
    await t.test(`${CHANGES} keys made by '${maker.name}' and revoked by '${remover.name}'`, async () => {
      for (let n = 0; n < CHANGES; n++) {
        const id = randomUUID()
        await make(maker, id)
        for (const node of nodes) await waitUntil('the key is accepted', async () => await accepts(node, id), SERVED_MS)
        await revoke(remover, id)
        for (const node of nodes)
          await waitUntil('the key is refused', async () => !(await accepts(node, id)), SERVED_MS)
        for (const node of nodes) await history.lookup(node, { kind: KIND, id }, () => accepts(node, id))
      }
    })
  }

  await t.test('updates from both sides at once are all kept, in the order of the log', async () => {
    for (let n = 1; n <= CHANGES; n++) {
      const fields = [{ retries: n }, { read_timeout: 1000 + n }, { connect_timeout: 1000 + n }]
      const replies = await Promise.all(
        nodes.map((node, index) => node.admin('PATCH', '/services/keys', fields[index])),
      )
      assert.deepEqual(
        replies.map(({ status }) => status),
        [200, 200, 200],
      )
      await agree(nodes)
      for (const node of nodes) {
        const { json } = await node.admin('GET', '/services/keys')
        assert.deepEqual([json.retries, json.read_timeout, json.connect_timeout], [n, 1000 + n, 1000 + n], node.name)
      }
    }
  })

  await t.test('each takes the others for up, and a node that starts holds the same', async () => {
    const isUp = async (node: ClusterNode) => {
      const { json } = await node.admin('GET', '/cluster/nodes')
      const all = json.data_centers.flatMap((one: { nodes: { state: string }[] }) => one.nodes) as { state: string }[]
      return all.length === nodes.length && all.every(({ state }) => state === 'ready')
    }
    for (const node of nodes) await waitUntil(`${node.name} sees all`, () => isUp(node), SERVED_MS)
    const fresh = await bed.start('fresh', 'dc2', {}, skewed(`+${SKEW_S}`))
    await agree([...nodes, fresh])
    for (const node of [...nodes, fresh]) await history.look(node)
    for (const node of [...nodes, fresh]) await history.verify(node)
  })
})
