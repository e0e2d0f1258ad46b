/** What is simulated does what every port has to do, as long as nothing goes wrong. */
import type { CassandraPort } from '#store/cassandra/port.ts'
import { cassandraPortSuite } from '../contract/cassandra-port.ts'
import { Random } from './random.ts'
import { SimulatedCassandra } from './simulated-cassandra.ts'
import { VirtualTime } from './virtual-time.ts'

cassandraPortSuite('simulated', async () => {
  const time = new VirtualTime()
  const cluster = new SimulatedCassandra({ time, random: new Random(1), topology: { dc1: 3, dc2: 3 } })
  const port = cluster.port({ name: 'a-client', dataCenter: 'dc1', skewMs: 0, isAlive: true, isCutOff: false })
  const within = whileWaiting(time)
  return {
    port: Object.fromEntries(
      Object.entries(port).map(([name, method]) => [
        name,
        (...given: unknown[]) => within(() => (method as (...given: unknown[]) => Promise<unknown>)(...given)),
      ]),
    ) as unknown as CassandraPort,
    elapse: (ms) => within(() => time.delay(ms)),
    close: async () => {},
  }
})

/** Moves time as long as anyone waits: the suite knows nothing of simulated time. */
function whileWaiting(time: VirtualTime): <T>(work: () => Promise<T>) => Promise<T> {
  const state = { waiting: 0 }
  let moving: Promise<void> | null = null
  const move = () => {
    moving ??= time
      .run(async () => {
        while (state.waiting > 0) await time.delay(1)
      })
      .finally(() => {
        moving = null
        if (state.waiting > 0) move()
      })
  }
  return async (work) => {
    state.waiting++
    move()
    try {
      return await work()
    } finally {
      state.waiting--
    }
  }
}
