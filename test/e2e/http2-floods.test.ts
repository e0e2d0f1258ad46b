/** Floods of HTTP/2 against a whole gateway: its memory stays bounded, and whoever else is there is served. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { connect, constants, type ClientHttp2Session } from 'node:http2'
import { effort } from '../support/effort.ts'
import type { Gateway } from '../support/gateway.ts'
import { startFloodedGateway } from '../support/flooded-gateway.ts'
import { http2Floods, startFlood } from '../support/http2-floods.ts'
import type { Upstream } from '../support/upstream-server.ts'
import { waitUntil, within } from '../support/wait.ts'

const ATTACKERS = effort(2, 16)
/** Each attack lasts as long as other clients need for so many requests, and until it has come so often. */
const REQUESTS = effort(4, 2000)
const ATTACKS = effort(4, 2000)
/** What all attackers together may pin: windows and heads of their connections, and what the collector has not looked at. */
const GROWTH_MAX = 96 * 1024 ** 2
/** New connections, as attackers make them: what they leave to the collector until it looks is no more of an attack than of them. */
const [WARM_SESSIONS, WARM_ROUNDS] = [100, 80]

let upstream: Upstream
let gateway: Gateway

before(async () => {
  // No attacker is turned away before it did anything: what is measured is what they can do.
  ;({ gateway, upstream } = await startFloodedGateway({ http2_flood_connection_rate: '0' }))
  await warm()
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

/** A process that has served nobody yet grows by any requests: what an attack adds is told from one that has been at work. */
async function warm(): Promise<void> {
  for (let round = 0; round < WARM_ROUNDS; round++)
    await Promise.all(
      Array.from({ length: WARM_SESSIONS }, async () => {
        const session = connect(gateway.proxyUrl)
        try {
          assert.equal(await overHttp2(session), 200)
        } finally {
          session.destroy()
        }
      }),
    )
}

const residentBytes = (): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.child.pid}/status`, 'utf8'))![1]) * 1024

async function openConnections(): Promise<number> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  return Number(/kong_nginx_connections_total\{[^}]*state="active"\} (\d+)/.exec(page)![1])
}

function overHttp2(session: ClientHttp2Session): Promise<number> {
  return within(
    'an answer over HTTP/2',
    new Promise<number>((resolve, reject) => {
      const stream = session.request({ ':path': '/' })
      stream.on('response', (headers) => resolve(Number(headers[constants.HTTP2_HEADER_STATUS])))
      stream.on('error', reject)
      stream.resume()
      stream.end()
    }),
  )
}

/** Requests of others while the attack goes on, over both versions of HTTP. */
async function askMeanwhile(isEnough: () => boolean): Promise<void> {
  const session = connect(gateway.proxyUrl)
  try {
    for (let i = 0; i < REQUESTS || !isEnough(); i++) {
      assert.equal(await overHttp2(session), 200)
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
