/** security-headers on a real gateway: on what the upstream answered, and on the gateway's own answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'

test('responses of the upstream and of the gateway carry the policies, and nobody names himself', async () => {
  await using upstream = await startUpstream((_, response) => {
    response.writeHead(200, { server: 'engine/1', 'x-powered-by': 'php', 'x-frame-options': 'ALLOWALL' }).end('hello')
  })
  await using gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      plugins: [{ name: 'security-headers', config: { omit: ['strict_transport_security'] } }],
      services: [
        { name: 's', url: `http://127.0.0.1:${upstream.port}`, routes: [{ name: 'hidden', paths: ['/hidden'] }] },
        {
          name: 'open',
          url: `http://127.0.0.1:${upstream.port}`,
          routes: [{ name: 'open', paths: ['/open'] }],
          plugins: [{ name: 'security-headers', config: { preset: 'none', remove: [] } }],
        },
      ],
    },
  })
  const named = ['server', 'x-powered-by', 'x-frame-options', 'x-content-type-options'] as const
  const shown = async (path: string) => {
    const { status, headers } = await ask(gateway.proxyUrl + path)
    return [status, ...named.map((name) => headers[name])]
  }
  assert.deepEqual(await shown('/hidden'), [200, undefined, undefined, 'DENY', 'nosniff'])
  assert.deepEqual(await shown('/no-route'), [404, undefined, undefined, 'DENY', 'nosniff'])
  assert.deepEqual(await shown('/open'), [200, 'engine/1', 'php', 'ALLOWALL', undefined])
})
