/** How soon a gateway is ready: one that has nothing but the address of Cassandra, and one that has its copy and no Cassandra. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bed, GatewaySeat } from './cluster.ts'
import { fillStore, hostOf, keyOf, pathOf, type Fill } from './fill.ts'
import { convergeFigure, type ConvergeFigure } from './limits.ts'
import { watchPressure } from './pressure.ts'

const FIRST_REQUESTS = 2
const WHOLE_SECONDS = 3_600

export async function measureStart(bed: Bed, fill: Fill): Promise<ConvergeFigure[]> {
  const fillSeconds = await fillStore(bed, fill)
  const prefix = mkdtempSync(path.join(tmpdir(), 'meridian-started-'))
  let seat: GatewaySeat | null = null
  try {
    const machine = watchPressure([])
    const started = performance.now()
    seat = await bed.startGateway('d', 'dc1', { prefix })
    const startSeconds = (performance.now() - started) / 1000
    const waited = { 'machine waits %': machine()['machine waits %'] }
    const [rssMiB, peakMiB] = [memoryOf(seat, 'VmRSS'), memoryOf(seat, 'VmHWM')]
    // The look-ups of these come before their part of the copy.
    const askedAt = performance.now()
    await serves(seat, fill)
    const firstMs = Math.round((performance.now() - askedAt) / FIRST_REQUESTS)
    const wholeSeconds = await whole(seat, started)
    const wholeMiB = memoryOf(seat, 'VmHWM')
    await seat.stop()

    await Promise.all(bed.cassandra.nodes.map((node) => node.kill()))
    const again = watchPressure([])
    const restarted = performance.now()
    seat = await bed.startGateway('d', 'dc1', { prefix })
    const copySeconds = (performance.now() - restarted) / 1000
    const waitedAgain = { 'machine waits %': again()['machine waits %'] }
    await serves(seat, fill)
    return [
      convergeFigure('start', round(startSeconds), {
        ...fill,
        'seconds to write them': round(fillSeconds),
        'each of the first requests, ms': firstMs,
        'seconds until the copy is whole': round(wholeSeconds),
        ...waited,
      }),
      convergeFigure('start-rss', rssMiB, { 'peak MiB': peakMiB, 'peak MiB when the copy is whole': wholeMiB }),
      convergeFigure('start-copy', round(copySeconds), { ...fill, ...waitedAgain }),
    ]
  } finally {
    await seat?.stop()
    rmSync(prefix, { recursive: true, force: true })
  }
}

/** The first and the last route, with the first and the last key. */
async function serves(seat: GatewaySeat, { routes, credentials }: Fill): Promise<void> {
  for (const [route, key] of [
    [0, 0],
    [routes - 1, credentials - 1],
  ] as const) {
    const answer = await seat.ask(pathOf(route), { host: hostOf(route), apikey: keyOf(key) })
    if (answer.status !== 200) throw new Error(`${pathOf(route)} with ${keyOf(key)}: ${answer.status} ${answer.body}`)
  }
}

/** Seconds from then until the gateway has the whole configuration on its disk. */
async function whole(seat: GatewaySeat, since: number): Promise<number> {
  for (;;) {
    const answer = await seat.admin('GET', '/status')
    const { meridian } = JSON.parse(answer.body) as { meridian: { filling?: { done: number; parts: number } } }
    const seconds = (performance.now() - since) / 1000
    if (meridian.filling === undefined) return seconds
    if (seconds > WHOLE_SECONDS)
      throw new Error(`the copy is not whole after ${seconds} s: ${JSON.stringify(meridian.filling)}`)
    await sleep(500)
  }
}

function memoryOf({ gateway }: GatewaySeat, row: string): number {
  const status = readFileSync(`/proc/${gateway.child.pid}/status`, 'utf8')
  return Math.round(Number(new RegExp(`^${row}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024)
}

const round = (value: number) => Math.round(value * 100) / 100
