/** Floods of HTTP/2 against a whole gateway: its memory stays bounded, and whoever else is there is served. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { connect, constants } from 'node:http2'
import { effort } from '../support/effort.ts'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { http2Floods, startFlood } from '../support/http2-floods.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil, within } from '../support/wait.ts'

const ATTACKERS = effort(2, 16)
/** Each attack lasts as long as other clients need for so many requests, and until it has come so often. */
const REQUESTS = effort(4, 2000)
const ATTACKS = effort(4, 2000)
/** What all attackers together may pin: windows and heads of their connections, and what the collector has not looked at. */
const GROWTH_MAX = 96 * 1024 ** 2

let upstream: Upstream
let gateway: Gateway

before(async () => {
  upstream = await startUpstream((_request, response) => void response.end('ok'))
  const ports = await freeGatewayPorts()
  gateway = await startGateway({
    ports,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2`, overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [{ url: `http://127.0.0.1:${upstream.port}`, routes: [{ paths: ['/'] }] }],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

const residentBytes = (): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.child.pid}/status`, 'utf8'))![1]) * 1024

async function openConnections(): Promise<number> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  return Number(/kong_nginx_connections_total\{[^}]*state="active"\} (\d+)/.exec(page)![1])
}

/** Requests of others while the attack goes on, over both versions of HTTP. */
async function askMeanwhile(isEnough: () => boolean): Promise<void> {
  const session = connect(gateway.proxyUrl)
  const overHttp2 = () =>
    within(
      'an answer over HTTP/2',
      new Promise<number>((resolve, reject) => {
        const stream = session.request({ ':path': '/' })
        stream.on('response', (headers) => resolve(Number(headers[constants.HTTP2_HEADER_STATUS])))
        stream.on('error', reject)
        stream.resume()
        stream.end()
      }),
    )
  try {
    for (let i = 0; i < REQUESTS || !isEnough(); i++) {
      assert.equal(await overHttp2(), 200)
      const response = await fetch(gateway.proxyUrl, { signal: AbortSignal.timeout(30_000) })
      assert.equal(response.status, 200)
      await response.arrayBuffer()
    }
  } finally {
    session.destroy()
  }
}

for (const flood of http2Floods)
  test(`a flood of ${flood.name} pins no memory, and others are served`, async () => {
    const before_ = residentBytes()
    const attackers = startFlood(flood, gateway.proxyPort, ATTACKERS)
    let most = 0
    try {
      await askMeanwhile(() => {
        most = Math.max(most, residentBytes())
        return attackers.figures.connections >= ATTACKS
      })
    } finally {
      await attackers.stop()
    }
    const sent = Math.round(attackers.figures.bytes / 1024)
    assert.ok(
      most - before_ < GROWTH_MAX,
      `${Math.round((most - before_) / 1024)} KiB more after ${sent} KiB of attack`,
    )
    await waitUntil('the attackers are gone', async () => (await openConnections()) <= 2)
    assert.equal((await fetch(gateway.proxyUrl)).status, 200)
    assert.equal(gateway.child.output.match(/a worker was lost/), null)
  })
