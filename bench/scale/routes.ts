/** Large tables: a worker's heap with 10,000 routes; with 50,000, how soon a change serves and what it holds up. */
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { startGateway, type Gateway } from '../../test/support/gateway.ts'
import { createAdminClient, inParallel, type AdminClient } from '../support/admin-client.ts'
import { figure, type Figure } from '../support/bench.ts'
import { INSPECT, inspect, type InspectedThread } from '../support/inspector.ts'
import { SMALL_BODY } from '../support/subjects.ts'

const HEAP_ROUTES = 10_000
const CHANGE_ROUTES = 50_000
const CHANGES = 200
const WARM_UP_CHANGES = 50
const WORKERS = 2
const LOAD_WIDTH = 64
const MIB = 2 ** 20

const pathOf = (n: number) => `/group-${n % 100}/route-${n}`
const hostOf = (n: number) => `host-${n % 1_000}.example.test`
const routeOf = (n: number, version = 0) => ({
  name: `route-${n}`,
  hosts: [hostOf(n)],
  paths: [version === 0 ? pathOf(n) : `${pathOf(n)}/v${version}`],
})

export async function measureHeap(backendPort: number): Promise<Figure[]> {
  const routes = Array.from({ length: HEAP_ROUTES }, (_, n) => routeOf(n))
  const declarative = {
    _format_version: '3.0',
    services: [{ name: 'backend', url: `http://127.0.0.1:${backendPort}`, routes }],
  }
  await using gateway = await startGateway({ declarative, nodeOptions: [INSPECT] })
  await inParallel(2_000, 8, async (n) => {
    if (!(await serves(gateway, n))) throw new Error(`route ${n} does not serve`)
  })
  const inspector = await inspect(gateway.child)
  const uses = await Promise.all(inspector.workers.map((worker) => worker.heapAfterCollection()))
  inspector.close()
  const largest = Math.max(...uses.map(({ usedBytes, backingBytes }) => usedBytes + backingBytes)) / MIB
  return [figure('heap', largest, { routes: HEAP_ROUTES, workers: uses.length })]
}

export async function measureChanges(backendPort: number): Promise<Figure[]> {
  await using gateway = await startGateway({ database: 'sqlite', workers: WORKERS, nodeOptions: [INSPECT] })
  const admin = createAdminClient(gateway.adminUrl)
  await admin.send('POST', '/services', { name: 'backend', url: `http://127.0.0.1:${backendPort}` })
  const started = performance.now()
  await inParallel(CHANGE_ROUTES, LOAD_WIDTH, async (n) => {
    await admin.send('POST', '/services/backend/routes', routeOf(n))
  })
  const loadSeconds = (performance.now() - started) / 1_000

  const inspector = await inspect(gateway.child)
  for (let n = 0; n < WARM_UP_CHANGES; n++) {
    await sendChange(admin, n, 1)
    await checkChange(gateway, n, 1)
  }
  const watches = await Promise.all(inspector.workers.map((worker) => watchStalls(worker)))
  const times: number[] = []
  const stalls: number[] = []
  const idleStalls: number[] = []
  for (let n = WARM_UP_CHANGES; n < WARM_UP_CHANGES + CHANGES; n++) {
    idleStalls.push(await longestStall(watches, () => sleep(5)))
    stalls.push(await longestStall(watches, async () => void times.push(await sendChange(admin, n, 1))))
    await checkChange(gateway, n, 1)
  }
  inspector.close()
  return [
    figure('change', p99(times), {
      'median ms': median(times),
      changes: CHANGES,
      routes: CHANGE_ROUTES,
      workers: WORKERS,
    }),
    figure('stall', p99(stalls), {
      'median ms': median(stalls),
      'p99 ms without changes': p99(idleStalls),
      'routes created /s': CHANGE_ROUTES / loadSeconds,
    }),
  ]
}

const sorted = (values: readonly number[]) => values.toSorted((a, b) => a - b)
const p99 = (values: readonly number[]) => sorted(values)[Math.ceil(values.length * 0.99) - 1] ?? Number.NaN
const median = (values: readonly number[]) => sorted(values)[values.length >> 1] ?? Number.NaN

/** Milliseconds from sending a change to its answer, which promises that all workers serve it. */
async function sendChange(admin: AdminClient, n: number, version: number): Promise<number> {
  const started = performance.now()
  await admin.send('PATCH', `/routes/route-${n}`, { paths: routeOf(n, version).paths })
  return performance.now() - started
}

async function checkChange(gateway: Gateway, n: number, version: number): Promise<void> {
  if (await serves(gateway, n, 0)) throw new Error(`route ${n} still serves its old path after the change was answered`)
  if (!(await serves(gateway, n, version))) throw new Error(`route ${n} does not serve the change that was answered`)
}

async function serves(gateway: Gateway, n: number, version = 0): Promise<boolean> {
  // Not `fetch`, which sends no other Host than the URL's.
  const { statusCode, body } = await request(gateway.proxyUrl + (routeOf(n, version).paths[0] ?? ''), {
    headers: { host: hostOf(n) },
  })
  return (await body.text()) === SMALL_BODY && statusCode === 200
}

interface StallWatch {
  readonly reset: () => Promise<void>
  /** At most how long the thread's loop was held up at a time since `reset`, in ms. */
  readonly read: () => Promise<number>
}

const RESOLUTION_MS = 1

/** At most how long, in ms, any of the loops was held up at a time while `act` ran. */
async function longestStall(watches: readonly StallWatch[], act: () => Promise<void>): Promise<number> {
  await Promise.all(watches.map(({ reset }) => reset()))
  await act()
  // Some turns more of each loop, so that a delay at the end is on record.
  await sleep(5)
  return Math.max(...(await Promise.all(watches.map(({ read }) => read()))))
}

/**
 * Two bounds, of which the lower one counts: the longest time between two turns of the loop, which also grows when the
 * machine gives the thread no core, and the CPU time that the thread has used in all.
 */
async function watchStalls(thread: InspectedThread): Promise<StallWatch> {
  const histogram = `globalThis[Symbol.for('bench.delay')]`
  const cpuMs = `(({ user, system }) => (user + system) / 1e3)(process.threadCpuUsage())`
  await thread.evaluate(
    `${histogram} = process.getBuiltinModule('node:perf_hooks').monitorEventLoopDelay({ resolution: ${RESOLUTION_MS} }); ${histogram}.enable(); 0`,
  )
  let cpuBefore = 0
  return {
    reset: async () => {
      cpuBefore = await thread.evaluate<number>(`${histogram}.reset(), ${cpuMs}`)
    },
    read: async () => {
      const [longest = 0, cpu = 0] = await thread.evaluate<number[]>(`[${histogram}.max / 1e6, ${cpuMs}]`)
      // The histogram records the time between two ticks of its timer, so its own interval is in it.
      return Math.min(Math.max(0, longest - RESOLUTION_MS), cpu - cpuBefore)
    },
  }
}
