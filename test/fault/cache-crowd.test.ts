/** Ten thousand clients that miss the same response at the same moment are one request to the upstream, on a node and in a data center. */
import assert from 'node:assert/strict'
import { connect, type ClientHttp2Session } from 'node:http2'
import { test } from 'node:test'
import { isFullEffort } from '../support/effort.ts'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { startRedis } from '../support/redis.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const CLIENTS = 10_000
/** Fewer than a gateway lets a connection have. */
const STREAMS = 100
const BODY = '{"made":"once"}'

interface Crowd {
  /** Bodies, and errors as texts. */
  readonly answers: Promise<readonly string[]>
  readonly close: () => void
}

/** As many requests as there are streams, over connections that stand already. */
async function openSessions({ proxyUrl }: Gateway, streams: number): Promise<ClientHttp2Session[]> {
  const opening = Array.from({ length: Math.ceil(streams / STREAMS) }, async () => {
    const session = connect(proxyUrl)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    session.once('connect', () => resolve()).once('error', reject)
    await promise
    return session
  })
  return await Promise.all(opening)
}

function crowd(sessions: readonly ClientHttp2Session[], path: string, count: number): Crowd {
  const ask = (session: ClientHttp2Session): Promise<string> =>
    new Promise((resolve) => {
      const stream = session.request({ ':path': path, ':authority': 'shop.test:80' })
      let body = ''
      stream.setEncoding('latin1').on('data', (text: string) => (body += text))
      stream.on('error', (error) => resolve(String(error))).on('end', () => resolve(body))
    })
  const asking = Array.from({ length: count }, (_, n) => ask(sessions[n % sessions.length]!))
  return { answers: Promise.all(asking), close: () => sessions.forEach((session) => session.close()) }
}

async function inFlight(gateways: readonly Gateway[]): Promise<number> {
  const texts = await Promise.all(
    gateways.map(async ({ statusUrl }) => await (await fetch(`${statusUrl}/metrics`)).text()),
  )
  const values = texts.flatMap((text) => [...text.matchAll(/^meridian_exchanges_in_flight(?:\{[^}]*\})? (\d+)/gm)])
  return values.reduce((sum, [, value]) => sum + Number(value), 0)
}

test('a crowd that misses the same response reaches the upstream once', async (t) => {
  if (!isFullEffort()) return t.skip('part of npm run test:fault; test/e2e/shared-cache.test.ts has a smaller one')
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using redis = await startRedis(program)
  const held: (() => void)[] = []
  await using upstream = await startUpstream((_, response) => {
    held.push(() => response.writeHead(200, { 'content-type': 'application/json' }).end(BODY))
  })
  const service = (name: string, config: object) => ({
    name,
    host: '127.0.0.1',
    port: upstream.port,
    routes: [{ name, paths: [`/${name}`], strip_path: false }],
    plugins: [{ name: 'proxy-cache', config }],
  })
  const declarative = {
    _format_version: '3.0',
    services: [
      service('memory', { strategy: 'memory' }),
      service('redis', { strategy: 'redis', redis: { host: '127.0.0.1', port: redis.port } }),
    ],
  }
  const gateways = await Promise.all(
    [1, 2].map(async () => {
      const ports = await freeGatewayPorts()
      const settings = {
        proxy_listen: `127.0.0.1:${ports.proxy} http2`,
        overload_delay: '0',
        worker_silence_timeout: '30',
        redis_command_timeout: '1s',
      }
      return await startGateway({ declarative, workers: 2, ports, settings })
    }),
  )
  t.after(() => Promise.all(gateways.map((gateway) => gateway.stop())))
  const cases: readonly (readonly [path: string, nodes: readonly Gateway[]])[] = [
    ['/memory/a', gateways.slice(0, 1)],
    ['/redis/a', gateways],
  ]
  for (const [path, nodes] of cases) {
    await t.test(`${CLIENTS} of ${nodes.length === 1 ? 'one node' : 'two nodes'}: ${path}`, async (t) => {
      const share = CLIENTS / nodes.length
      const opened = await Promise.all(nodes.map((node) => openSessions(node, share)))
      // Connections to Redis are made with the first request.
      if (nodes.length > 1) {
        for (const [n, sessions] of opened.entries()) {
          const first = crowd(sessions, `/redis/first/${n}`, sessions.length)
          await waitUntil('the first is asked', () => held.length > 0)
          const timer = setInterval(() => held.splice(0).forEach((answer) => answer()), 5)
          await first.answers
          clearInterval(timer)
        }
      }
      const before = upstream.received.length
      const beganMs = performance.now()
      const crowds = opened.map((sessions) => crowd(sessions, path, share))
      await waitUntil('all are waiting', async () => (await inFlight(nodes)) >= CLIENTS)
      t.diagnostic(`${CLIENTS} were waiting after ${Math.round(performance.now() - beganMs)} ms`)
      assert.equal(held.length, 1)
      held.splice(0).forEach((answer) => answer())
      const answers = (await Promise.all(crowds.map((one) => one.answers))).flat()
      for (const one of crowds) one.close()
      t.diagnostic(`all were answered after ${Math.round(performance.now() - beganMs)} ms`)
      assert.deepEqual(
        answers.filter((body) => body !== BODY),
        [],
      )
      assert.equal(upstream.received.length - before, 1)
    })
  }
})
