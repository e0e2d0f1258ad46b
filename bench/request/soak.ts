/** Minutes of load with aborting clients and changing configuration; then: is anything left over? */
import { globSync, readlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { startGateway, type Gateway } from '../../test/support/gateway.ts'
import { createAdminClient, type AdminClient } from '../support/admin-client.ts'
import { figure, type Bench, type Figure } from '../support/bench.ts'
import { INSPECT, inspect, type Inspector } from '../support/inspector.ts'
import { runWrk } from '../support/wrk.ts'
import { works } from './works.ts'

const WORKERS = 2
const CONNECTIONS = 32
const CHANGES = 1_000
const ABORTS_PER_SECOND = 50
/** Of the whole time, before the first look: caches, compiled code and pools are then what they stay. */
const WARM_UP_SHARE = 0.2
/** Kept-alive connections to the upstream and from clients close after this, so that both looks see none of them. */
const IDLE_TIMEOUT_SECONDS = 3
const SETTLE_MS = (IDLE_TIMEOUT_SECONDS + 5) * 1_000
const BURST_REQUESTS = 20_000

interface State {
  readonly heapBytes: number
  readonly sockets: number
  readonly timers: number
}

export async function measureSoak(bench: Bench, backendPort: number): Promise<Figure[]> {
  await using gateway = await startGateway({
    database: 'sqlite',
    workers: WORKERS,
    nodeOptions: [INSPECT],
    settings: { upstream_keepalive_idle_timeout: String(IDLE_TIMEOUT_SECONDS) },
  })
  const admin = createAdminClient(gateway.adminUrl)
  await admin.send('POST', '/services', { name: 'backend', url: `http://127.0.0.1:${backendPort}` })
  await admin.send('POST', '/services/backend/routes', { name: 'all', paths: ['/'] })
  await admin.send('POST', '/services/backend/routes', { name: 'changing', paths: ['/changing'] })

  const totalMs = bench.soakMinutes * 60_000
  const inspector = await inspect(gateway.child)
  const warmUp = await run(bench, gateway, admin, totalMs * WARM_UP_SHARE, CHANGES * WARM_UP_SHARE)
  const before = await look(gateway, inspector)
  const soak = await run(bench, gateway, admin, totalMs * (1 - WARM_UP_SHARE), CHANGES * (1 - WARM_UP_SHARE))
  const after = await look(gateway, inspector)
  inspector.close()

  const mebibytes = (bytes: number) => bytes / 2 ** 20
  return [
    figure('soak-heap', 100 * (after.heapBytes / before.heapBytes - 1), {
      'before MiB': mebibytes(before.heapBytes),
      'after MiB': mebibytes(after.heapBytes),
      minutes: bench.soakMinutes,
      requests: warmUp.requests + soak.requests,
      aborts: warmUp.aborts + soak.aborts,
      changes: warmUp.changes + soak.changes,
    }),
    figure('soak-sockets', Math.max(0, after.sockets - before.sockets), {
      before: before.sockets,
      after: after.sockets,
    }),
    figure('soak-timers', Math.max(0, after.timers - before.timers), { before: before.timers, after: after.timers }),
  ]
}

async function run(bench: Bench, gateway: Gateway, admin: AdminClient, durationMs: number, changes: number) {
  const deadline = performance.now() + durationMs
  const [requests, aborts, made] = await Promise.all([
    keepLoading(bench, gateway, deadline),
    keepAborting(gateway, deadline),
    keepChanging(admin, deadline, durationMs / changes),
  ])
  return { requests, aborts, changes: made }
}

async function keepLoading(bench: Bench, gateway: Gateway, deadline: number): Promise<number> {
  const plain = works.find(({ id }) => id === 'plain')
  if (!plain) throw new Error('there is no work "plain"')
  const load = { ...plain, url: gateway.proxyUrl, connections: CONNECTIONS, requests: BURST_REQUESTS, isGateway: true }
  let requests = 0
  while (performance.now() < deadline) {
    await runWrk(bench.programs.wrk, load, () => {})
    requests += BURST_REQUESTS
  }
  return requests
}

/** Clients that go away: inside the head, inside the body, while the answer comes. */
async function keepAborting(gateway: Gateway, deadline: number): Promise<number> {
  const beginnings = [
    'GET / HTTP/1.1\r\nHost: lo',
    'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nonly a part',
    'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nonly a part',
    'GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n',
  ]
  let aborts = 0
  while (performance.now() < deadline) {
    const socket = connect({ port: gateway.proxyPort, host: '127.0.0.1' })
    // The gateway may be the first to close; either end is what this is about.
    socket.on('error', () => socket.destroy())
    socket.write(beginnings[aborts % beginnings.length] ?? '')
    setTimeout(() => (aborts % 2 === 0 ? socket.destroy() : socket.resetAndDestroy()), 1 + (aborts % 10))
    aborts++
    await sleep(1_000 / ABORTS_PER_SECOND)
  }
  return aborts
}

async function keepChanging(admin: AdminClient, deadline: number, everyMs: number): Promise<number> {
  let changes = 0
  while (performance.now() < deadline) {
    const turn = changes >> 2
    if (changes % 4 === 0) await admin.send('PATCH', '/routes/changing', { paths: [`/changing-${turn}`] })
    else if (changes % 4 === 1) await admin.send('PUT', '/consumers/changing', { custom_id: `id-${turn}` })
    else if (changes % 4 === 2) await admin.send('POST', '/consumers/changing/key-auth', { key: `key-${turn}` })
    else await admin.send('DELETE', '/consumers/changing')
    changes++
    await sleep(everyMs)
  }
  return changes
}

/** After all connections have had the time to close. */
async function look(gateway: Gateway, inspector: Inspector): Promise<State> {
  await sleep(SETTLE_MS)
  let heapBytes = 0
  let timers = 0
  for (const thread of [inspector.main, ...inspector.workers]) {
    const { usedBytes, backingBytes } = await thread.heapAfterCollection()
    heapBytes += usedBytes + backingBytes
    timers += (await thread.activeResources())['Timeout'] ?? 0
  }
  return { heapBytes, sockets: countSockets(gateway.child.pid), timers }
}

function countSockets(pid: number): number {
  let count = 0
  for (const name of globSync('*', { cwd: `/proc/${pid}/fd` })) {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${name}`).startsWith('socket:')) count++
    } catch (error) {
      // Closed between listing and looking.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return count
}
