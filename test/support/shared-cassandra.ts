/** The cluster that the test files of one run share: starting one takes as long as many tests. */
import { after, type TestContext } from 'node:test'
import { startCassandra, type CassandraAddress, type CassandraCluster } from './cassandra.ts'
import { requirePart } from './parts.ts'
import { SHARED_CLUSTER } from './shared-cluster-name.ts'

export interface SharedCassandra {
  /** Data centers `dc1` and `dc2`, a node each. */
  readonly address: CassandraAddress
  /** Of the caller's own; not made yet. */
  readonly keyspace: string
}

/** The cluster that test/run.ts has started; one of its own for a file that runs alone. Null after marking the test as skipped. */
export async function sharedCassandra(test: TestContext): Promise<SharedCassandra | null> {
  if ((await requirePart(test, 'cassandra')) === null) return null
  const told = process.env[SHARED_CLUSTER]
  if (told === undefined) own ??= startCassandra({ topology: 'dc1:1,dc2:1' })
  const address = told === undefined ? (await own)!.address : (JSON.parse(told) as CassandraAddress)
  return { address, keyspace: `test_${process.pid}_${keyspaces++}` }
}

let own: Promise<CassandraCluster> | undefined
let keyspaces = 0
after(async () => (await own)?.stop())
