/** Many entities written one by one by few clients, as an import by a script does; the method by which Kong 2.8.5 was measured. */
import { inParallel } from '../support/admin-client.ts'
import type { GatewaySeat } from './cluster.ts'
import { convergeFigure, type ConvergeFigure } from './limits.ts'
import { watchPressure } from './pressure.ts'

const WIDTH = 16
const CONSUMERS = 2_000
const ROUTES = 5_000

export async function measureBulk(seat: GatewaySeat): Promise<ConvergeFigure[]> {
  const run = `bulk-${Date.now()}`
  const create = async (path: string, body: object): Promise<string> => {
    const answer = await seat.admin('POST', path, body)
    if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${answer.body}`)
    return (JSON.parse(answer.body) as { id: string }).id
  }
  const service = await create('/services', { name: run, url: 'http://bulk.example.test' })
  const keys = await timed(seat, 2 * CONSUMERS, async (clocked) => {
    await inParallel(CONSUMERS, WIDTH, async (n) => {
      await clocked(create('/consumers', { username: `${run}-${n}` }))
      await clocked(create(`/consumers/${run}-${n}/key-auth`, { key: `${run}-${n}` }))
    })
  })
  const routes = await timed(seat, ROUTES, async (clocked) => {
    await inParallel(ROUTES, WIDTH, (n) =>
      clocked(create('/routes', { name: `${run}-${n}`, paths: [`/${run}/${n}`], service: { id: service } })),
    )
  })
  return [
    convergeFigure('bulk-keys', keys.rate, keys.details),
    convergeFigure('bulk-routes', routes.rate, routes.details),
  ]
}

/** `work` puts the clock on each of its writes. */
async function timed(
  seat: GatewaySeat,
  writes: number,
  work: (clocked: (write: Promise<string>) => Promise<void>) => Promise<void>,
): Promise<{ readonly rate: number; readonly details: ConvergeFigure['details'] }> {
  const answeredMs: number[] = []
  const pressure = watchPressure([seat.gateway.child.pid])
  const start = performance.now()
  await work(async (write) => {
    const askedAt = performance.now()
    await write
    answeredMs.push(performance.now() - askedAt)
  })
  const seconds = (performance.now() - start) / 1000
  answeredMs.sort((x, y) => x - y)
  const at = (part: number) => Math.round(answeredMs[Math.floor((answeredMs.length - 1) * part)] ?? 0)
  const details = { writes, 'at a time': WIDTH, 'p50 / p99 / max ms': `${at(0.5)} / ${at(0.99)} / ${at(1)}` }
  return { rate: Math.round(writes / seconds), details: { ...details, ...pressure() } }
}
