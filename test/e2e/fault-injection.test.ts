/** Faults of a whole gateway: delays and refusals over HTTP and gRPC, clients that leave, and what the upstream sees of it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { connect, type IncomingHttpHeaders } from 'node:http2'
import { after, before, test } from 'node:test'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil, within } from '../support/wait.ts'

let upstream: Upstream
let gateway: Gateway
before(async () => {
  upstream = await startUpstream((_, response) => response.end('served'))
  const ports = await freeGatewayPorts()
  const route = (name: string, config: object, protocols = ['http']) => ({
    name,
    protocols,
    paths: [`/${name}`],
    plugins: [{ name: 'fault-injection', config: { fault_header: 'X-Fault', ...config } }],
  })
  gateway = await startGateway({
    ports,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2` },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          url: `http://127.0.0.1:${upstream.port}`,
          routes: [
            route('delayed', { delay: { time: 60 } }),
            route('refused', { match: [{ header: 'X-Drill' }], abort: { status: 503 } }),
            route('stuck', { delay: { time: 600_000, max: 600_000 }, max_delayed: 1 }),
          ],
        },
        {
          name: 'calls',
          url: `grpc://127.0.0.1:${upstream.port}`,
          routes: [route('calls', { abort: { grpc_status: 14, grpc_message: 'a drill' } }, ['grpc'])],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

async function ask(path: string, headers: Record<string, string> = {}) {
  const beganMs = performance.now()
  const response = await fetch(gateway.proxyUrl + path, { headers, signal: AbortSignal.timeout(20_000) })
  const text = await response.text()
  return { status: response.status, fault: response.headers.get('x-fault'), text, ms: performance.now() - beganMs }
}

test('a request is delayed and then served', async () => {
  const { status, fault, text, ms } = await ask('/delayed')
  assert.deepEqual([status, fault, text], [200, 'delay=60', 'served'])
  assert.ok(ms >= 59, `${ms} ms`)
})

test('only those that are meant are refused, and the upstream does not see them', async () => {
  assert.deepEqual((await ask('/refused')).text, 'served')
  const before = upstream.received.length
  const { status, fault, text } = await ask('/refused', { 'X-Drill': '1' })
  assert.deepEqual([status, fault, upstream.received.length], [503, 'abort=503', before])
  assert.match(text, /refused on purpose/)
})

test('a call of gRPC ends with a status of gRPC', async () => {
  const session = connect(gateway.proxyUrl)
  const stream = session.request({
    ':method': 'POST',
    ':path': '/calls/a.B/C',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  stream.end()
  const [headers] = (await within('a response', once(stream, 'response'))) as [IncomingHttpHeaders]
  stream.resume()
  session.close()
  assert.deepEqual(
    [headers[':status'], headers['grpc-status'], headers['grpc-message'], headers['x-fault']],
    [200, '14', 'a drill', 'abort=grpc-14'],
  )
})

test('a client that leaves while it is delayed makes room for the next one', async () => {
  const count = async (event: string) => {
    const text = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
    const found = new RegExp(`meridian_plugin_events_total\\{plugin="fault-injection",event="${event}"\\} (\\d+)`).exec(
      text,
    )
    return Number(found?.[1] ?? 0)
  }
  const before = await count('delayed')
  const begin = () => {
    const request = http.get(`${gateway.proxyUrl}/stuck`)
    request.on('error', () => undefined)
    return request
  }
  const first = begin()
  await waitUntil('it is delayed', async () => (await count('delayed')) === before + 1)
  assert.deepEqual([(await ask('/stuck')).text, await count('passed_busy')], ['served', 1])
  first.destroy()
  let second = begin()
  await waitUntil('the next one is delayed', async () => {
    if ((await count('delayed')) >= before + 2) return true
    second.destroy()
    second = begin()
    return false
  })
  second.destroy()
})
