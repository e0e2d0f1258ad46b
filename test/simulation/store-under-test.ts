/** The store as a gateway opens it, on simulated time, disk and cluster: the one place that knows how it is opened. */
import type { CassandraStore } from '#store/cassandra/cassandra-store.ts'
import { openCassandraStore } from '#store/cassandra/store.ts'
import type { Keyring } from '#store/keyring.ts'
import { createMemoryCopy } from '#store/memory.ts'
import { createHash } from 'node:crypto'
import { definitions, START_MS } from '../contract/store-fixture.ts'
import { openCopy, type Disk } from './disk.ts'
import type { Flaw } from './flaws.ts'
import type { Random } from './random.ts'
import type { Client } from './requests.ts'
import type { SimulatedCassandra } from './simulated-cassandra.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface SubjectOptions {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: SimulatedCassandra
  readonly client: Client
  readonly disk: Disk
  readonly keyring: Keyring
  readonly settleMs: number
  readonly later: readonly string[]
  readonly flaw: Flaw | null
}

const BUCKETS = 2

export async function openSubject(options: SubjectOptions): Promise<CassandraStore> {
  const { random, cluster, client, disk, keyring, settleMs, later, flaw } = options
  const nowMs = clockOf(options)
  const wait = delayOf(options)
  const moment = async () => {
    if (random.chance(0.2)) await wait(random.next() * 20)
  }
  const copy = await openCopy(disk, createMemoryCopy({ definitions, keyring, nowMs }), moment)
  const port = cluster.port(client)
  const store = await openCassandraStore({
    port: flaw?.port ? flaw.port(port, { cluster, client }) : port,
    copy: flaw?.copy ? flaw.copy(copy) : copy,
    dataCenter: client.dataCenter,
    dataCenters: cluster.replication.dataCenters,
    nodeId: client.name,
    bucketsOf: () => BUCKETS,
    isLater: (kind) => later.includes(kind),
    wholeRows: -1,
    nowMs,
    delay: wait,
    random: () => random.next(),
    log: { info() {}, warn() {} },
    settleMs,
  })
  return flaw?.store ? flaw.store(store) : store
}

/** Where the store puts the row of an entity. */
export function bucketOf(_kind: string, id: string): number {
  return createHash('sha256').update(id).digest().readUInt32BE(0) % BUCKETS
}

export function clockOf({ time, client }: Pick<SubjectOptions, 'time' | 'client'>): () => number {
  return () => START_MS + Math.round(time.nowMs + client.skewMs)
}

/** A pause in a process: it never ends when the process dies meanwhile. */
export function delayOf({ time, client }: Pick<SubjectOptions, 'time' | 'client'>): (ms: number) => Promise<void> {
  return (ms) =>
    new Promise((resolve) => {
      time.after(ms, () => {
        if (client.isAlive) time.wake(resolve)
      })
    })
}
