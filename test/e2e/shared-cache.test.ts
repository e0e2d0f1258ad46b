/** Gateways that share stored responses over a real Redis, and what they do without it. */
import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { test } from 'node:test'
import { BlackHole } from '../support/black-hole.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { startRedis } from '../support/redis.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

interface Answer {
  readonly status: number
  readonly cache: string
  readonly key: string
  readonly body: string
  readonly ms: number
}

/** Over a connection of its own, so that every worker gets some. */
function ask(gateway: Gateway, path: string, method = 'GET'): Promise<Answer> {
  const beganMs = performance.now()
  return new Promise((resolve, reject) => {
    const agent = new Agent({ keepAlive: false })
    request(
      { port: gateway.proxyPort, path, method, agent, headers: { Host: 'shop.test:80' }, timeout: 20_000 },
      (response) => {
        let body = ''
        response.setEncoding('latin1').on('data', (text: string) => (body += text))
        response.on('error', reject).on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            cache: String(response.headers['x-cache-status']),
            key: String(response.headers['x-cache-key']),
            body,
            ms: performance.now() - beganMs,
          }),
        )
      },
    )
      .on('error', reject)
      .end()
  })
}

test('two gateways over one Redis', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using redis = await startRedis(program)
  const port = await freePort()
  await using relay = await BlackHole.start({ host: '127.0.0.1', port }, redis)
  /** What the upstream still waits to answer. */
  const held: (() => void)[] = []
  let isFailing = false
  await using upstream = await startUpstream(({ target, method }, response) => {
    if (isFailing) return void response.writeHead(503).end()
    const answer = () =>
      response
        .writeHead(method === 'POST' ? 204 : 200, {
          'content-type': 'application/json',
          'cache-control': target.startsWith('/stale') ? 'max-age=1, stale-if-error=600' : 'max-age=600',
          'cache-tag': `t${target.slice(1, 2)}`,
        })
        .end(method === 'POST' ? undefined : JSON.stringify({ target }))
    if (target.startsWith('/held')) held.push(answer)
    else answer()
  })
  const askedFor = (path: string) => upstream.received.filter(({ target }) => target === path).length
  const config = { strategy: 'redis', redis: { host: '127.0.0.1', port }, cache_control: true }
  const declarative = {
    _format_version: '3.0',
    services: [
      {
        name: 's',
        host: '127.0.0.1',
        port: upstream.port,
        routes: [{ name: 'all', paths: ['/'], strip_path: false }],
        plugins: [{ name: 'proxy-cache', config }],
      },
    ],
  }
  const settings = { overload_delay: '0', worker_silence_timeout: '30', redis_command_timeout: '500ms' }
  const gateways = await Promise.all([1, 2].map(() => startGateway({ declarative, workers: 2, settings })))
  t.after(() => Promise.all(gateways.map((gateway) => gateway.stop())))
  const [one, two] = gateways as [Gateway, Gateway]

  await t.test('what one stored the other answers with', async () => {
    await waitUntil('both have their connections', async () => {
      const path = `/warm/${Math.random()}`
      await ask(one, path)
      return (await ask(two, path)).cache === 'Hit'
    })
    assert.equal((await ask(one, '/a')).cache, 'Miss')
    await waitUntil('it is in Redis', async () => (await redis.client.keys('*cache:*}')).length > 0)
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(two, '/a')))
    for (const { cache, body } of answers) assert.deepEqual([cache, body], ['Hit', '{"target":"/a"}'])
    assert.equal(askedFor('/a'), 1)
    assert.deepEqual(await redis.keysForGood(), [])
  })

  await t.test('many that ask at once at both reach the upstream once', async () => {
    const asking = Array.from({ length: 100 }, (_, n) => ask(n % 2 === 0 ? one : two, '/held'))
    await waitUntil('the upstream to be asked', () => held.length > 0)
    held.splice(0).forEach((answer) => answer())
    for (const { body } of await Promise.all(asking)) assert.equal(body, '{"target":"/held"}')
    assert.equal(askedFor('/held'), 1)
  })

  await t.test('what changes a resource drops it at both', async () => {
    await ask(one, '/b')
    await waitUntil('the other has it', async () => (await ask(two, '/b')).cache === 'Hit')
    await ask(one, '/b', 'POST')
    assert.equal((await ask(one, '/b?other')).cache, 'Miss')
    const before = askedFor('/b')
    await waitUntil('it is gone', async () => (await ask(two, '/b')).cache === 'Miss' || askedFor('/b') > before)
  })

  await t.test('the Admin API of either shows it, and drops it at both', async () => {
    const admin = async (gateway: Gateway, method: string, path: string, body?: object) =>
      await fetch(gateway.adminUrl + path, {
        method,
        ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
      })
    const { key } = await ask(one, '/shown')
    await waitUntil('it is in Redis', async () => (await admin(two, 'GET', `/proxy-cache/${key}`)).status === 200)
    const shown = (await (await admin(two, 'GET', `/proxy-cache/${key}`)).json()) as { body: string }
    assert.equal(shown.body, '{"target":"/shown"}')
    const drops: [string, string, object?][] = [
      ['DELETE', `/proxy-cache/${key}`],
      ['POST', '/proxy-cache/purge', { tags: ['ts'] }],
      ['POST', '/proxy-cache/purge', { prefixes: ['shop.test/shown'] }],
      ['DELETE', '/proxy-cache'],
    ]
    for (const [method, path, body] of drops) {
      await ask(one, '/shown')
      await waitUntil('both have it', async () => (await ask(two, '/shown')).cache === 'Hit')
      const before = askedFor('/shown')
      assert.equal((await admin(two, method, path, body)).status, 204, path)
      await waitUntil(`${method} ${path} is heard at the other`, async () => {
        await ask(one, '/shown')
        return askedFor('/shown') > before
      })
    }
    assert.equal((await admin(one, 'GET', `/proxy-cache/${'0'.repeat(64)}`)).status, 404)
  })

  await t.test('a stale response stands for one that the upstream fails to give', async () => {
    assert.equal((await ask(one, '/stale')).cache, 'Miss')
    isFailing = true
    await waitUntil('it is no longer fresh', async () => (await ask(one, '/stale')).cache === 'Stale')
    const { status, body } = await ask(one, '/stale')
    assert.deepEqual([status, body], [200, '{"target":"/stale"}'])
    isFailing = false
  })

  await t.test('a Redis that no longer answers holds up nobody, and is told of', async () => {
    relay.block()
    const slowest = Math.max(
      ...(await Promise.all(Array.from({ length: 20 }, (_, n) => ask(one, `/c/${n}`)))).map(({ ms }) => ms),
    )
    assert.ok(slowest < 10_000, `${slowest} ms`)
    assert.equal((await ask(one, '/c/1')).cache, 'Hit')
    await waitUntil('it says so', async () => {
      const status = (await (await fetch(`${one.statusUrl}/status`)).json()) as object
      return JSON.stringify(status).includes(`redis 127.0.0.1:${port}`)
    })
    relay.heal()
    await waitUntil('they share again', async () => {
      const path = `/again/${Math.random()}`
      await ask(one, path)
      return (await ask(two, path)).cache === 'Hit'
    })
  })

  await t.test('a gateway that is killed while it fetches holds up the other for seconds at most', async () => {
    const lost = ask(one, '/held/2').catch((error: Error) => error)
    await waitUntil('the upstream to be asked', () => held.length > 0)
    await one.kill()
    await lost
    const waiting = ask(two, '/held/2')
    await waitUntil('the other asks', () => held.length > 1)
    held.splice(0).forEach((answer) => answer())
    assert.equal((await waiting).body, '{"target":"/held/2"}')
  })
})
