import assert from 'node:assert/strict'
import { connect, type AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { AdminListener } from './listener.ts'
import type { AdminPorts } from './ports.ts'
import { metricsEndpoint, openStatusServer, type Readiness, type StatusServerOptions } from './status-server.ts'

const LOOPBACK: AdminListener = { address: { ip: '127.0.0.1', port: 0 }, tls: null }

/** As much of a gateway as the status listener looks at. */
function fakePorts(): AdminPorts {
  const ports = {
    node: {
      id: 'n',
      version: '0.1.0',
      kongVersion: '3.9.3',
      pid: 7,
      workers: 1,
      defaultWorkspace: 'default',
      configuration: {},
      warnings: () => ['TCP routes are not served yet'],
    },
    store: { head: () => Promise.resolve({ revision: 5, hash: 'h', digests: {} }) },
    statistics: {
      connections: () => ({ connections_active: 1, total_requests: 9 }),
      workerHeaps: () => [{ worker: 0, heapBytes: 1024 ** 2 }],
      sharedMemory: () => ({ counters: { usedBytes: 0, sizeBytes: 1024 } }),
    },
    isDatabase: true,
    isStoreReachable: () => true,
    degraded: () => ['redis limits'],
    serving: { revision: 4 },
    nowMs: () => 0,
    log: { error: () => {} },
  }
  return ports as unknown as AdminPorts
}

async function open(context: TestContext, options: Partial<StatusServerOptions> = {}) {
  let readiness: Readiness = { isReady: true }
  const server = await openStatusServer({
    ...fakePorts(),
    listeners: [LOOPBACK],
    readiness: () => readiness,
    startDraining: () => (readiness = { isReady: false, reason: 'draining' }),
    metricsPage: async function* () {
      yield 'a 1\n'
      yield 'b 2\n'
    },
    access: null,
    ...options,
  })
  context.after(() => server.close(0))
  const { port } = server.addresses[0] as AddressInfo
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
  }
  return { port, ask, set: (next: Readiness) => (readiness = next) }
}

const drain = (body: unknown, headers = {}) => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { 'Content-Type': 'application/json', ...headers },
})

test('/status/ready says why the node takes no traffic', async (context) => {
  const { ask, set } = await open(context)
  assert.deepEqual(await ask('/status/ready'), {
    status: 200,
    type: 'application/json; charset=utf-8',
    text: '{"message":"ready"}',
  })
  set({ isReady: false, reason: 'configuration is being loaded' })
  assert.deepEqual(await ask('/status/ready'), {
    status: 503,
    type: 'application/json; charset=utf-8',
    text: '{"message":"configuration is being loaded"}',
  })
})

test('/status shows what the Admin API shows, in the unit that is asked for', async (context) => {
  const { ask } = await open(context)
  const { status, text } = await ask('/status?unit=k')
  assert.equal(status, 200)
  assert.partialDeepStrictEqual(JSON.parse(text), {
    memory: { workers_lua_vms: [{ http_allocated_gc: '1024.00 KiB' }] },
    server: { total_requests: 9 },
    database: { reachable: true },
    meridian: { revision: 5, serving: 4 },
  })
  assert.equal((await ask('/status?unit=x')).status, 400)
})

test('/metrics is the page, whole, and empty for HEAD', async (context) => {
  const { ask } = await open(context)
  assert.deepEqual(await ask('/metrics'), {
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
    text: 'a 1\nb 2\n',
  })
  assert.equal((await ask('/metrics', { method: 'HEAD' })).text, '')
})

test('the Admin API has the same page', async () => {
  const endpoint = metricsEndpoint(async function* () {
    yield 'a 1\n'
  })
  const answer = await endpoint.methods.GET!.handler({} as never)
  assert.deepEqual(answer, { status: 200, body: { text: 'a 1\n', type: 'text/plain; version=0.0.4; charset=utf-8' } })
})

test('a page that fails midway is cut off, so that nobody takes it for whole', async (context) => {
  const { ask } = await open(context, {
    metricsPage: async function* () {
      yield 'a 1\n'
      await new Promise((resolve) => setTimeout(resolve, 20))
      throw new Error('broken')
    },
  })
  await assert.rejects(ask('/metrics'))
})

test('only some pages are written at a time, and a client that leaves frees its place', async (context) => {
  const waiting = Promise.withResolvers<void>()
  const allStarted = Promise.withResolvers<void>()
  let started = 0
  const { port, ask } = await open(context, {
    metricsPage: async function* () {
      if (++started === 4) allStarted.resolve()
      yield 'a 1\n'
      await waiting.promise
      yield 'b 2\n'
    },
  })
  const clients = Array.from({ length: 4 }, () => {
    const client = connect(port, '127.0.0.1')
    client.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
    return client
  })
  await allStarted.promise
  assert.equal((await ask('/metrics')).status, 503)
  for (const client of clients) client.destroy()
  waiting.resolve()
  let status = 503
  for (let attempt = 0; attempt < 200 && status === 503; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    status = (await ask('/metrics')).status
  }
  assert.equal(status, 200)
})

test('a node is told to drain from its own machine, by a program', async (context) => {
  const { ask } = await open(context)
  assert.equal((await ask('/status/ready', drain({ status: 'off' }))).status, 400)
  assert.equal(
    (await ask('/status/ready', drain({ status: 'draining' }, { Origin: 'https://evil.example' }))).status,
    403,
  )
  assert.equal((await ask('/status/ready')).status, 200)
  assert.equal((await ask('/status/ready', drain({ status: 'draining' }))).status, 204)
  assert.equal((await ask('/status/ready')).text, '{"message":"draining"}')
})

test('a listener that may be reached by other machines takes no order to drain', async (context) => {
  // A name can stand for any address: only the addresses of loopback count as such.
  const { ask } = await open(context, { listeners: [{ address: { ip: 'localhost', port: 0 }, tls: null }] })
  assert.equal((await ask('/status/ready', drain({ status: 'draining' }))).status, 405)
  assert.equal((await ask('/status/ready')).status, 200)
})

test('nothing else is served', async (context) => {
  const { ask } = await open(context)
  assert.deepEqual(
    [(await ask('/')).status, (await ask('/services')).status, (await ask('/status', { method: 'DELETE' })).status],
    [404, 404, 405],
  )
})

test('a port that is taken is the error of the start, and nothing stays open', async (context) => {
  const { port } = await open(context)
  const listeners = [LOOPBACK, { address: { ip: '127.0.0.1', port }, tls: null }]
  const options = {
    ...fakePorts(),
    listeners,
    readiness: () => ({ isReady: true }) as const,
    startDraining() {},
    metricsPage: async function* () {},
    access: null,
  }
  await assert.rejects(openStatusServer(options), { code: 'EADDRINUSE', port })
})
