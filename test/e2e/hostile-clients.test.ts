import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient } from '../support/raw-client.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'

let gateway: Gateway
let upstream: Upstream

before(async () => {
  upstream = await startUpstream()
  gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          routes: [
            {
              name: 'r',
              paths: ['/guarded'],
              plugins: [
                { name: 'key-auth' },
                { name: 'cors' },
                { name: 'correlation-id' },
                { name: 'rate-limiting', config: { year: 1_000_000, policy: 'local' } },
              ],
            },
          ],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

/** Texts that name something on every JavaScript object, or that lenient parsers trip over. */
const TEXTS = [
  'constructor',
  '__proto__',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '%',
  '%00',
  '\x80\xff',
  ';',
  ',',
  '"',
  '=',
]
const FIELDS = [
  'Accept',
  'Content-Type',
  'apikey',
  'Origin',
  'Cookie',
  'Upgrade',
  'X-Forwarded-For',
  'TE',
  'Expect',
  'Kong-Request-ID',
]

for (const text of TEXTS) {
  test(`${JSON.stringify(text)} as any field, method, path or query ends no worker`, async () => {
    for (const path of ['/nowhere', '/guarded']) {
      for (const field of FIELDS) {
        using client = await openRawClient(gateway.proxyPort)
        client.request(`GET ${path} HTTP/1.1`, `${field}: ${text}`)
        const { status } = await client.response()
        assert.ok(status >= 400 && status < 500, `${field}: ${status}`)
      }
    }
    for (const target of [`/${text}`, `/guarded?${text}=${text}`, `/guarded?apikey=${text}`]) {
      using client = await openRawClient(gateway.proxyPort)
      client.request(`GET ${target} HTTP/1.1`)
      const { status } = await client.response()
      assert.ok(status >= 400 && status < 500, `${target}: ${status}`)
    }
    assert.doesNotMatch(gateway.child.output, /a worker was lost/)
  })
}
