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

/** What was counted: milliseconds per gateway, sorted, and the figures that stand beside them. */
interface Counted {
  readonly perGateway: ReadonlyMap<string, readonly number[]>
  readonly never: number
  readonly wentBack: number
  readonly details: ConvergeFigure['details']
  readonly waited: ConvergeFigure['details']
}

export async function measureChanges(
  bed: Bed,
  seats: readonly GatewaySeat[],
  options: ChangesOptions,
): Promise<ConvergeFigure[]> {
  const { perGateway, never, wentBack, details, waited } = await countChanges(bed, seats, 'far', options)
  const all = [...perGateway.values()]
  return [
    convergeFigure('propagation-p99', Math.max(...all.map((one) => at(one, 0.99))), details),
    convergeFigure('propagation-max', Math.max(...all.map((one) => at(one, 1))), waited),
    convergeFigure('propagation-never', never + wentBack, { never, 'went back': wentBack }),
  ]
}

/** The same to gateways of one data center that tell each other over a Redis of theirs when there is something to look for. */
export async function measureWoken(
  bed: Bed,
  seats: readonly GatewaySeat[],
  options: ChangesOptions,
): Promise<ConvergeFigure[]> {
  const { perGateway, never, wentBack, details } = await countChanges(bed, seats, 'near', options)
  if (never + wentBack > 0) throw new Error(`never ${never}, went back ${wentBack}`)
  return [
    convergeFigure('propagation-near', Math.max(...[...perGateway.values()].map((one) => at(one, 0.99))), details),
  ]
}

async function countChanges(
  bed: Bed,
  seats: readonly GatewaySeat[],
  run: string,
  { changes: count, load }: ChangesOptions,
): Promise<Counted> {
  const [writer] = seats
  if (writer === undefined) throw new Error('no gateway')
  const changes = shuffled(await prepare(bed, seats, writer, run, count))
  const background = startLoad(seats, `/${run}/steady`, load)
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
  const waited = { ...pressure() }
  const { asked, failed } = await background()
  const perGateway = new Map([...samples].map(([name, ms]) => [name, ms.toSorted((x, y) => x - y)]))
  const acknowledged = acknowledgedMs.toSorted((x, y) => x - y)
  const gateways = seats.map(({ name, dataCenter }) => {
    const sorted = perGateway.get(name)!
    return [`${name} (${dataCenter}) p50 / p99 / max ms`, `${at(sorted, 0.5)} / ${at(sorted, 0.99)} / ${at(sorted, 1)}`]
  })
  const details = {
    changes: count,
    ...(Object.fromEntries(gateways) as Record<string, string>),
    'Admin answer p50 / max ms': `${at(acknowledged, 0.5)} / ${at(acknowledged, 1)}`,
    'load requests': asked,
    'load failed': failed,
    ...waited,
  }
  return { perGateway, never, wentBack, details, waited }
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

/** A quarter of each kind; everything they change is used on every gateway first. `run` is in all names and paths. */
async function prepare(bed: Bed, seats: readonly GatewaySeat[], writer: GatewaySeat, run: string, count: number) {
  const create = async (target: string, body: object): Promise<{ readonly id: string }> => {
    const answer = await writer.admin('POST', target, body)
    if (answer.status !== 201) throw new Error(`POST ${target}: ${answer.status} ${answer.body}`)
    return JSON.parse(answer.body) as { id: string }
  }
  const many = Math.ceil(count / 4)
  const service = { url: `http://${bed.network.site('dc1').hostAddress}:${bed.upstreamPort}` }
  await create('/services', { name: `${run}-echo`, ...service })
  await create(`/services/${run}-echo/routes`, { name: `${run}-steady`, paths: [`/${run}/steady`] })
  await create(`/services/${run}-echo/routes`, { name: `${run}-keyed`, paths: [`/${run}/keyed`] })
  await create(`/routes/${run}-keyed/plugins`, { name: 'key-auth' })
  await create('/consumers', { username: `${run}-someone` })
  const changes: Change[] = []
  const used: { readonly target: string; readonly headers: Record<string, string>; readonly status: number }[] = []
  await inParallel(many, WIDTH, async (n) => {
    const { id: key } = await create(`/consumers/${run}-someone/key-auth`, { key: `${run}-key-${n}` })
    const headers = { apikey: `${run}-key-${n}` }
    used.push({ target: `/${run}/keyed`, headers, status: 200 })
    await create('/services', { name: `${run}-moving-${n}`, ...service, path: '/before' })
    await create(`/services/${run}-moving-${n}/routes`, {
      name: `${run}-moving-${n}`,
      paths: [`/${run}/moving-${n}`],
    })
    used.push({ target: `/${run}/moving-${n}`, headers: {}, status: 200 })
    await create(`/services/${run}-echo/routes`, { name: `${run}-ended-${n}`, paths: [`/${run}/ended-${n}`] })
    const { id: plugin } = await create(`/routes/${run}-ended-${n}/plugins`, {
      name: 'request-termination',
      config: { status_code: 418 },
    })
    used.push({ target: `/${run}/ended-${n}`, headers: {}, status: 418 })
    changes.push(
      {
        method: 'POST',
        target: `/services/${run}-echo/routes`,
        body: { name: `${run}-new-${n}`, paths: [`/${run}/new-${n}`] },
        ask: (seat) => seat.ask(`/${run}/new-${n}`),
        isAfter: ({ status }) => status === 200,
      },
      {
        method: 'PATCH',
        target: `/services/${run}-moving-${n}`,
        body: { path: '/after' },
        ask: (seat) => seat.ask(`/${run}/moving-${n}`),
        isAfter: ({ status, body }) => status === 200 && body.startsWith('/after'),
      },
      {
        method: 'DELETE',
        target: `/consumers/${run}-someone/key-auth/${key}`,
        ask: (seat) => seat.ask(`/${run}/keyed`, headers),
        isAfter: ({ status }) => status === 401,
      },
      {
        method: 'PATCH',
        target: `/plugins/${plugin}`,
        body: { enabled: false },
        ask: (seat) => seat.ask(`/${run}/ended-${n}`),
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
function startLoad(seats: readonly GatewaySeat[], target: string, perSecond: number) {
  let [asked, failed] = [0, 0]
  const ask = async (seat: GatewaySeat) => {
    asked++
    try {
      if ((await seat.ask(target)).status !== 200) failed++
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
