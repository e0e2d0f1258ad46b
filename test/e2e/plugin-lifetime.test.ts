import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient } from '../support/raw-client.ts'
import { waitUntil } from '../support/wait.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-lifetime-'))
after(() => rmSync(folder, { recursive: true }))

/** Answers once its request has waited, with the note of its configuration and with the notes that were closed until then. */
const file = path.join(folder, 'lives.ts')
writeFileSync(
  file,
  `
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { definePlugin, definePluginSchema, t, type Exchange } from 'meridian/pdk'

const closed: string[] = []

export default definePlugin({
  schema: definePluginSchema({
    name: 'lives', priority: 820, version: '1.0.0',
    scopes: { global: true, service: true, route: true, consumer: false },
    protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
    config: { note: t.string() },
  }),
  prepare: ({ note }) => ({ note }),
  async access(exchange: Exchange, { note }) {
    await sleep(Number(exchange.request.headers.get('x-wait') ?? 0))
    appendFileSync(${JSON.stringify(path.join(folder, 'told'))}, note + ' after ' + closed.join() + ';')
    return exchange.exit(200, { note, closed })
  },
  close: ({ note }) => void closed.push(note),
})
`,
)

async function put(gateway: Gateway, note: string): Promise<void> {
  const response = await fetch(`${gateway.adminUrl}/plugins/5ca1ab1e-0000-4000-8000-000000000001`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'lives', config: { note }, route: { name: 'r' } }),
    signal: AbortSignal.timeout(10_000),
  })
  assert.equal(response.status, 200, await response.text())
}

async function start(): Promise<Gateway> {
  const gateway = await startGateway({ database: 'sqlite', settings: { plugin_paths: file } })
  const route = await fetch(`${gateway.adminUrl}/routes/r`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ paths: ['/'] }),
  })
  assert.equal(route.status, 200, await route.text())
  await put(gateway, 'one')
  return gateway
}

const now = async (gateway: Gateway) =>
  (await (await fetch(gateway.proxyUrl, { signal: AbortSignal.timeout(10_000) })).json()) as object

test('what a plugin opened stays open for the request that began with it, and is closed after it', async () => {
  await using gateway = await start()
  using client = await openRawClient(gateway.proxyPort)
  client.request('GET / HTTP/1.1', 'x-wait: 1500')
  await waitUntil('the request is under way', async () => (await inFlight(gateway)) === 1)
  await put(gateway, 'two')
  assert.deepEqual(await now(gateway), { note: 'two', closed: [] })
  assert.deepEqual(JSON.parse((await client.response()).body), { note: 'one', closed: [] })
  await waitUntil('the first configuration is closed', async () =>
    JSON.stringify(await now(gateway)).includes('["one"]'),
  )
})

async function inFlight(gateway: Gateway): Promise<number> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`, { signal: AbortSignal.timeout(5_000) })).text()
  return Number(/^meridian_exchanges_in_flight(?:\{[^}]*\})? (\d+)$/m.exec(page)?.[1])
}

test('a plugin that is still busy for a client who left keeps what it opened until it is done', async () => {
  await using gateway = await start()
  writeFileSync(path.join(folder, 'told'), '')
  const client = await openRawClient(gateway.proxyPort)
  client.request('GET / HTTP/1.1', 'x-wait: 1500')
  await waitUntil('the request is under way', async () => (await inFlight(gateway)) === 1)
  client.close()
  await waitUntil('the request is over', async () => (await inFlight(gateway)) === 0)
  await put(gateway, 'two')
  await waitUntil('the plugin is done', () => readFileSync(path.join(folder, 'told'), 'utf8') !== '')
  assert.equal(readFileSync(path.join(folder, 'told'), 'utf8'), 'one after ;')
})
