/** What goes to the client instead of what the upstream sent: the whole way, over both versions of HTTP. */
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { test } from 'node:test'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

async function ask(gateway: Gateway, path: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(gateway.proxyUrl + path, { method, headers, signal: AbortSignal.timeout(20_000) })
  return { status: response.status, headers: response.headers, body: await response.text() }
}

function askHttp2(gateway: Gateway, path: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const session = connect(gateway.proxyUrl).on('error', reject)
    const stream = session.request({ ':path': path })
    let status = 0
    let body = ''
    stream.on('response', (headers) => (status = Number(headers[':status'])))
    stream.setEncoding('utf8').on('data', (text: string) => (body += text))
    stream.on('error', reject).on('end', () => {
      session.close()
      resolve({ status, body })
    })
  })
}

test('stale responses', async (t) => {
  let mode: 'fine' | 'unchanged' | 'failing' | 'cut' = 'fine'
  const upstream = await startUpstream((request, response) => {
    const control = { 'content-type': 'application/json', 'cache-control': 'max-age=1, stale-if-error=600' }
    if (mode === 'cut') return void response.destroy()
    if (mode === 'failing') {
      // A body that is still on its way when the head has been judged.
      response.writeHead(503, { 'content-type': 'text/plain' }).write('x'.repeat(100_000))
      return
    }
    if (mode === 'unchanged' && request.headers['if-none-match'] === '"e"')
      return void response.writeHead(304, { ...control, 'x-seen': 'again' }).end()
    response.writeHead(200, { ...control, etag: '"e"' }).end('{"whole":"response"}')
  })
  t.after(() => upstream[Symbol.asyncDispose]())
  const config = { strategy: 'memory', cache_control: true }
  const ports = await freeGatewayPorts()
  const gateway = await startGateway({
    ports,
    settings: {
      proxy_listen: `127.0.0.1:${ports.proxy} http2`,
      overload_delay: '0',
      worker_silence_timeout: '30',
    },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          retries: 0,
          routes: [{ name: 'all', paths: ['/'], strip_path: false }],
          plugins: [{ name: 'proxy-cache', config }],
        },
      ],
    },
  })
  t.after(() => gateway.stop())
  const becomeStale = async (path: string) => {
    mode = 'fine'
    assert.equal((await ask(gateway, path)).headers.get('x-cache-status'), 'Miss')
    mode = 'unchanged'
    const asked = upstream.received.length
    // A hit asks nobody.
    await waitUntil(`${path} is stale`, async () => {
      return (await ask(gateway, path, { 'cache-control': 'only-if-cached' })).status === 504
    })
    assert.equal(upstream.received.length, asked)
  }

  await t.test('what holds again is answered whole, in part, or not at all', async () => {
    for (const [headers, status, body] of [
      [{}, 200, '{"whole":"response"}'],
      [{ range: 'bytes=2-6' }, 206, 'whole'],
      [{ 'if-none-match': '"e"' }, 304, ''],
    ] as const) {
      const path = `/held/${status}`
      await becomeStale(path)
      const answer = await ask(gateway, path, headers)
      assert.deepEqual([answer.status, answer.body, answer.headers.get('x-cache-status')], [status, body, 'Refresh'])
      assert.equal(answer.headers.get('x-seen'), 'again')
      assert.equal((await ask(gateway, path)).body, '{"whole":"response"}')
    }
  })

  await t.test('a failure of the upstream is not seen, and its connections do not run out', async () => {
    for (const failing of ['failing', 'cut'] as const) {
      const path = `/${failing}`
      await becomeStale(path)
      mode = failing
      for (let n = 0; n < 5; n++) {
        const { status, body, headers } = await ask(gateway, path)
        assert.deepEqual([status, body, headers.get('x-cache-status')], [200, '{"whole":"response"}', 'Stale'])
        assert.equal(headers.get('content-length'), '20')
      }
    }
    assert.equal((await ask(gateway, '/cut', { 'cache-control': 'no-cache' })).status, 502)
    await waitUntil('connections whose answer was not wanted are closed', () => upstream.connections().open <= 2)
  })

  await t.test('over HTTP/2 as well', async () => {
    await becomeStale('/h2')
    mode = 'failing'
    assert.deepEqual(await askHttp2(gateway, '/h2'), { status: 200, body: '{"whole":"response"}' })
  })
})
