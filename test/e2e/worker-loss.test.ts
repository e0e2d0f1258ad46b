import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient } from '../support/raw-client.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-plugin-'))
after(() => rmSync(folder, { recursive: true }))

/** An operator's plugin that does what the request tells it: hang, or fill the heap. */
const file = path.join(folder, 'harm.ts')
writeFileSync(
  file,
  `
import { definePlugin, definePluginSchema, t, type Exchange } from 'meridian/pdk'

const kept: unknown[] = []

export default definePlugin({
  schema: definePluginSchema({
    name: 'harm', priority: 820, version: '1.0.0',
    scopes: { global: true, service: true, route: true, consumer: false },
    protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
    config: { note: t.string() },
  }),
  prepare: () => null,
  access(exchange: Exchange) {
    const harm = exchange.request.headers.get('x-harm')
    if (harm === 'hang') for (;;) kept.length = 0
    if (harm === 'fill') for (;;) kept.push(Array.from({ length: 1000 }, (_, i) => ({ i })))
    if (harm === 'throw-later') setImmediate(() => { throw new Error('thrown where nobody catches') })
  },
})
`,
)

function startWithHarm(upstreamPort: number, settings: Record<string, string> = {}): Promise<Gateway> {
  return startGateway({
    workers: 2,
    settings: { plugin_paths: file, worker_silence_timeout: '1s', overload_delay: '0', log_level: 'info', ...settings },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstreamPort,
          routes: [
            { name: 'harmful', paths: ['/harm'], plugins: [{ name: 'harm' }] },
            { name: 'harmless', paths: ['/'] },
          ],
        },
      ],
    },
  })
}

/** Entries of the log with this message. */
function entries(gateway: Gateway, message: string): Record<string, unknown>[] {
  return gateway.child.output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((entry) => entry['msg'] === message)
}

const LOST = 'a worker was lost and is replaced'

/** Sends the request that does harm, and serves others until the worker is replaced; answers what the log says of the loss. */
async function harmed(gateway: Gateway, how: string): Promise<Record<string, unknown>> {
  using harmful = await openRawClient(gateway.proxyPort)
  harmful.request('GET /harm HTTP/1.1', `x-harm: ${how}`)
  await waitUntil('the loss is logged', () => entries(gateway, LOST).length > 0, 20_000)
  await harmful.end()
  return entries(gateway, LOST)[0]!
}

/** Connections that are open already stay with their worker: those of the other one must not notice. */
async function openConnections(gateway: Gateway, count: number) {
  const clients = await Promise.all(Array.from({ length: count }, () => openRawClient(gateway.proxyPort)))
  for (const client of clients) {
    client.request('GET / HTTP/1.1')
    assert.equal((await client.response()).status, 200)
  }
  return clients
}

async function survivors(clients: Awaited<ReturnType<typeof openConnections>>): Promise<number> {
  let alive = 0
  for (const client of clients) {
    if (client.isEnded || client.socket.destroyed) continue
    client.request('GET / HTTP/1.1')
    const status = await client.response().then(
      (answer) => answer.status,
      () => 0, // reset: the worker that is gone had it
    )
    if (status === 200) alive++
  }
  for (const client of clients) client.close()
  return alive
}

/** Both workers take connections again: of many new ones none waits for ever. */
async function servesAll(gateway: Gateway): Promise<void> {
  await waitUntil('a replaced worker serves', () => entries(gateway, LOST).length > 0)
  const statuses = await Promise.all(
    Array.from({ length: 30 }, async () => {
      const response = await fetch(`${gateway.proxyUrl}/`, {
        signal: AbortSignal.timeout(10_000),
        headers: { connection: 'close' },
      })
      await response.arrayBuffer()
      return response.status
    }),
  )
  assert.deepEqual(new Set(statuses), new Set([200]))
}

async function metric(gateway: Gateway, name: string): Promise<number> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`, { signal: AbortSignal.timeout(5_000) })).text()
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(page)?.[1])
}

test('a worker that hangs is named with route and plugin, ended and replaced, while the other serves on', async () => {
  await using upstream = await startUpstream()
  await using gateway = await startWithHarm(upstream.port)
  const clients = await openConnections(gateway, 16)
  const entry = await harmed(gateway, 'hang')
  assert.partialDeepStrictEqual(entry, { reason: 'silent', route: 'harmful', plugin: 'harm' })
  const alive = await survivors(clients)
  assert.ok(alive > 0 && alive < 16, `${alive} of 16 connections`)
  await servesAll(gateway)
  assert.equal(await metric(gateway, 'meridian_worker_restarts_total'), 1)
  assert.equal(gateway.child.exit, null)
})

test('a worker whose heap is full dies alone', async () => {
  await using upstream = await startUpstream()
  await using gateway = await startWithHarm(upstream.port, { worker_heap_size: '64m', worker_silence_timeout: '30s' })
  const clients = await openConnections(gateway, 16)
  const entry = await harmed(gateway, 'fill')
  assert.partialDeepStrictEqual(entry, { reason: 'out_of_memory', route: 'harmful', plugin: 'harm' })
  const alive = await survivors(clients)
  assert.ok(alive > 0 && alive < 16, `${alive} of 16 connections`)
  await servesAll(gateway)
  assert.equal(gateway.child.exit, null)
})

test('a plugin that throws where nobody catches ends its worker and no other', async () => {
  await using upstream = await startUpstream()
  await using gateway = await startWithHarm(upstream.port)
  const clients = await openConnections(gateway, 16)
  using harmful = await openRawClient(gateway.proxyPort)
  harmful.request('GET /harm HTTP/1.1', 'x-harm: throw-later')
  await waitUntil('the loss is logged', () => entries(gateway, LOST).length > 0)
  const [entry] = entries(gateway, LOST)
  assert.equal(entry!['reason'], 'died')
  assert.match(JSON.stringify(entry!['err']), /thrown where nobody catches/)
  const alive = await survivors(clients)
  assert.ok(alive > 0 && alive < 16, `${alive} of 16 connections`)
  await servesAll(gateway)
})

test('the replacement serves the configuration of now, not that of the start', async () => {
  await using upstream = await startUpstream()
  await using gateway = await startGateway({
    workers: 1,
    settings: { plugin_paths: file, worker_silence_timeout: '1s', log_level: 'info' },
  })
  const loaded = await fetch(`${gateway.adminUrl}/config`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          routes: [{ name: 'r', paths: ['/later'], plugins: [{ name: 'harm' }] }],
        },
      ],
    }),
  })
  assert.equal(loaded.status, 201, await loaded.text())
  using client = await openRawClient(gateway.proxyPort)
  client.request('GET /later HTTP/1.1', 'x-harm: hang')
  await waitUntil('the loss is logged', () => entries(gateway, LOST).length > 0)
  await waitUntil('the new worker serves', async () => {
    const response = await fetch(`${gateway.proxyUrl}/later`, { signal: AbortSignal.timeout(2_000) }).catch(() => null)
    return response !== null && response.status === 200
  })
})
