import assert from 'node:assert/strict'
import { Agent, request, type IncomingHttpHeaders } from 'node:http'
import { before, after, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

let upstream: Upstream
let gateway: Gateway
/** What the upstream still waits to answer. */
const held: (() => void)[] = []

before(async () => {
  upstream = await startUpstream(({ target }, response) => {
    const type = { 'content-type': 'application/json' }
    if (target.startsWith('/held')) held.push(() => response.writeHead(200, type).end('{"held":true}'))
    else if (target.startsWith('/cut')) {
      response.writeHead(200, { ...type, 'content-length': 1_000 }).write('{"half":')
      setImmediate(() => response.destroy())
    } else if (target.startsWith('/chunked')) {
      response.writeHead(200, type).write('{"in":')
      response.end('"parts"}')
    } else if (target.startsWith('/large')) response.writeHead(200, type).end('x'.repeat(300_000))
    else response.writeHead(200, { ...type, 'content-length': 13, etag: '"e"' }).end('{"said":"it"}')
  })
  gateway = await startGateway({
    workers: 2,
    settings: { overload_delay: '0', proxy_cache_size: '1m' },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          routes: [{ name: 'all', paths: ['/'], strip_path: false }],
          plugins: [{ name: 'proxy-cache', config: { strategy: 'memory' } }],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Over a connection of its own, so that both workers get some. */
function get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const agent = new Agent({ keepAlive: false })
    request({ port: gateway.proxyPort, path, agent, headers, timeout: 20_000 }, (response) => {
      let body = ''
      response.setEncoding('latin1').on('data', (text: string) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
      response.on('error', reject)
    })
      .on('error', reject)
      .end()
  })
}

const askedFor = (path: string) => upstream.received.filter(({ target }) => target === path).length

async function figure(name: string): Promise<number> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  return Number(
    page
      .split('\n')
      .find((line) => line.startsWith(name))
      ?.split(' ')
      .at(-1) ?? NaN,
  )
}

test('all workers answer with what one of them stored, and the response is as the upstream made it', async () => {
  const first = await get('/a')
  assert.equal(first.headers['x-cache-status'], 'Miss')
  assert.equal(first.headers['content-length'], '13')
  const answers = await Promise.all(Array.from({ length: 40 }, () => get('/a')))
  for (const { status, headers, body } of answers) {
    assert.equal(status, 200)
    assert.equal(body, '{"said":"it"}')
    assert.equal(headers['x-cache-status'], 'Hit')
    assert.equal(headers['content-length'], '13')
    assert.equal(headers.etag, '"e"')
    assert.equal(headers.date, first.headers.date)
    assert.match(String(headers.via), /^1\.1 meridian/)
  }
  assert.equal(askedFor('/a'), 1)
})

test('many that ask at once for what is not there reach the upstream once', async () => {
  const asking = Array.from({ length: 100 }, () => get('/held'))
  await waitUntil('the upstream to be asked', () => held.length > 0)
  // Whoever came until now waits; those that come later find it.
  held.splice(0).forEach((answer) => answer())
  for (const { body } of await Promise.all(asking)) assert.equal(body, '{"held":true}')
  assert.equal(askedFor('/held'), 1)
})

test('half a response is not stored', async () => {
  await assert.rejects(get('/cut'))
  await assert.rejects(get('/cut'))
  assert.equal(askedFor('/cut'), 2)
})

test('a response without a length has one when it comes from the cache', async () => {
  assert.equal((await get('/chunked')).headers['transfer-encoding'], 'chunked')
  const { headers, body } = await get('/chunked')
  assert.equal(headers['x-cache-status'], 'Hit')
  assert.equal(headers['content-length'], '14')
  assert.equal(body, '{"in":"parts"}')
})

test('a client that has it gets 304, one that asks for a part gets it', async () => {
  await get('/a')
  const unchanged = await get('/a', { 'If-None-Match': '"e"' })
  assert.deepEqual([unchanged.status, unchanged.body, unchanged.headers['content-type']], [304, '', undefined])
  const part = await get('/a', { Range: 'bytes=2-5' })
  assert.deepEqual([part.status, part.body, part.headers['content-length']], [206, 'said', '4'])
})

test('what is larger than an eighth of the memory passes whole and is not stored', async () => {
  for (let n = 0; n < 2; n++) {
    const { headers, body } = await get('/large')
    assert.equal(body.length, 300_000)
    assert.notEqual(headers['x-cache-status'], 'Hit')
  }
})

test('the Admin API shows and drops what is stored', async () => {
  const key = (await get('/shown')).headers['x-cache-key'] as string
  const { id } = ((await (await fetch(`${gateway.adminUrl}/plugins`)).json()) as { data: { id: string }[] }).data[0]!
  const shown = await fetch(`${gateway.adminUrl}/proxy-cache/${key}`)
  const { status, body, headers, ttl } = (await shown.json()) as Record<string, unknown>
  assert.deepEqual([status, body, ttl], [200, '{"said":"it"}', 300])
  assert.equal((headers as Record<string, string>)['etag'], '"e"')
  const ask = async (method: string, path: string) => (await fetch(gateway.adminUrl + path, { method })).status
  assert.equal(await ask('GET', `/proxy-cache/${id}/caches/${key}`), 200)
  assert.equal(await ask('GET', `/proxy-cache/00000000-0000-4000-8000-00000000dead/caches/${key}`), 404)
  assert.equal(await ask('DELETE', `/proxy-cache/${id}/caches/${key}`), 204)
  assert.equal(await ask('DELETE', `/proxy-cache/${key}`), 404)
  assert.equal(await ask('GET', `/proxy-cache/${key}`), 404)
  assert.equal((await get('/shown')).headers['x-cache-status'], 'Miss')
  assert.equal((await get('/shown')).headers['x-cache-status'], 'Hit')
  assert.equal(await ask('DELETE', '/proxy-cache'), 204)
  assert.equal((await get('/shown')).headers['x-cache-status'], 'Miss')
})

test('memory stays within its bound, and figures say what happened', async () => {
  for (let n = 0; n < 3; n++) await Promise.all(Array.from({ length: 500 }, (_, at) => get(`/many/${n}/${at}`)))
  assert.ok((await figure('meridian_cache_bytes{cache="responses"}')) <= 2 ** 20)
  assert.ok((await figure('meridian_cache_evictions_total{cache="responses"}')) > 0)
  assert.ok((await figure('meridian_cache_hits_total{cache="responses"}')) > 40)
  assert.ok((await figure('meridian_cache_misses_total{cache="responses"}')) > 1_000)
})
