/** From a purge by tag, sent to one gateway, until no gateway of either data center serves what had that tag. */
import { setTimeout as sleep } from 'node:timers/promises'
import { inParallel } from '../support/admin-client.ts'
import type { Bed, GatewaySeat } from './cluster.ts'
import { convergeFigure, type ConvergeFigure } from './limits.ts'
import { watchPressure } from './pressure.ts'

const PROBE_MS = 10
const GIVE_UP_MS = 15_000
const LONGEST_PAUSE_MS = 300
const WIDTH = 10

export async function measurePurges(bed: Bed, seats: readonly GatewaySeat[], count: number): Promise<ConvergeFigure[]> {
  const [sender] = seats
  if (sender === undefined) throw new Error('no gateway')
  await configure(bed, sender)
  const stored = new Map<GatewaySeat, string[]>()
  for (const seat of seats) stored.set(seat, await store(seat, count))
  const pressure = watchPressure(seats.map(({ gateway }) => gateway.child.pid))
  const lastMs: number[] = []
  const bySeat = new Map(seats.map(({ name }) => [name, [] as number[]]))
  const answeredMs: number[] = []
  for (let n = 0; n < count; n++) {
    const sentMs = performance.now()
    const watching = seats.map(async (seat) => {
      const ms = await gone(seat, targetOf(n), stored.get(seat)![n]!, sentMs)
      bySeat.get(seat.name)!.push(ms)
      return ms
    })
    const answer = await sender.admin('POST', '/proxy-cache/purge', { tags: [tagOf(n)] })
    if (answer.status !== 204) throw new Error(`purge of ${tagOf(n)}: ${answer.status} ${answer.body}`)
    answeredMs.push(performance.now() - sentMs)
    lastMs.push(Math.max(...(await Promise.all(watching))))
    await sleep(Math.random() * LONGEST_PAUSE_MS)
  }
  const each = seats.map(({ name, dataCenter }) => [
    `${name} (${dataCenter}) p50 / p99 / max ms`,
    quantiles(bySeat.get(name)!),
  ])
  return [
    convergeFigure('purge', at(lastMs, 0.99), {
      purges: count,
      ...(Object.fromEntries(each) as Record<string, string>),
      'Admin answer p50 / p99 / max ms': quantiles(answeredMs),
      ...pressure(),
    }),
  ]
}

const tagOf = (n: number) => `tag-${n}`
const targetOf = (n: number) => `/tagged/${tagOf(n)}`

async function configure(bed: Bed, sender: GatewaySeat): Promise<void> {
  const url = `http://${bed.network.site('dc1').hostAddress}:${bed.upstreamPort}`
  const config = { strategy: 'memory', cache_control: true, content_type: ['*/*'] }
  for (const [target, body] of [
    ['/services', { name: 'tagged', url }],
    ['/services/tagged/routes', { name: 'tagged', paths: ['/tagged'], strip_path: false }],
    ['/services/tagged/plugins', { name: 'proxy-cache', config }],
  ] as const) {
    const answer = await sender.admin('POST', target, body)
    if (answer.status !== 201) throw new Error(`POST ${target}: ${answer.status} ${answer.body}`)
  }
}

/** What the gateway serves again and again for each target. */
async function store(seat: GatewaySeat, count: number): Promise<string[]> {
  const bodies: string[] = []
  await inParallel(count, WIDTH, async (n) => {
    for (const untilMs = performance.now() + GIVE_UP_MS; ; await sleep(PROBE_MS)) {
      const [first, second] = [await seat.ask(targetOf(n)), await seat.ask(targetOf(n))]
      bodies[n] = second.body
      if (second.status === 200 && first.body === second.body) return
      if (performance.now() > untilMs) throw new Error(`${seat.name} does not store ${targetOf(n)}: ${second.status}`)
    }
  })
  return bodies
}

/** Milliseconds until it answers with another one. */
async function gone(seat: GatewaySeat, target: string, stored: string, sinceMs: number): Promise<number> {
  for (let dueMs = sinceMs; ; dueMs += PROBE_MS) {
    await sleep(Math.max(0, dueMs - performance.now()))
    const { status, body } = await seat.ask(target)
    const ms = performance.now() - sinceMs
    if (status !== 200) throw new Error(`${seat.name} ${target}: ${status} ${body}`)
    if (body !== stored) return ms
    if (ms > GIVE_UP_MS) throw new Error(`${seat.name} still serves ${target} after ${GIVE_UP_MS} ms`)
  }
}

function quantiles(times: readonly number[]): string {
  return [at(times, 0.5), at(times, 0.99), at(times, 1)].join(' / ')
}

/** Rounded to milliseconds. */
function at(times: readonly number[], quantile: number): number {
  const sorted = times.toSorted((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * quantile) - 1)] ?? 0)
}
