import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient, type RawClient } from '../support/raw-client.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-loss-'))
after(() => rmSync(folder, { recursive: true }))

/** An operator's plugin that ends its worker. */
const file = path.join(folder, 'deadly.ts')
writeFileSync(
  file,
  `
import { definePlugin, definePluginSchema, t } from 'meridian/pdk'

export default definePlugin({
  schema: definePluginSchema({
    name: 'deadly', priority: 820, version: '1.0.0',
    scopes: { global: true, service: true, route: true, consumer: false },
    protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
    config: { note: t.string() },
  }),
  prepare: () => null,
  access() {
    setImmediate(() => { throw new Error('ends the worker') })
  },
})
`,
)

const CHANGES = 200
const CHANGES_PER_LOSS = 25
const WORKERS = 2

/** What a client may see of a worker that dies; everything else has to be a right answer. */
const LOST = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE'])

function get(port: number, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ port, agent, path: '/x', timeout: 20_000 }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve(`${response.statusCode} ${body}`)).on('error', reject)
    })
      .on('error', reject)
      .on('timeout', function (this: { destroy(error: Error): void }) {
        this.destroy(new Error('no answer'))
      })
      .end()
  })
}

/** Of a worker that answers: one that is dying keeps its listening socket for a moment, and what comes there is lost. */
async function openLiveClient(port: number): Promise<RawClient> {
  for (const untilMs = performance.now() + 20_000; ;) {
    let client: RawClient | null = null
    try {
      client = await openRawClient(port)
      client.request('GET /x HTTP/1.1')
      await client.response()
      return client
    } catch (error) {
      client?.close()
      if (performance.now() > untilMs) throw error
    }
  }
}

async function pageOf(gateway: Gateway): Promise<string> {
  return await (await fetch(`${gateway.statusUrl}/metrics`, { signal: AbortSignal.timeout(5_000) })).text()
}

/** The figure of each worker that runs. */
function figures(page: string, name: string): number[] {
  return [...page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) => Number(value))
}

test('while workers die under 200 changes no answer is wrong, and at the end all serve the last revision', async () => {
  await using upstream = await startUpstream((received, response) => response.end(received.target))
  await using gateway = await startGateway({
    workers: WORKERS,
    database: 'sqlite',
    settings: { plugin_paths: file, overload_delay: '0' },
  })
  const admin = async (method: string, target: string, body: object): Promise<Response> => {
    const response = await fetch(gateway.adminUrl + target, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    })
    const text = await response.text()
    assert.ok(response.ok, `${method} ${target}: ${response.status} ${text}`)
    return response
  }
  await admin('PUT', '/services/s', { host: '127.0.0.1', port: upstream.port, path: '/v0' })
  await admin('PUT', '/routes/r', { paths: ['/x'], strip_path: false, service: { name: 's' } })
  await admin('PUT', '/routes/deadly', { paths: ['/deadly'], service: { name: 's' } })
  await admin('POST', '/routes/deadly/plugins', { name: 'deadly' })

  /** The newest version that was sent, and the newest that all workers serve, as its answer said. */
  let sent = 0
  let served = 0
  const load = { isOn: true }
  let answers = 0
  const loading = Promise.all(
    Array.from({ length: 4 }, async (_, connection) => {
      // Half of them begin anew each time, so that it is every worker's turn.
      const agent = new Agent({ keepAlive: connection % 2 === 0, maxSockets: 1 })
      while (load.isOn) {
        const atLeast = served
        const answer = await get(gateway.proxyPort, agent).catch((error: NodeJS.ErrnoException) => {
          if (!LOST.has(error.code ?? '')) throw error
          return null
        })
        if (answer === null) continue
        const version = Number(/^200 \/v(\d+)\/x$/.exec(answer)?.[1])
        assert.ok(version >= atLeast && version <= sent, `${answer}, expected v${atLeast} to v${sent}`)
        answers++
      }
      agent.destroy()
    }),
  )
  // Told when the load ends; until then it must not count as unhandled.
  loading.catch(() => undefined)

  try {
    const losses = () => gateway.child.output.split('a worker was lost and is replaced').length - 1
    for (let change = 1; change <= CHANGES; change++) {
      if (change % CHANGES_PER_LOSS === 0) {
        const before = losses()
        using client = await openLiveClient(gateway.proxyPort)
        client.request('GET /deadly HTTP/1.1')
        // The next changes come while the worker is gone, and while its replacement loads.
        await waitUntil('the loss is logged', () => losses() > before)
      }
      sent = change
      const response = await admin('PATCH', '/services/s', { path: `/v${change}` })
      if (response.headers.get('x-config-serving') === null) served = change
    }
    await waitUntil(
      'all workers serve the last revision',
      async () => {
        const page = await pageOf(gateway)
        const [head] = figures(page, 'meridian_config_head_revision')
        const revisions = figures(page, 'meridian_config_revision')
        return revisions.length === WORKERS && revisions.every((revision) => revision === head)
      },
      20_000,
    )
    served = CHANGES
  } finally {
    // It would keep a test that has failed from ending.
    load.isOn = false
  }
  await loading
  assert.ok(answers > 100, `${answers} answers`)
  const agent = new Agent({ keepAlive: false, maxSockets: 8 })
  const last = await Promise.all(Array.from({ length: 20 }, () => get(gateway.proxyPort, agent)))
  assert.deepEqual(new Set(last), new Set([`200 /v${CHANGES}/x`]))
  assert.deepEqual(figures(await pageOf(gateway), 'meridian_worker_restarts_total'), [CHANGES / CHANGES_PER_LOSS])
})
