/**
 * A Redis whose packets are dropped from one moment on: the slowest request of those that met it, and how long requests take while it
 * stays silent. Requests come evenly; half of them are limited in Redis, half look for a stored response there.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { BlackHole } from '../../test/support/black-hole.ts'
import { freePort } from '../../test/support/free-port.ts'
import { locatePart } from '../../test/support/parts.ts'
import { startRedis } from '../../test/support/redis.ts'
import { startBackend, startMeasuredGateway } from '../support/subjects.ts'
import { rounded, stateFigure } from './limits.ts'
import type { PartOptions, PartResult } from './run.ts'

/** That many are counted, of at most so many. */
const RUNS = 5
const TRIES = 20
/** Where a request took longer before Redis fell silent, the machine had other work, and what follows would be about that. */
const UNDISTURBED_MS = 15
const RATE = 200
const BEFORE_MS = 2_000
const SILENT_MS = 3_000
/** Requests that were begun by then have met the silence; later ones are to notice nothing. */
const NOTICED_MS = 100
const AGAIN_MS = 2_000

export async function measureSilence({ scale }: PartOptions): Promise<PartResult> {
  const [nginx, redisProgram] = await Promise.all([locatePart('nginx'), locatePart('redis')])
  const backend = await startBackend(nginx)
  await using redis = await startRedis(redisProgram)
  const port = await freePort()
  await using relay = await BlackHole.start({ host: '127.0.0.1', port }, redis)
  const place = { host: '127.0.0.1', port }
  const service = (name: string, plugin: object) => ({
    name,
    host: '127.0.0.1',
    port: backend.port,
    routes: [{ name, paths: [`/${name}`] }],
    plugins: [plugin],
  })
  const strict = { policy: 'redis', sync_rate: -1, hour: 1_000_000_000, limit_by: 'ip', redis: place }
  const stored = { strategy: 'redis', content_type: ['*/*'], redis: place }
  const declarative = {
    _format_version: '3.0',
    services: [
      service('limited', { name: 'rate-limiting', config: strict }),
      service('stored', { name: 'proxy-cache', config: stored }),
    ],
  }
  const subject = await startMeasuredGateway(declarative, { settings: { overload_delay: '0' } })
  const pool = new Pool(`http://127.0.0.1:${subject.port}`, { connections: 64, pipelining: 1 })
  let asked = 0
  /** Each is begun when it is due, whether those before have been answered or not. */
  const load = async (forMs: number): Promise<number[]> => {
    const times: number[] = []
    const beganMs = performance.now()
    const under: Promise<void>[] = []
    for (let due = 0; due < forMs; due += 1000 / RATE) {
      await sleep(Math.max(0, due - (performance.now() - beganMs)))
      under.push(timed(pool, ++asked % 2 === 0 ? '/limited' : `/stored/${asked}`).then((ms) => void times.push(ms)))
    }
    await Promise.all(under)
    return times
  }
  try {
    await load(BEFORE_MS)
    const runs = Math.max(1, Math.round(RUNS * scale))
    const found: { slowestMs: number; beforeP99Ms: number; silentP99Ms: number }[] = []
    let disturbed = 0
    while (found.length < runs) {
      const before = await load(BEFORE_MS)
      if (Math.max(...before) > UNDISTURBED_MS) {
        if (++disturbed + found.length >= TRIES) throw new Error(`the machine has other work: ${p99(before)} ms before`)
        continue
      }
      relay.block()
      const met = await load(NOTICED_MS)
      const silent = await load(SILENT_MS)
      relay.heal()
      await load(AGAIN_MS)
      found.push({
        slowestMs: rounded(Math.max(...met, ...silent)),
        beforeP99Ms: rounded(p99(before)),
        silentP99Ms: rounded(p99(silent)),
      })
    }
    const slowest = Math.max(...found.map(({ slowestMs }) => slowestMs))
    const beyond = found.map(({ beforeP99Ms, silentP99Ms }) => silentP99Ms - beforeP99Ms).toSorted((a, b) => a - b)
    const basis = {
      'times silent': runs,
      'requests a second': RATE,
      'times put off, the machine being busy': disturbed,
    }
    return {
      figures: [
        stateFigure('silent-slowest', slowest, { ...basis, each: found.map((one) => one.slowestMs).join(' / ') }),
        stateFigure('silent-p99', beyond[beyond.length >> 1]!, {
          ...basis,
          'p99 ms before': found.map((one) => one.beforeP99Ms).join(' / '),
          'p99 ms silent': found.map((one) => one.silentP99Ms).join(' / '),
        }),
      ],
    }
  } finally {
    await pool.destroy()
    await subject.stop()
    await backend.stop()
  }
}

async function timed(pool: Pool, path: string): Promise<number> {
  const beganMs = performance.now()
  const { statusCode, body } = await pool.request({ method: 'GET', path })
  await body.text()
  if (statusCode !== 200) throw new Error(`${path}: ${statusCode}`)
  return performance.now() - beganMs
}

function p99(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))]!
}
