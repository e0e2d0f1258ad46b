import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'

const ROUTE = '8d3f1f0e-6a3c-4d57-9a2b-0f0d7c1f0001'
const SERVICE = '8d3f1f0e-6a3c-4d57-9a2b-0f0d7c1f0002'
const NAMES = ['kong-route-id', 'kong-route-name', 'kong-service-id', 'kong-service-name']

let upstream: Upstream
let open: Gateway
let closed: Gateway

before(async () => {
  upstream = await startUpstream()
  const declarative = {
    _format_version: '3.0',
    services: [
      {
        id: SERVICE,
        name: 'orders',
        host: '127.0.0.1',
        port: upstream.port,
        routes: [{ id: ROUTE, name: 'caf\u00e9', paths: ['/proxied'] }],
      },
    ],
    routes: [
      { id: '8d3f1f0e-6a3c-4d57-9a2b-0f0d7c1f0003', paths: ['/nameless'] },
      {
        id: '8d3f1f0e-6a3c-4d57-9a2b-0f0d7c1f0004',
        name: 'own',
        paths: ['/own'],
        plugins: [{ name: 'request-termination', config: { status_code: 418 } }],
      },
    ],
  }
  open = await startGateway({ declarative, settings: { allow_debug_header: 'on' } })
  closed = await startGateway({ declarative })
})
after(async () => {
  await open?.stop()
  await closed?.stop()
  await upstream.close()
})

/** The status and what the answer says of route and service. */
async function ask(gateway: Gateway, path: string, debug: string | null) {
  const response = await fetch(gateway.proxyUrl + path, { headers: debug === null ? {} : { 'Kong-Debug': debug } })
  await response.arrayBuffer()
  return [response.status, ...NAMES.map((name) => response.headers.get(name))]
}

test('Kong-Debug: 1 makes a proxied answer name its route and service, in UTF-8', async () => {
  const name = Buffer.from('caf\u00e9').toString('latin1')
  assert.deepEqual(await ask(open, '/proxied', '1'), [200, ROUTE, name, SERVICE, 'orders'])
})

test('answers of plugins and errors name what there is', async () => {
  const own = await ask(open, '/own', '1')
  assert.deepEqual(own, [418, '8d3f1f0e-6a3c-4d57-9a2b-0f0d7c1f0004', 'own', null, null])
  const nameless = await ask(open, '/nameless', '1')
  assert.deepEqual(nameless, [503, '8d3f1f0e-6a3c-4d57-9a2b-0f0d7c1f0003', null, null, null])
  assert.deepEqual(await ask(open, '/nowhere', '1'), [404, null, null, null, null])
})

test('without the header, with another value, or without allow_debug_header nothing is told', async () => {
  const nothing = [200, null, null, null, null]
  assert.deepEqual(await ask(open, '/proxied', null), nothing)
  assert.deepEqual(await ask(open, '/proxied', '0'), nothing)
  assert.deepEqual(await ask(closed, '/proxied', '1'), nothing)
})
