/** Who floods over HTTP/2 and comes again: turned away at the door, from where it comes and for a while; others are served. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Agent, request, type RequestOptions } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { Gateway } from '../support/gateway.ts'
import { startFloodedGateway } from '../support/flooded-gateway.ts'
import { http2Floods, startFlood } from '../support/http2-floods.ts'
import type { Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const [OURS, THEIRS] = ['127.0.0.1', '127.0.0.2']

let upstream: Upstream
let gateway: Gateway

before(async () => {
  ;({ gateway, upstream } = await startFloodedGateway({ http2_flood_connection_rate: '1' }))
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

/** The status, or the code of the error. */
function ask(localAddress: string, options: RequestOptions = {}, isTls = false): Promise<number | string> {
  const { promise, resolve } = Promise.withResolvers<number | string>()
  const port = isTls ? gateway.tlsPort : gateway.proxyPort
  const all = { host: '127.0.0.1', port, localAddress, rejectUnauthorized: false, timeout: 10_000, ...options }
  const asked = (isTls ? tlsRequest : request)(all, (response) => {
    response.resume()
    response.on('end', () => resolve(response.statusCode ?? 0))
  })
  asked.on('timeout', () => asked.destroy(new Error('nothing came within 10 s')))
  asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  asked.end()
  return promise
}

async function refusedCount(): Promise<number> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  return Number(/^meridian_flood_connections_refused_total(?:\{[^}]*\})? (\d+)/m.exec(page)?.[1])
}

test('new connections from where floods come are closed, also before TLS; others, and connections that are there, are served', async () => {
  using kept = { agent: new Agent({ keepAlive: true, maxSockets: 1 }), [Symbol.dispose]: () => kept.agent.destroy() }
  assert.deepEqual(
    [await ask(THEIRS, { agent: kept.agent }), await ask(THEIRS), await ask(THEIRS, {}, true)],
    [200, 200, 200],
  )
  assert.equal(await refusedCount(), 0)
  const flood = http2Floods.find(({ name }) => name === 'settings')!
  const attackers = startFlood(flood, gateway.proxyPort, 2, () => THEIRS)
  try {
    await waitUntil('some are refused', async () => (await refusedCount()) >= 100)
    assert.equal(await ask(THEIRS, { agent: kept.agent }), 200)
    assert.deepEqual([await ask(OURS), await ask(OURS, {}, true)], [200, 200])
    const before_ = await refusedCount()
    const asked = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        ask(THEIRS, { agent: n % 2 === 0 ? new Agent() : new TlsAgent() }, n % 2 === 1),
      ),
    )
    assert.ok(asked.filter((answer) => answer === 200).length <= 5, `answers: ${asked.join()}`)
    assert.ok((await refusedCount()) >= before_ + 5)
  } finally {
    await attackers.stop()
  }
  const lines = gateway.child.output.match(/.*connections are refused from addresses that flood.*/g)
  assert.equal(lines?.length, 1, 'one line says so, however many are refused')
  assert.ok(lines[0].includes(THEIRS))
})
