/** Gateways of two data centers are one cluster: what is done at one holds at the others, and everybody can see that it does. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { agree, startBed, SERVED_MS } from '../support/cluster.ts'
import { requirePart } from '../support/parts.ts'
import { runChild } from '../support/process.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'
import { waitUntil } from '../support/wait.ts'

const RECONCILER_MS = 120_000
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

test('two data centers', async (t) => {
  const place = await sharedCassandra(t)
  if (!place) return
  await using bed = await startBed(place)
  const one = await bed.start('one', 'dc1')
  const two = await bed.start('two', 'dc2')

  await t.test('a change made in one data center is proxied in the other when the wait for it ends', async () => {
    await bed.route(one, 'first')
    await one.allServe()
    assert.equal((await two.proxy('/first')).status, 200)
  })

  await t.test('a deleted credential stops working on the node of the other data center', async () => {
    await one.change('POST', '/routes/first/plugins', { name: 'key-auth' })
    await one.change('PUT', '/consumers/alice', {})
    const { id } = await one.change('POST', '/consumers/alice/key-auth', { key: 'alices' })
    await one.allServe()
    const asAlice = async () => (await two.proxy('/first', { apikey: 'alices' })).status
    assert.equal(await asAlice(), 200)
    await one.change('DELETE', `/consumers/alice/key-auth/${id}`)
    await one.allServe()
    assert.equal(await asAlice(), 401)
  })

  await t.test('of two writes with one If-Match, one in each data center, the second is refused', async () => {
    const revision = await one.allServe()
    const write = (node: typeof one, retries: number) =>
      node.admin('PATCH', '/services/first', { retries }, { headers: { 'if-match': `"${revision}"` } })
    assert.equal((await write(one, 1)).status, 200)
    assert.equal((await write(two, 2)).status, 412)
    assert.equal((await one.admin('GET', '/services/first')).json.retries, 1)
  })

  await t.test('a stored response is dropped in both data centers, and before the wait for it ends', async () => {
    await bed.route(one, 'cached')
    const config = { strategy: 'memory', content_type: ['*/*'], response_code: [200] }
    await one.change('POST', '/routes/cached/plugins', { name: 'proxy-cache', config })
    await one.allServe()
    const status = async (node: typeof one) => (await node.proxy('/cached')).headers['x-cache-status']
    for (const node of [one, two]) {
      assert.equal(await status(node), 'Miss')
      assert.equal(await status(node), 'Hit')
    }
    await two.change('POST', '/proxy-cache/purge', { tags: ['other'], prefixes: ['/elsewhere'] })
    await two.allServe()
    for (const node of [one, two]) assert.equal(await status(node), 'Hit')
    await two.change('POST', '/proxy-cache/purge', { prefixes: ['127.0.0.1/cached'] })
    assert.equal(await status(two), 'Miss')
    await two.allServe()
    assert.equal(await status(one), 'Miss')
    assert.equal(await status(one), 'Hit')
    const command = await one.command('cache', 'purge', '--everything')
    assert.equal(command.code, 0, command.output)
    await one.allServe()
    for (const node of [one, two]) assert.equal(await status(node), 'Miss')
  })

  await t.test('both nodes have the same hash at the same revision', async () => {
    await agree([one, two])
  })

  await t.test('status lists the nodes by data center, wait tells who serves a revision', async () => {
    const revision = await one.allServe()
    const status = await two.command('status')
    assert.match(status.output, /^Datacenter: dc1\n=+\n[^]*^Datacenter: dc2\n=+\n/m)
    assert.equal(status.output.match(/^UN /gm)?.length, 2, status.output)
    const wait = await one.command('wait', '--revision', String(revision))
    assert.equal(wait.code, 0, wait.output)
    assert.match(wait.output, new RegExp(`^Every node that is up \\(2\\) serves revision ${revision}\\.$`, 'm'))
    const late = await one.command('wait', '--revision', String(revision + 1), '--timeout', '0.2')
    assert.notEqual(late.code, 0)
    assert.match(late.output, /^Of 2 nodes 2 can not be seen to serve/m)
  })

  await t.test('a third node, which starts without a copy, loads the projection and serves', async () => {
    const revision = await one.allServe()
    await waitUntil(
      'the projection of dc2 holds the revision',
      async () => {
        const page = await (await fetch(`${two.gateway.statusUrl}/metrics`)).text()
        return Number(/^meridian_config_projected_revision (\d+)$/m.exec(page)?.[1] ?? 0) >= revision
      },
      SERVED_MS,
    )
    const third = await bed.start('third', 'dc2')
    assert.equal((await third.proxy('/first')).status, 401)
    await one.change('POST', '/consumers/alice/key-auth', { key: 'another' })
    await one.allServe()
    assert.equal((await third.proxy('/first', { apikey: 'another' })).status, 200)
    await agree([one, two, third])
  })

  await t.test('100 entities synced by the engine of decK against dc1 are proxied in dc2', async (t) => {
    const program = await requirePart(t, 'reconciler')
    if (!program) return
    const file = path.join(one.prefix, 'wanted.json')
    const wanted = {
      _format_version: '3.0',
      services: numbers(40).map((n) => ({
        name: `service-${n}`,
        host: '127.0.0.1',
        port: bed.upstream.port,
        routes: [{ name: `route-${n}`, paths: [`/path-${n}`] }],
      })),
      consumers: numbers(10).map((n) => ({ username: `consumer-${n}`, keyauth_credentials: [{ key: `key-of-${n}` }] })),
    }
    writeFileSync(file, JSON.stringify(wanted))
    const sync = async () => {
      const args = [one.adminUrl, 'sync', file]
      const { code, output } = await runChild({ command: program.command, args, timeoutMs: RECONCILER_MS })
      assert.equal(code, 0, output)
      return JSON.parse(output) as { readonly created: number; readonly changes: readonly string[] }
    }
    assert.equal((await sync()).created, 100)
    await one.allServe()
    const answers = await Promise.all(numbers(40).map((n) => two.proxy(`/path-${n}`)))
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 200),
    )
    assert.deepEqual((await sync()).changes, [])
    await agree(bed.nodes)
  })
})
