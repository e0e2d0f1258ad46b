import { createMemoryCopy } from '#store/memory.ts'
import { openCassandraStore } from '#store/cassandra/store.ts'
import { MapPort } from '../support/map-port.ts'
import { configStoreSuite } from './config-store.ts'

configStoreSuite(
  'cassandra (one map)',
  async (options) => {
    const store = await openCassandraStore({
      port: new MapPort(),
      copy: createMemoryCopy(options),
      dataCenter: 'dc1',
      nodeId: 'a-node',
      bucketsOf: () => 4,
      nowMs: options.nowMs,
      delay: async () => {},
      random: Math.random,
      log: { info() {}, warn() {} },
    })
    await store.poll()
    return store
  },
  { isLogCut: false },
)
