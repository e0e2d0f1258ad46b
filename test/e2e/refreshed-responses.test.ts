/** Stale responses that are served while a request without a client fetches them anew: memory and a real Redis, both versions of HTTP. */
import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { connect } from 'node:http2'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { startRedis } from '../support/redis.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

interface Answer {
  readonly status: number
  readonly cache: string
  readonly body: string
}

/** Requests of clients, by their path. */
const asked = new Map<string, number>()

/** Over a connection of its own, which is gone with the answer, so that every worker gets some. */
function ask({ proxyPort }: Gateway, target: string): Promise<Answer> {
  asked.set(target, (asked.get(target) ?? 0) + 1)
  return new Promise((resolve, reject) => {
    const headers = { Host: 'shop.test:80' }
    const agent = new Agent({ keepAlive: false })
    request({ port: proxyPort, path: target, agent, headers, timeout: 20_000 }, (response) => {
      let body = ''
      response.setEncoding('latin1').on('data', (text: string) => (body += text))
      response.on('error', reject).on('end', () => {
        resolve({ status: response.statusCode ?? 0, cache: String(response.headers['x-cache-status']), body })
      })
    })
      .on('error', reject)
      .end()
  })
}

function askHttp2({ proxyUrl }: Gateway, target: string): Promise<Answer> {
  asked.set(target, (asked.get(target) ?? 0) + 1)
  return new Promise((resolve, reject) => {
    const session = connect(proxyUrl).on('error', reject)
    const stream = session.request({ ':path': target, ':authority': 'shop.test:80' })
    let answer: Answer = { status: 0, cache: '', body: '' }
    stream.on('response', (headers) => {
      answer = { ...answer, status: Number(headers[':status']), cache: String(headers['x-cache-status']) }
    })
    stream.setEncoding('latin1').on('data', (text: string) => (answer = { ...answer, body: answer.body + text }))
    stream.on('error', reject).on('end', () => {
      session.close()
      resolve(answer)
    })
  })
}

async function countOf(gateway: Gateway, event: string): Promise<number> {
  const text = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  const line = new RegExp(`^meridian_plugin_events_total\\{plugin="proxy-cache",event="${event}"\\} (\\d+)`, 'm')
  return Number(line.exec(text)?.[1] ?? 0)
}

test('stale-while-revalidate', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using redis = await startRedis(program)
  /** What the upstream still waits to answer. */
  const held: (() => void)[] = []
  let isHolding = false
  let isFailing = false
  let version = 1
  await using upstream = await startUpstream(({ target, headers }, response) => {
    if (isFailing) return void response.writeHead(503).end()
    const control = `max-age=1, stale-while-revalidate=${target.includes('short') ? 2 : 600}`
    const fields = { 'content-type': 'application/json', 'cache-control': control }
    const answer = () => {
      const tag = `"${version}"`
      if (headers['if-none-match'] === tag) response.writeHead(304, fields).end()
      else response.writeHead(200, { ...fields, etag: tag }).end(`{"version":${version}}`)
    }
    if (isHolding) held.push(answer)
    else answer()
  })
  const askedFor = (wanted: string) => upstream.received.filter(({ target }) => target === wanted)
  const release = () => {
    isHolding = false
    held.splice(0).forEach((answer) => answer())
  }
  const service = (name: string, config: object, rest: object = {}) => ({
    name,
    host: '127.0.0.1',
    port: upstream.port,
    retries: 0,
    ...rest,
    routes: [{ name, paths: [`/${name}`], strip_path: false }],
    plugins: [{ name: 'proxy-cache', config: { cache_control: true, ...config } }],
  })
  const declarative = {
    _format_version: '3.0',
    services: [
      service('memory', { strategy: 'memory' }),
      service('slow', { strategy: 'memory' }, { read_timeout: 500 }),
      service('redis', { strategy: 'redis', redis: { host: '127.0.0.1', port: redis.port } }),
    ],
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-refreshed-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const accessLog = path.join(folder, 'access.log')
  const gateways = await Promise.all(
    [1, 2].map(async () => {
      const ports = await freeGatewayPorts()
      const settings = {
        proxy_listen: `127.0.0.1:${ports.proxy} http2`,
        overload_delay: '0',
        worker_silence_timeout: '30',
        redis_command_timeout: '500ms',
        proxy_access_log: accessLog,
      }
      return await startGateway({ declarative, workers: 2, ports, settings })
    }),
  )
  t.after(() => Promise.all(gateways.map((gateway) => gateway.stop())))
  const [one, two] = gateways as [Gateway, Gateway]

  /** What is stored is no longer fresh, and the upstream does not answer what it is asked from now on. */
  const becomeStale = async (target: string) => {
    release()
    assert.equal((await ask(one, target)).cache, 'Miss')
    isHolding = true
    await waitUntil(`${target} is stale`, async () => (await ask(one, target)).cache === 'Stale')
    await waitUntil('the upstream to be asked', () => held.length === 1)
  }

  await t.test('all clients are answered while the upstream is asked once, by the validator', async () => {
    await becomeStale('/memory/a')
    version = 2
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(one, '/memory/a')))
    answers.push(await askHttp2(one, '/memory/a'))
    for (const answer of answers) assert.deepEqual(answer, { status: 200, cache: 'Stale', body: '{"version":1}' })
    const [, refresh, ...more] = askedFor('/memory/a')
    assert.deepEqual([refresh!.headers['if-none-match'], more.length], ['"1"', 0])
    release()
    await waitUntil('the new one is there', async () => (await ask(one, '/memory/a')).body === '{"version":2}')
    assert.ok((await countOf(one, 'refreshed')) > 0)
    const logged = () => readFileSync(accessLog, 'utf8').match(/"GET \/memory\/a /g)?.length
    await waitUntil('the log has the requests of clients', () => logged() === asked.get('/memory/a'))
  })

  await t.test('what holds again is fresh again', async () => {
    await becomeStale('/memory/b')
    release()
    await waitUntil('it is fresh', async () => (await ask(one, '/memory/b')).cache === 'Hit')
    assert.ok(askedFor('/memory/b').length >= 2)
  })

  await t.test('one that fails leaves what is stale until its window ends', async () => {
    release()
    isFailing = false
    await ask(one, '/memory/short')
    isFailing = true
    await waitUntil('it failed', async () => {
      const { cache, body } = await ask(one, '/memory/short')
      if (cache === 'Stale') assert.equal(body, `{"version":${version}}`)
      return (await countOf(one, 'refresh_failed')) > 0
    })
    await waitUntil('the window ends', async () => (await ask(one, '/memory/short')).status === 503)
    isFailing = false
  })

  await t.test('an upstream that does not answer is given up after the read time-out', async () => {
    const before = await countOf(one, 'refresh_failed')
    await becomeStale('/slow/a')
    await waitUntil('it is given up', async () => (await countOf(one, 'refresh_failed')) > before)
    assert.equal((await ask(one, '/slow/a')).cache, 'Stale')
    release()
  })

  await t.test('one node of a data center asks for both', async () => {
    await becomeStale('/redis/a')
    const before = version++
    await waitUntil('the other has its connection', async () => (await ask(two, '/redis/a')).cache === 'Stale')
    const asking = Array.from({ length: 40 }, (_, n) => ask(n % 2 === 0 ? one : two, '/redis/a'))
    for (const { cache, body } of await Promise.all(asking))
      assert.deepEqual([cache, body], ['Stale', `{"version":${before}}`])
    assert.equal(askedFor('/redis/a').length, 2)
    release()
    for (const gateway of gateways) {
      await waitUntil('it has the new one', async () => {
        return (await ask(gateway, '/redis/a')).body === `{"version":${version}}`
      })
    }
  })

  await t.test('a gateway that ends does not wait for the upstream', async () => {
    await becomeStale('/redis/b')
    const { code } = await one.stop()
    assert.equal(code, 0)
    release()
  })
})
