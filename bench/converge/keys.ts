/** Credentials created through one gateway, many at the same time: what group commit makes of a log that is far away. */
import { inParallel } from '../support/admin-client.ts'
import type { GatewaySeat } from './cluster.ts'
import { convergeFigure, type ConvergeFigure } from './limits.ts'
import { watchPressure } from './pressure.ts'

const WIDTH = 200

export async function measureKeys(seat: GatewaySeat, count: number): Promise<ConvergeFigure[]> {
  const consumer = await seat.admin('POST', '/consumers', { username: `many-keys-${Date.now()}` })
  const { id } = JSON.parse(consumer.body) as { id: string }
  const create = async (key: string) => {
    const start = performance.now()
    const answer = await seat.admin('POST', `/consumers/${id}/key-auth`, { key })
    if (answer.status !== 201) throw new Error(`key-auth: ${answer.status} ${answer.body}`)
    answeredMs.push(performance.now() - start)
  }
  const answeredMs: number[] = []
  // Connections and compiled code first, Cassandra's too.
  await inParallel(5 * WIDTH, WIDTH, (n) => create(`warm-${id}-${n}`))
  answeredMs.length = 0
  const pressure = watchPressure([seat.gateway.child.pid])
  const start = performance.now()
  await inParallel(count, WIDTH, (n) => create(`key-${id}-${n}`))
  const seconds = (performance.now() - start) / 1000
  const waited = pressure()
  const burstStart = performance.now()
  await inParallel(WIDTH, WIDTH, (n) => create(`burst-${id}-${n}`))
  const burstMs = performance.now() - burstStart
  const sorted = answeredMs.slice(0, count).toSorted((x, y) => x - y)
  return [
    convergeFigure('keys', Math.round(count / seconds), {
      keys: count,
      'answer p50 ms': Math.round(sorted[Math.floor(count / 2)] ?? 0),
      'answer max ms': Math.round(sorted.at(-1) ?? 0),
      'one burst of 200, keys/s': Math.round((WIDTH / burstMs) * 1000),
      ...waited,
    }),
  ]
}
