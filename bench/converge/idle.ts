/** What a cluster without changes asks of Cassandra, counted by Cassandra itself. */
import { setTimeout as sleep } from 'node:timers/promises'
import cassandra, { type Client } from 'cassandra-driver'
import { KEYSPACE, type Bed } from './cluster.ts'
import { convergeFigure, type ConvergeFigure } from './limits.ts'

const WATCH_MS = 20_000
const MEAN_POLL_MS = 500 * 0.875

export async function measureIdle(bed: Bed, followers: number): Promise<ConvergeFigure[]> {
  // Whatever came before is read and projected by then.
  await sleep(5_000)
  const before = await readsOf(bed)
  await sleep(WATCH_MS)
  const after = await readsOf(bed)
  // At a quiet time they are this often, on average: src/store/cassandra/keeper.ts.
  const polls = (followers * WATCH_MS) / MEAN_POLL_MS
  const grown = (table: string) => (after.get(table) ?? 0) - (before.get(table) ?? 0)
  const logReads = grown('config_log')
  const others = [...after.keys()].filter((table) => table !== 'config_log' && grown(table) > 0)
  return [
    convergeFigure('idle-reads', Math.round((logReads / polls) * 10) / 10, {
      'seconds watched': WATCH_MS / 1000,
      followers,
      'expected polls': Math.round(polls),
      'reads of the log': logReads,
      'other reads': others.map((table) => `${table} ${grown(table)}`).join(', ') || 'none',
    }),
    convergeFigure('idle-tombstones', await tombstonesOfAPoll(bed), { counted: 'in a trace of the statement' }),
  ]
}

/** Reads that all nodes have coordinated, by table. */
async function readsOf({ cassandra: cluster }: Bed): Promise<ReadonlyMap<string, number>> {
  const reads = new Map<string, number>()
  for (const { address, dataCenter, plan } of cluster.nodes) {
    const counted = await ask(`${address}:${plan.port}`, dataCenter, (client) =>
      client.execute('SELECT keyspace_name, table_name, count FROM system_views.coordinator_read_latency'),
    )
    for (const row of counted.rows) {
      if (row['keyspace_name'] !== KEYSPACE) continue
      const table = row['table_name'] as string
      reads.set(table, (reads.get(table) ?? 0) + Number(row['count']))
    }
  }
  return reads
}

/** Cells of tombstones that the statement of a poll meets now, on all replicas that it reads. */
async function tombstonesOfAPoll({ cassandra: cluster }: Bed): Promise<number> {
  const [node] = cluster.nodes
  if (node === undefined) throw new Error('no node')
  return await ask(`${node.address}:${node.plan.port}`, node.dataCenter, async (client) => {
    const latest = await client.execute(`SELECT revision FROM ${KEYSPACE}.config_log WHERE epoch = 1 AND segment = 0`)
    const from = Math.max(0, latest.rows.length - 1)
    const { info } = await client.execute(
      `SELECT * FROM ${KEYSPACE}.config_log WHERE epoch = 1 AND segment = 0 AND revision > ${from} LIMIT 101`,
      [],
      { consistency: cassandra.types.consistencies.localQuorum, traceQuery: true },
    )
    const trace = await client.metadata.getTrace(info.traceId)
    const met = trace.events.flatMap(({ activity }) => {
      const [, count] = /and (\d+) tombstone cells/.exec(activity) ?? []
      return count === undefined ? [] : [Number(count)]
    })
    if (met.length === 0) throw new Error('the trace does not say how many tombstones were read')
    return met.reduce((sum, count) => sum + count, 0)
  })
}

/** Of one node and no other: virtual tables are each node's own. */
async function ask<T>(node: string, localDataCenter: string, act: (client: Client) => Promise<T>): Promise<T> {
  const { loadBalancing } = cassandra.policies
  const client = new cassandra.Client({
    contactPoints: [node],
    localDataCenter,
    policies: { loadBalancing: new loadBalancing.AllowListPolicy(new loadBalancing.RoundRobinPolicy(), [node]) },
  })
  try {
    return await act(client)
  } finally {
    await client.shutdown()
  }
}
