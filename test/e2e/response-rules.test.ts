/** security-headers, deprecation and problem-details on one real gateway: what clients are told, whoever answers. */
import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'

let upstream: Upstream
let gateway: Gateway
before(async () => {
  upstream = await startUpstream(({ target }, response) => {
    const named = {
      server: 'engine/1',
      'x-powered-by': 'php',
      'x-frame-options': 'ALLOWALL',
      'content-type': 'text/html',
    }
    if (target === '/empty') return void response.writeHead(500, { 'content-length': 0 }).end()
    response.writeHead(target === '/missing' ? 404 : target === '/broken' ? 500 : 200, named)
    response.write('<p>secret ')
    response.end('stack</p>')
  })
  gateway = await startGateway({ declarative: await declarative() })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

async function declarative(): Promise<object> {
  const url = `http://127.0.0.1:${upstream.port}`
  const hiding = { upstream_client_errors: 'hide', upstream_server_errors: 'hide', status_map: { '500': 502 } }
  const goingAway = (name: string, config: object) => ({
    name,
    url,
    routes: [{ name, paths: [`/${name}`] }],
    plugins: [{ name: 'key-auth' }, { name: 'deprecation', config }],
  })
  const open = [{ name: 'security-headers', config: { preset: 'none', remove: [] } }]
  return {
    _format_version: '3.0',
    plugins: [
      { name: 'security-headers', config: { omit: ['strict_transport_security'] } },
      { name: 'problem-details', config: hiding },
    ],
    services: [
      {
        name: 's',
        url,
        routes: [
          { name: 'r', paths: ['/s'] },
          { name: 'open', paths: ['/open'], plugins: open },
          { name: 'guarded', paths: ['/guarded'], plugins: [{ name: 'key-auth' }] },
        ],
      },
      {
        name: 'dead',
        url: `http://127.0.0.1:${await deadPort()}`,
        retries: 0,
        routes: [{ name: 'd', paths: ['/dead'] }],
      },
      goingAway('old', { deprecated_at: '2020-01-01', sunset_at: '2999-01-01' }),
      goingAway('gone', { sunset_at: '2020-01-01', successor_link: 'https://api.example/v2' }),
    ],
    consumers: [{ username: 'ann', keyauth_credentials: [{ key: 'k' }] }],
  }
}

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('responses of the upstream and of the gateway carry the policies, and nobody names himself', async () => {
  const named = ['server', 'x-powered-by', 'x-frame-options', 'x-content-type-options'] as const
  const shown = async (path: string) => {
    const { status, headers } = await ask(gateway.proxyUrl + path)
    return [status, ...named.map((name) => headers[name])]
  }
  assert.deepEqual(await shown('/s'), [200, undefined, undefined, 'DENY', 'nosniff'])
  assert.deepEqual(await shown('/s/broken'), [502, undefined, undefined, 'DENY', 'nosniff'])
  assert.deepEqual(await shown('/no-route'), [404, undefined, undefined, 'DENY', 'nosniff'])
  assert.deepEqual(await shown('/open'), [200, 'engine/1', 'php', 'ALLOWALL', undefined])
})

test('an API is announced to go away, is gone, and its callers are known', async () => {
  const passed = upstream.received.length
  const shown = async (path: string, apikey: string) => {
    const { status, headers } = await ask(gateway.proxyUrl + path, { headers: { apikey } })
    return [status, headers['deprecation'], headers['sunset'], headers['link']]
  }
  assert.deepEqual(await shown('/old', 'k'), [200, '@1577836800', 'Tue, 01 Jan 2999 00:00:00 GMT', undefined])
  const link = '<https://api.example/v2>; rel="successor-version"'
  assert.deepEqual(await shown('/gone', 'k'), [410, undefined, 'Wed, 01 Jan 2020 00:00:00 GMT', link])
  assert.equal((await shown('/gone', 'wrong'))[0], 401)
  assert.equal(upstream.received.length, passed + 1)
  const { text } = await ask(`${gateway.adminUrl}/metrics`)
  const uses = text.split('\n').filter((line) => line.startsWith('meridian_deprecated_requests_total{'))
  const labels = uses.map((line) =>
    /api="([^"]*)",consumer="([^"]*)",stage="([^"]*)".* (\d+)$/.exec(line)?.slice(1).join(' '),
  )
  assert.deepEqual(new Set(labels), new Set(['gone ann retired 1', 'old ann deprecated 1']))
})

test('whoever made an error, the client gets a problem', async () => {
  const shown = async (path: string, accept = 'application/json') => {
    const { status, headers, json, text } = await ask(gateway.proxyUrl + path, { headers: { accept } })
    assert.ok(!text.includes('secret'))
    return [status, headers['content-type'], json?.status, json?.title, json?.detail]
  }
  const type = 'application/problem+json; charset=utf-8'
  assert.deepEqual(await shown('/none'), [404, type, 404, 'Not Found', 'no Route matched with those values'])
  assert.deepEqual(await shown('/guarded'), [401, type, 401, 'Unauthorized', 'No API key found in request'])
  assert.deepEqual((await shown('/dead')).slice(0, 4), [502, type, 502, 'Bad Gateway'])
  assert.deepEqual(await shown('/s/missing'), [404, type, 404, 'Not Found', undefined])
  assert.deepEqual(await shown('/s/broken'), [502, type, 502, 'Bad Gateway', undefined])
  assert.deepEqual(await shown('/s/empty'), [502, type, 502, 'Bad Gateway', undefined])
  assert.deepEqual((await shown('/s/broken', 'text/html')).slice(0, 2), [502, type])
  assert.deepEqual((await shown('/none', 'text/html')).slice(0, 2), [404, 'text/html; charset=utf-8'])
  const head = await ask(`${gateway.proxyUrl}/s/broken`, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers['content-type'], head.text], [502, type, ''])
})
