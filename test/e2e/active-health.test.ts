import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { adminCall } from '../support/admin-call.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

/** Interval of the checks: short, so that the tests are. */
const INTERVAL = 0.2

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-plugin-'))
/** An operator's plugin that ends its worker. */
const plugin = path.join(folder, 'end.ts')
writeFileSync(
  plugin,
  `
import { definePlugin, definePluginSchema, t } from 'meridian/pdk'

export default definePlugin({
  schema: definePluginSchema({
    name: 'end', priority: 820, version: '1.0.0',
    scopes: { global: true, service: true, route: true, consumer: false },
    protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
    config: { note: t.string() },
  }),
  prepare: () => null,
  access() {
    setImmediate(() => { throw new Error('thrown where nobody catches') })
  },
})
`,
)

let gateway: Gateway
let one: Upstream
let two: Upstream
/** What targets answer to `/health`. */
const health = { one: 200, two: 200 }
let grpc: ReturnType<typeof createHttp2>
let grpcState = 1
let grpcAsked: string[] = []
const sessions = new Set<Socket>()

before(async () => {
  const start = (name: 'one' | 'two') =>
    startUpstream((request, response) => {
      response.statusCode = request.target === '/health' ? health[name] : 200
      response.end(name)
    })
  one = await start('one')
  two = await start('two')
  grpc = createHttp2()
  grpc.on('connection', (socket: Socket) => sessions.add(socket))
  grpc.on('stream', (stream: ServerHttp2Stream, headers) => {
    let body = Buffer.alloc(0)
    stream.on('data', (bytes: Buffer) => (body = Buffer.concat([body, bytes])))
    stream.on('end', () => {
      grpcAsked.push(`${headers[':path']} ${body.subarray(5).toString('latin1')}`)
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, grpcState]))
    })
  })
  const grpcPort = await listen(grpc)
  gateway = await startGateway({
    database: 'sqlite',
    workers: 2,
    settings: { plugin_paths: plugin },
  })
  await put('/upstreams/web', {
    name: 'web',
    healthchecks: { active: active({ http_path: '/health', headers: { 'x-probe': ['a', 'b'] } }) },
    host_header: 'web.test',
  })
  await put('/upstreams/rpc', {
    name: 'rpc',
    healthchecks: { active: active({ type: 'grpc', http_path: '/shop.Orders' }) },
  })
  await post('/upstreams/web/targets', { target: `127.0.0.1:${one.port}` })
  await post('/upstreams/web/targets', { target: `127.0.0.1:${two.port}` })
  await post('/upstreams/rpc/targets', { target: `127.0.0.1:${grpcPort}` })
  await put('/services/web', { host: 'web', retries: 0 })
  await put('/services/web/routes/web', { paths: ['/'] })
  await put('/services/web/routes/end', { paths: ['/end'] })
  await post('/routes/end/plugins', { name: 'end' })
})
after(async () => {
  await gateway.stop()
  rmSync(folder, { recursive: true })
  await one.close()
  await two.close()
  for (const socket of sessions) socket.destroy()
  grpc.close()
})

function active(more: object = {}, limits: object = {}): object {
  return {
    type: 'http',
    timeout: 1,
    healthy: { interval: INTERVAL, successes: 1 },
    unhealthy: { interval: INTERVAL, http_failures: 1, tcp_failures: 1, timeouts: 1, ...limits },
    ...more,
  }
}

function listen(server: Pick<Server, 'listen' | 'address'>): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  )
}

const admin = (method: string, target: string, body?: object) => adminCall(gateway, method, target, body)
const put = (path: string, body: object) => admin('PUT', path, body)
const post = (path: string, body: object) => admin('POST', path, body)

/** Health of an upstream's targets by port. */
async function states(upstream: string): Promise<Record<string, string>> {
  const { data } = await admin('GET', `/upstreams/${upstream}/health`)
  return Object.fromEntries(data.map((one: any) => [one.target.split(':').at(-1), one.health]))
}

/** Who answers, over so many new connections that every worker has some. */
async function whoAnswers(): Promise<string[]> {
  const names = new Set<string>()
  for (let i = 0; i < 24; i++) {
    const response = await fetch(gateway.proxyUrl, { headers: { connection: 'close' } })
    names.add(response.ok ? await response.text() : String(response.status))
  }
  return [...names].toSorted()
}

async function figure(name: string): Promise<number> {
  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  return page
    .split('\n')
    .filter((line) => line.startsWith(name))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** All lines of the log with that text, when there are as many at least: they come a little later than what they tell of. */
async function logged(text: string, count: number): Promise<string[]> {
  const found = () => gateway.child.output.split('\n').filter((line) => line.includes(text))
  await waitUntil(`${count} lines: ${text}`, () => found().length >= count)
  return found()
}

test('a target that answers a check badly gets no requests from any worker, and is back within an interval and a second', async () => {
  await waitUntil('probes', () => one.received.some(({ target }) => target === '/health'))
  const probe = one.received.find(({ target }) => target === '/health')!
  assert.deepEqual([probe.method, probe.httpVersion, probe.headers['host']], ['GET', '1.0', 'web.test'])
  assert.deepEqual(
    probe.rawHeaders.filter((_, at) => probe.rawHeaders[at - 1] === 'x-probe'),
    ['a', 'b'],
  )
  health.one = 503
  await waitUntil('out', async () => (await states('web'))[one.port] === 'UNHEALTHY')
  assert.deepEqual(await whoAnswers(), ['two'])
  health.one = 200
  await waitUntil('back', async () => (await states('web'))[one.port] === 'HEALTHY')
  assert.deepEqual(await whoAnswers(), ['one', 'two'])
})

test('a worker that starts later knows what is unhealthy before its first request', async () => {
  health.two = 500
  await waitUntil('out', async () => (await states('web'))[two.port] === 'UNHEALTHY')
  // Nothing but what is known already can tell the new workers.
  const silent = { ...active({ http_path: '/health' }), unhealthy: { interval: 0, http_failures: 1 } }
  await put('/upstreams/web', { name: 'web', healthchecks: { active: silent } })
  while ((await figure('meridian_worker_restarts_total')) < 2) {
    await fetch(`${gateway.proxyUrl}/end`).then(
      (response) => response.text(),
      () => null,
    )
    await sleep(50)
  }
  await waitUntil('both are back', async () => (await figure('meridian_worker_up')) === 2)
  assert.deepEqual(await whoAnswers(), ['one'])
  health.two = 200
  await admin('PUT', '/upstreams/web', {
    name: 'web',
    healthchecks: { active: active({ http_path: '/health' }) },
  })
  await waitUntil('back', async () => (await states('web'))[two.port] === 'HEALTHY')
})

test('each change is one line in the log, whoever saw it', async () => {
  const changes = (await logged('a target is', 4)).map((line) => {
    const { port, isHealthy, cause } = JSON.parse(line)
    return `${port} ${isHealthy} ${cause}`
  })
  assert.deepEqual(changes, [
    `${one.port} false probe`,
    `${one.port} true probe`,
    `${two.port} false probe`,
    `${two.port} true probe`,
  ])
})

test('gRPC servers are asked by the health protocol for the service that the path names', async () => {
  const [port] = Object.keys(await states('rpc'))
  await waitUntil('asked', () => grpcAsked.length > 0)
  assert.equal(grpcAsked[0], '/grpc.health.v1.Health/Check \n\x0bshop.Orders')
  assert.equal((await states('rpc'))[port!], 'HEALTHY')
  grpcState = 2
  await waitUntil('out', async () => (await states('rpc'))[port!] === 'UNHEALTHY')
  grpcState = 1
  await waitUntil('back', async () => (await states('rpc'))[port!] === 'HEALTHY')
})

test('a target that takes connections and never answers is out by time-outs; one that refuses by failures; removed ones are probed no more', async () => {
  let connections = 0
  const silent = createServer(() => connections++)
  const port = await listen(silent)
  const nobody = await freePort()
  await put('/upstreams/slow', {
    name: 'slow',
    healthchecks: { active: active({ timeout: 0.3 }, { http_failures: 0, tcp_failures: 0 }) },
  })
  await put('/upstreams/gone', {
    name: 'gone',
    healthchecks: { active: active({ type: 'tcp' }, { http_failures: 0, timeouts: 0 }) },
  })
  await post('/upstreams/slow/targets', { target: `127.0.0.1:${port}` })
  await post('/upstreams/gone/targets', { target: `127.0.0.1:${nobody}` })
  await post('/upstreams/gone/targets', { target: `127.0.0.1:${port}` })
  await waitUntil('silent out', async () => (await states('slow'))[port] === 'UNHEALTHY')
  await waitUntil('refusing out', async () => (await states('gone'))[nobody] === 'UNHEALTHY')
  assert.equal((await states('gone'))[port], 'HEALTHY', 'a TCP check asks for no answer')
  await admin('DELETE', '/upstreams/slow')
  await admin('DELETE', '/upstreams/gone')
  await sleep(100)
  const before = connections
  await sleep(INTERVAL * 3 * 1000)
  assert.equal(connections, before)
  silent.close()
})

test('an operator sets a target or an address on all workers, and is told what can not be set', async () => {
  const name = `127.0.0.1:${one.port}`
  const checks = { passive: { unhealthy: { tcp_failures: 1 } } }
  await put('/upstreams/web', { name: 'web', healthchecks: checks })
  await put(`/upstreams/web/targets/${name}/unhealthy`, {})
  assert.deepEqual(await whoAnswers(), ['two'])
  await put(`/upstreams/web/targets/${name}/${name}/healthy`, {})
  assert.deepEqual(await whoAnswers(), ['one', 'two'])
  await post(`/upstreams/web/targets/${name}/${name}/unhealthy`, {})
  assert.deepEqual(await whoAnswers(), ['two'])
  const refused = await fetch(`${gateway.adminUrl}/upstreams/web/targets/${name}/127.0.0.9:1/healthy`, {
    method: 'PUT',
  })
  assert.deepEqual(
    [refused.status, await refused.json()],
    [400, { message: `target ${name} has no address 127.0.0.9:1` }],
  )
})

test('when too few are healthy it is 503, or with resilience.panic all targets get requests', async () => {
  await put(`/upstreams/web/targets/127.0.0.1:${two.port}/unhealthy`, {})
  assert.deepEqual(await whoAnswers(), ['503'])
  const whole = async () => (await admin('GET', '/upstreams/web/health?balancer_health=1')).data
  assert.equal((await whole()).health, 'UNHEALTHY')
  assert.equal('resilience' in (await admin('GET', '/upstreams/web')), false)
  await admin('PATCH', '/upstreams/web', { resilience: { panic: true } })
  assert.deepEqual(await whoAnswers(), ['one', 'two'])
  assert.partialDeepStrictEqual(await whole(), { health: 'UNHEALTHY', panic: true })
  assert.equal(await figure('meridian_upstreams_in_panic'), 2)
  assert.equal((await logged('requests go to all of them', 1)).length, 1)
})

test('the figures say that checks run', async () => {
  const last = await figure('meridian_health_check_last_run_seconds')
  assert.ok(Math.abs(Date.now() / 1000 - last) < 2, `${last}`)
  assert.ok((await figure('meridian_health_probes_total')) > 10)
  assert.equal(await figure('meridian_health_probes_total{outcome="broken"}'), 0)
  assert.ok((await figure('meridian_health_check_overdue_seconds')) < 1)
})
