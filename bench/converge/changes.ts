/** From the Admin API's answer to a change until each gateway answers requests by it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { inParallel } from '../support/admin-client.ts'
import type { Answer, Bed, GatewaySeat } from './cluster.ts'
import { convergeFigure, type ConvergeFigure } from './limits.ts'
import { watchPressure } from './pressure.ts'

export interface ChangesOptions {
  readonly changes: number
  /** Requests a second to each gateway meanwhile. */
  readonly load: number
}

interface Change {
  readonly method: string
  readonly target: string
  readonly body?: object
  /** The request that shows it, and whether an answer is that of the time after. */
  readonly ask: (seat: GatewaySeat) => Promise<Answer>
  readonly isAfter: (answer: Answer) => boolean
}

const PROBE_MS = 20
const GIVE_UP_MS = 15_000
/** After the first correct answer a gateway must not go back. */
const WATCH_MS = 1_000
const WATCH_EVERY_MS = 100
const LONGEST_PAUSE_MS = 300
const WIDTH = 50

export async function measureChanges(
  bed: Bed,
  seats: readonly GatewaySeat[],
  { changes: count, load }: ChangesOptions,
): Promise<ConvergeFigure[]> {
  const [writer] = seats
  if (writer === undefined) throw new Error('no gateway')
  const changes = shuffled(await prepare(bed, seats, writer, count))
  const background = startLoad(seats, load)
  const pressure = watchPressure(seats.map(({ gateway }) => gateway.child.pid))
  const samples = new Map(seats.map(({ name }) => [name, [] as number[]]))
  const acknowledgedMs: number[] = []
  let [never, wentBack] = [0, 0]
  const watching: Promise<void>[] = []
  for (const change of changes) {
    const sent = performance.now()
    const answer = await writer.admin(change.method, change.target, change.body)
    const acknowledged = performance.now()
    if (answer.status >= 300) throw new Error(`${change.method} ${change.target}: ${answer.status} ${answer.body}`)
    acknowledgedMs.push(acknowledged - sent)
    for (const seat of seats) {
      watching.push(
        watch(seat, change, acknowledged).then((seen) => {
          if (seen === null) never++
          else samples.get(seat.name)!.push(seen.ms)
          if (seen?.wentBack === true) wentBack++
        }),
      )
    }
    await sleep(Math.random() * LONGEST_PAUSE_MS)
  }
  await Promise.all(watching)
  const waited = pressure()
  const { asked, failed } = await background()
  const perGateway = Object.fromEntries(
    seats.flatMap(({ name, dataCenter }) => {
      const sorted = samples.get(name)!.toSorted((x, y) => x - y)
      return [
        [`${name} (${dataCenter}) p50 / p99 / max ms`, [at(sorted, 0.5), at(sorted, 0.99), at(sorted, 1)].join(' / ')],
      ]
    }),
  )
  const sortedAll = [...samples.values()].map((one) => one.toSorted((x, y) => x - y))
  const acknowledged = acknowledgedMs.toSorted((x, y) => x - y)
  return [
    convergeFigure('propagation-p99', Math.max(...sortedAll.map((one) => at(one, 0.99))), {
      changes: count,
      ...perGateway,
      'Admin answer p50 / max ms': `${at(acknowledged, 0.5)} / ${at(acknowledged, 1)}`,
      'load requests': asked,
      'load failed': failed,
      ...waited,
    }),
    convergeFigure('propagation-max', Math.max(...sortedAll.map((one) => at(one, 1))), { ...waited }),
    convergeFigure('propagation-never', never + wentBack, { never, 'went back': wentBack }),
  ]
}

/** Looks every 20 ms; null when it gave up. */
async function watch(seat: GatewaySeat, { ask, isAfter }: Change, sinceMs: number) {
  let ms: number | null = null
  for (let due = sinceMs; ms === null; due += PROBE_MS) {
    await sleep(Math.max(0, due - performance.now()))
    if (isAfter(await ask(seat))) ms = performance.now() - sinceMs
    else if (performance.now() - sinceMs > GIVE_UP_MS) return null
  }
  let wentBack = false
  for (let left = WATCH_MS; left > 0; left -= WATCH_EVERY_MS) {
    await sleep(WATCH_EVERY_MS)
    wentBack ||= !isAfter(await ask(seat))
  }
  return { ms, wentBack }
}

/** A quarter of each kind; everything they change is used on every gateway first. */
async function prepare(bed: Bed, seats: readonly GatewaySeat[], writer: GatewaySeat, count: number) {
  const create = async (target: string, body: object): Promise<{ readonly id: string }> => {
    const answer = await writer.admin('POST', target, body)
    if (answer.status !== 201) throw new Error(`POST ${target}: ${answer.status} ${answer.body}`)
    return JSON.parse(answer.body) as { id: string }
  }
  const many = Math.ceil(count / 4)
  const service = { url: `http://${bed.network.site('dc1').hostAddress}:${bed.upstreamPort}` }
  await create('/services', { name: 'echo', ...service })
  await create('/services/echo/routes', { name: 'steady', paths: ['/steady'] })
  await create('/services/echo/routes', { name: 'keyed', paths: ['/keyed'] })
  await create('/routes/keyed/plugins', { name: 'key-auth' })
  await create('/consumers', { username: 'someone' })
  const changes: Change[] = []
  const used: { readonly target: string; readonly headers: Record<string, string>; readonly status: number }[] = []
  await inParallel(many, WIDTH, async (n) => {
    const { id: key } = await create('/consumers/someone/key-auth', { key: `key-${n}` })
    const headers = { apikey: `key-${n}` }
    used.push({ target: '/keyed', headers, status: 200 })
    await create('/services', { name: `moving-${n}`, ...service, path: '/before' })
    await create(`/services/moving-${n}/routes`, { name: `moving-${n}`, paths: [`/moving-${n}`] })
    used.push({ target: `/moving-${n}`, headers: {}, status: 200 })
    await create('/services/echo/routes', { name: `ended-${n}`, paths: [`/ended-${n}`] })
    const { id: plugin } = await create(`/routes/ended-${n}/plugins`, {
      name: 'request-termination',
      config: { status_code: 418 },
    })
    used.push({ target: `/ended-${n}`, headers: {}, status: 418 })
    changes.push(
      {
        method: 'POST',
        target: '/services/echo/routes',
        body: { name: `new-${n}`, paths: [`/new-${n}`] },
        ask: (seat) => seat.ask(`/new-${n}`),
        isAfter: ({ status }) => status === 200,
      },
      {
        method: 'PATCH',
        target: `/services/moving-${n}`,
        body: { path: '/after' },
        ask: (seat) => seat.ask(`/moving-${n}`),
        isAfter: ({ status, body }) => status === 200 && body.startsWith('/after'),
      },
      {
        method: 'DELETE',
        target: `/consumers/someone/key-auth/${key}`,
        ask: (seat) => seat.ask('/keyed', headers),
        isAfter: ({ status }) => status === 401,
      },
      {
        method: 'PATCH',
        target: `/plugins/${plugin}`,
        body: { enabled: false },
        ask: (seat) => seat.ask(`/ended-${n}`),
        isAfter: ({ status }) => status === 200,
      },
    )
  })
  for (const seat of seats) {
    await inParallel(used.length, WIDTH, async (n) => {
      const { target, headers, status } = used[n]!
      for (const until = performance.now() + GIVE_UP_MS; ;) {
        const answer = await seat.ask(target, headers)
        if (answer.status === status) return
        if (performance.now() > until)
          throw new Error(`${seat.name} ${target}: expected ${status}, got ${answer.status} ${answer.body}`)
        await sleep(PROBE_MS)
      }
    })
  }
  return changes.slice(0, count)
}

/** Requests at a steady rate to each gateway; the returned function ends them. */
function startLoad(seats: readonly GatewaySeat[], perSecond: number) {
  let [asked, failed] = [0, 0]
  const ask = async (seat: GatewaySeat) => {
    asked++
    try {
      if ((await seat.ask('/steady')).status !== 200) failed++
    } catch {
      failed++
    }
  }
  const timer =
    perSecond <= 0
      ? null
      : setInterval(() => {
          for (const seat of seats) void ask(seat)
        }, 1_000 / perSecond)
  return async () => {
    if (timer !== null) clearInterval(timer)
    await sleep(200)
    return { asked, failed }
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1))
    ;[result[last], result[other]] = [result[other]!, result[last]!]
  }
  return result
}

/** A quantile of sorted samples, rounded to milliseconds. */
function at(sorted: readonly number[], quantile: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * quantile) - 1)] ?? 0)
}
