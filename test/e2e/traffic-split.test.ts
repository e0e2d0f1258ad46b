/** A split over two workers of a gateway with a store: services and upstreams as targets, rules, and a canary that fails and is aborted. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const WITHIN_MS = 15_000
let stable: Upstream
let canary: Upstream
let gateway: Gateway
let canaryStatus = 200
let canaryDelayMs = 0

before(async () => {
  stable = await startUpstream(({ target, headers }, response) => response.end(`stable ${target} ${headers['host']}`))
  canary = await startUpstream(({ target, headers }, response) => {
    const end = () => response.writeHead(canaryStatus).end(`canary ${target} ${headers['host']}`)
    if (canaryDelayMs > 0) setTimeout(end, canaryDelayMs)
    else end()
  })
  gateway = await startGateway({ database: 'sqlite', workers: 2 })
  await put('services/stable', { url: `http://127.0.0.1:${stable.port}/base` })
  await put('services/canary', { url: `http://127.0.0.1:${canary.port}/new` })
  await put('upstreams/canaries', { host_header: 'canary.test' })
  await post('upstreams/canaries/targets', { target: `127.0.0.1:${canary.port}` })
  await put('services/stable/routes/r', { paths: ['/r'] })
})
after(async () => {
  await gateway.stop()
  await Promise.all([stable.close(), canary.close()])
})

async function send(method: string, path: string, body: object | null): Promise<Record<string, any>> {
  const response = await fetch(`${gateway.adminUrl}/${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body !== null && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(WITHIN_MS),
  })
  const text = await response.text()
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
  return text === '' ? {} : (JSON.parse(text) as Record<string, any>)
}
const put = (path: string, body: object) => send('PUT', path, body)
const post = (path: string, body: object) => send('POST', path, body)

/** A new connection each time, so that both workers serve. */
async function ask(headers: Record<string, string> = {}) {
  const response = await fetch(`${gateway.proxyUrl}/r/x`, {
    headers: { connection: 'close', ...headers },
    signal: AbortSignal.timeout(WITHIN_MS),
  })
  return { status: response.status, text: await response.text(), headers: response.headers }
}

const PLUGIN = '7c9e6679-7425-40de-944b-e07fc1f90ae8'
const configure = (config: object) =>
  put(`routes/r/plugins/${PLUGIN}`, { name: 'traffic-split', config: { variant_header: 'X-Variant', ...config } })

test('a target is a service, with its path, or an upstream for the service of the route', async () => {
  await configure({
    targets: [
      { name: 'service', service: 'canary' },
      { name: 'upstream', upstream: 'canaries' },
      { name: 'gone', service: 'nobody' },
    ],
    rules: ['service', 'upstream', 'gone'].map((target) => ({ header: 'X-To', values: [target], target })),
  })
  const host = (port: number) => `127.0.0.1:${port}`
  for (const [to, text, variant] of [
    ['', `stable /base/x ${host(stable.port)}`, 'stable'],
    ['service', `canary /new/x ${host(canary.port)}`, 'service'],
    ['upstream', `canary /base/x canary.test:${canary.port}`, 'upstream'],
    ['gone', `stable /base/x ${host(stable.port)}`, 'stable'],
  ] as const) {
    const answer = await ask({ 'X-To': to })
    assert.ok(answer.text.startsWith(text.split(':')[0]!), answer.text)
    assert.equal(answer.text, text)
    assert.equal(answer.headers.get('x-variant'), variant)
  }
  // A path that a plugin made before is not the service's to change.
  await put('routes/r/plugins/7c9e6679-7425-40de-944b-e07fc1f90ae7', {
    name: 'request-transformer',
    config: { replace: { uri: '/made' } },
    ordering: { before: { access: ['traffic-split'] } },
  })
  assert.match((await ask({ 'X-To': 'service' })).text, /^canary \/made /)
  await send('DELETE', 'plugins/7c9e6679-7425-40de-944b-e07fc1f90ae7', null)
  // One that comes later, and one that goes, are seen at once.
  await put('services/nobody', { url: `http://127.0.0.1:${canary.port}/late` })
  assert.match((await ask({ 'X-To': 'gone' })).text, /^canary \/late\/x/)
  await put('services/nobody', { url: `http://127.0.0.1:${canary.port}/late`, enabled: false })
  assert.match((await ask({ 'X-To': 'gone' })).text, /^stable/)
})

/** Asks until the Admin API says that the canary is aborted. */
async function untilAborted(): Promise<Record<string, any>> {
  let report: Record<string, any> = {}
  await waitUntil('the canary is aborted', async () => {
    await Promise.all(Array.from({ length: 10 }, () => ask()))
    report = await send('GET', `traffic-split/${PLUGIN}`, null)
    return report['targets'][0].aborted !== null
  })
  return report
}

async function assertStableOnly(): Promise<void> {
  // The other worker looks twice a second.
  await new Promise((resolve) => setTimeout(resolve, 1100))
  const answers = await Promise.all(Array.from({ length: 30 }, () => ask()))
  assert.deepEqual(new Set(answers.map(({ headers }) => headers.get('x-variant'))), new Set(['stable']))
}

test('a canary that fails is aborted on all workers, shows as that, and may be let go on', async () => {
  await configure({
    targets: [{ name: 'canary', service: 'canary', weight: 50 }],
    abort: { window: 10, min_requests: 10 },
  })
  const before = await Promise.all(Array.from({ length: 40 }, () => ask()))
  assert.deepEqual(new Set(before.map(({ headers }) => headers.get('x-variant'))), new Set(['stable', 'canary']))
  canaryStatus = 500
  const report = await untilAborted()
  assert.partialDeepStrictEqual(report['targets'][0], {
    share: 0,
    weight: 50,
    aborted: { reason: 'error_rate', until: null },
  })
  assert.equal(report['stable'].share, 100)
  await assertStableOnly()
  const metrics = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  assert.match(metrics, new RegExp(`meridian_split_aborted\\{split="${PLUGIN}",target="canary"\\} 1\\n`))
  assert.match(metrics, new RegExp(`meridian_split_share\\{split="${PLUGIN}",target="canary"\\} 0\\n`))
  assert.match(
    metrics,
    new RegExp(`meridian_split_requests_total\\{split="${PLUGIN}",target="canary",outcome="error"\\} [1-9]`),
  )
  assert.equal(gateway.child.output.match(/a target of a traffic split is aborted/g)?.length, 1)

  canaryStatus = 200
  await send('DELETE', `traffic-split/${PLUGIN}/canary/aborted`, null)
  await waitUntil('the canary is asked again', async () => (await ask()).headers.get('x-variant') === 'canary')
  await send('GET', `traffic-split/${PLUGIN}`, null)
})

test('a canary that is slower is aborted', async () => {
  await configure({
    targets: [{ name: 'canary', service: 'canary', weight: 40 }],
    abort: { window: 10, min_requests: 10, latency_factor: 1, latency_slack: 100 },
  })
  canaryDelayMs = 600
  const report = await untilAborted()
  assert.equal(report['targets'][0].aborted.reason, 'latency')
  assert.ok(report['targets'][0].latency > 400, JSON.stringify(report))
  await assertStableOnly()
})

test('what is no split, and no target, is not found', async () => {
  for (const [method, path] of [
    ['GET', 'traffic-split/00000000-0000-4000-8000-000000000000'],
    ['DELETE', `traffic-split/${PLUGIN}/nobody/aborted`],
  ] as const) {
    const response = await fetch(`${gateway.adminUrl}/${path}`, { method })
    assert.equal(response.status, 404)
    await response.body?.cancel()
  }
})
