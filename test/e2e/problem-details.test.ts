/** problem-details on a real gateway: errors of the gateway, of plugins, and of an upstream that says too much. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import type { AddressInfo } from 'node:net'
import { ask } from '../support/ask.ts'
import { startGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('whoever made an error, the client gets a problem', async () => {
  await using upstream = await startUpstream(({ target }, response) => {
    if (target === '/empty') return void response.writeHead(500, { 'content-length': 0 }).end()
    response.writeHead(target === '/missing' ? 404 : 500, { 'content-type': 'text/html' })
    response.write('<p>secret ')
    response.end('stack</p>')
  })
  const config = { upstream_client_errors: 'hide', upstream_server_errors: 'hide', status_map: { '500': 502 } }
  const guarded = { name: 'guarded', paths: ['/guarded'], plugins: [{ name: 'key-auth' }] }
  await using gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      plugins: [{ name: 'problem-details', config }],
      services: [
        { name: 's', url: `http://127.0.0.1:${upstream.port}`, routes: [{ name: 'r', paths: ['/s'] }, guarded] },
        {
          name: 'dead',
          url: `http://127.0.0.1:${await deadPort()}`,
          retries: 0,
          routes: [{ name: 'd', paths: ['/dead'] }],
        },
      ],
    },
  })
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
