/** Nodes of a cluster for tests of the store on Cassandra: stores on one port, each with a copy of its own. */
import type { CassandraStore, CassandraStoreOptions } from '#store/cassandra/cassandra-store.ts'
import type { CassandraPort } from '#store/cassandra/port.ts'
import { openCassandraStore } from '#store/cassandra/store.ts'
import { createMemoryCopy } from '#store/memory.ts'
import { definitions, START_MS, testKeyring } from '../contract/store-fixture.ts'

export function memoryCopy() {
  return createMemoryCopy({ definitions, keyring: testKeyring(), nowMs: () => START_MS })
}

export interface NodeOptions extends Partial<CassandraStoreOptions> {
  /** Each pause of the store takes so long on its clock. */
  readonly pauseMs?: number
}

/** A node whose clock only moves while it waits. */
export function node(port: CassandraPort, { pauseMs = 1000, ...more }: NodeOptions = {}): Promise<CassandraStore> {
  let nowMs = START_MS
  return openCassandraStore({
    port,
    copy: memoryCopy(),
    dataCenter: 'dc1',
    nodeId: 'a-node',
    bucketsOf: () => 4,
    nowMs: () => nowMs,
    delay: async () => {
      nowMs += pauseMs
    },
    random: () => 0.5,
    log: { info() {}, warn() {} },
    ...more,
  })
}

/** One that has looked at the log. */
export async function follower(port: CassandraPort, options: NodeOptions = {}): Promise<CassandraStore> {
  const store = await node(port, options)
  await store.poll()
  return store
}

export function withOverrides(port: CassandraPort, overrides: Partial<CassandraPort>): CassandraPort {
  return {
    select: (table, selection) => port.select(table, selection),
    insert: (table, row, options) => port.insert(table, row, options),
    insertAll: (table, rows, options) => port.insertAll(table, rows, options),
    insertIfAbsent: (table, row, options) => port.insertIfAbsent(table, row, options),
    replaceIf: (table, row, expected, options) => port.replaceIf(table, row, expected, options),
    deleteIfPresent: (table, key, options) => port.deleteIfPresent(table, key, options),
    ...overrides,
  }
}
