/** The store of a node in a cluster on Cassandra: its copy, the way to the cluster, and what keeps both together. */
import { randomUUID } from 'node:crypto'
import { renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createClusterCounterBuffers } from '#cluster/cluster-counters.ts'
import { CounterSync } from '#cluster/counter-sync.ts'
import { RedisWake } from '#cluster/redis-wake.ts'
import { GatewayError } from '#core/errors.ts'
import type { EntityDefinition } from '#model/schema.ts'
import type { Settings } from '#model/settings.ts'
import { CassandraCounterRows } from '#store/cassandra/counters.ts'
import { checkedPort } from '#store/cassandra/checked-port.ts'
import { createDriverPort } from '#store/cassandra/driver-port.ts'
import type { CassandraDriver } from '#store/cassandra/driver.ts'
import { FillLoop } from '#store/cassandra/fill-loop.ts'
import type { FillProgress } from '#store/cassandra/filler.ts'
import { Keeper } from '#store/cassandra/keeper.ts'
import { readMigrations } from '#store/cassandra/migration-files.ts'
import { explainCassandra, requireSchema } from '#store/cassandra/migrations.ts'
import type { Membership } from '#store/cassandra/nodes.ts'
import { CassandraFailure } from '#store/cassandra/port.ts'
import { createCassandraRuntimeStore } from '#store/cassandra/runtime.ts'
import type { CassandraStore } from '#store/cassandra/cassandra-store.ts'
import { openCassandraStore } from '#store/cassandra/store.ts'
import { ENTITY_BUCKETS, SMALL_KIND_BUCKETS } from '#store/cassandra/tables.ts'
import { whoCannotRead, type NodeState } from '#store/cluster-view.ts'
import type { RuntimeStore } from '#store/contract.ts'
import type { Keyring } from '#store/keyring.ts'
import type { LocalCopy } from '#store/local-copy.ts'
import type { Definitions } from '#store/secrets.ts'
import { openLocalCopy } from '#store/sqlite.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import { openCassandra } from './gateway-cassandra.ts'
import { createMembership } from './gateway-cluster.ts'
import type { MainRedis } from './gateway-redis.ts'

/** The copy's file below the prefix. */
export const COPY_FILE = 'copy.db'
/** For a node that has no copy: other nodes may be starting Cassandra at the same time. */
const FIRST_LOAD_MS = 60_000
const RETRY_MS = 1_000
/** Rate-limit counters of all nodes that this one uses at one time. */
const CLUSTER_COUNTERS = 200_000

export interface ClusterStoreOptions {
  readonly settings: Settings
  readonly definitions: Definitions
  readonly keyring: Keyring
  readonly nodeId: string
  readonly state: () => NodeState
  readonly log: GatewayLog
  readonly nowMs: () => number
  readonly redis: MainRedis | null
}

export interface ClusterStore {
  readonly store: CassandraStore
  readonly runtime: RuntimeStore
  readonly membership: Membership
  /** The rate-limit counters of all nodes. */
  readonly counters: CounterSync
  readonly projected: () => number
  /** How far the node's copy is filled; null when it is whole. */
  readonly filling: () => FillProgress | null
  readonly isReachable: () => boolean
  /** Connections to nodes of other data centers since the start. */
  readonly remoteContacts: () => number
  /** Looks into the log at once. */
  wake(): void
  /** Ends heartbeats, loops, store and connections, in the order that loses nothing. */
  close(): Promise<void>
}

/**
 * Opens the copy and serves from it at once; only a node that has none waits for the cluster. Rejects with what keeps it from
 * loading: no node answers, the role is refused, the keyspace is not migrated or of a newer version.
 */
export async function openClusterStore(options: ClusterStoreOptions): Promise<ClusterStore> {
  const { settings, definitions, keyring, nodeId, log, nowMs } = options
  const file = path.join(settings.prefix, COPY_FILE)
  const copy = await openCopy(file, log, () => openLocalCopy({ path: file, definitions, keyring, nowMs }))
  const driver = openCassandra(settings, {
    remoteContact: (address, dataCenter) =>
      log.log.warn({ address, data_center: dataCenter }, 'a Cassandra node of another data center is connected to'),
  })
  const keyspace = settings.cassandra_keyspace
  const migrations = readMigrations()
  const check = () => requireSchema({ driver, keyspace, migrations, nowMs: Date.now }).catch(unexplained)
  const port = checkedPort({
    port: createDriverPort({ driver, keyspace }),
    check,
    monotonicMs: () => performance.now(),
  })
  const state = () => ({ ...options.state(), epoch: store.followedEpoch })
  const membership = createMembership({ port, nodeId, settings, state, log })
  // Made when there is a keeper to be woken.
  let wake: RedisWake | null = null
  const store = await openCassandraStore({
    port,
    copy,
    dataCenter: settings.cassandra_local_datacenter!,
    dataCenters: Object.keys(settings.cassandra_data_centers ?? {}),
    nodeId,
    bucketsOf: (kind) => bucketsOf(definitions.entities.get(kind)),
    isLater: (kind) => definitions.entities.get(kind)?.on_demand === true,
    nowMs,
    delay: (ms) => delay(ms),
    random: Math.random,
    log: log.log,
    readConsistency: settings.cassandra_read_consistency,
    commitConsistency: settings.cassandra_write_consistency,
    onAppended: (revision) => wake?.tell(revision),
    whoCannotRead: (kinds) => whoCannotRead(membership.nodes(), kinds),
  })
  const keeper = new Keeper({
    store,
    updateMs: settings.db_update_frequency,
    // A node that starts has more urgent things to do, and the projection has time.
    isProjector: () => options.state().ready && membership.projector === nodeId,
    newestKnown: () => membership.newestRevision,
    isFirstProjector: () => membership.isFirstProjector,
    log: log.log,
    random: Math.random,
    monotonicMs: () => performance.now(),
  })
  const redis = await openWake(settings, options, () => keeper.wake())
  wake = redis?.wake ?? null
  const counters = new CounterSync({
    buffers: createClusterCounterBuffers(CLUSTER_COUNTERS),
    rows: new CassandraCounterRows({ port, nowMs }),
    // A new one with each start: what this node counted before stays beside it.
    incarnation: `${nodeId}/${randomUUID()}`,
    log: log.log,
    now: nowMs,
    monotonicMs: () => performance.now(),
    delay: (ms, signal) => delay(ms, undefined, { signal }),
  })
  const fillLoop = new FillLoop({
    store,
    isReady: () => options.state().ready,
    log: log.log,
    monotonicMs: () => performance.now(),
    delay: (ms, signal) => delay(ms, undefined, { signal }),
  })
  const close = async (): Promise<void> => {
    await fillLoop.close()
    redis?.close()
    await counters.close()
    await membership.close()
    await keeper.close()
    await store.close()
    await driver.close()
  }
  try {
    if (!store.isLoaded) await loadFirst(store, driver, settings, log)
  } catch (error) {
    await close()
    throw error
  }
  membership.start()
  counters.start()
  keeper.start()
  fillLoop.start()
  return {
    store,
    runtime: createCassandraRuntimeStore({ port, keyring, nowMs }),
    membership,
    counters,
    projected: () => store.projected,
    filling: () => store.filling,
    isReachable: () => keeper.failure === null,
    remoteContacts: () => driver.remoteContacts,
    wake: () => keeper.wake(),
    close,
  }
}

/** The way on which nodes wake each other; null where the settings name no Redis for it. */
async function openWake(
  settings: Settings,
  { redis }: ClusterStoreOptions,
  look: () => void,
): Promise<{ readonly wake: RedisWake; close(): void } | null> {
  if (settings.redis_wake === null || redis === null) return null
  const shared = redis.take('redis_wake', settings.redis_wake)
  const { openRedisSubscription } = await import('#cluster/redis-connection.ts')
  const wake = new RedisWake({
    link: shared.link,
    subscribe: (channel, onMessage) =>
      openRedisSubscription(
        shared.link.endpoint,
        { connectTimeoutMs: settings.redis_connect_timeout },
        channel,
        onMessage,
      ),
    keyPrefix: settings.redis_key_prefix,
    wake: look,
    later: (run, ms) => void setTimeout(run, ms).unref(),
  })
  const close = (): void => {
    wake.close()
    shared.release()
  }
  return { wake, close }
}

/** A copy that can't be read is put aside, and another is loaded: nothing is in it that the cluster does not have. */
async function openCopy(file: string, { log }: GatewayLog, open: () => Promise<LocalCopy>): Promise<LocalCopy> {
  try {
    return await open()
  } catch (error) {
    if ((error as GatewayError).code !== 'STORE_FORMAT') throw error
    const aside = `${file}.unreadable-${Date.now()}`
    log.error({ err: error, file: aside }, 'the copy of the configuration can not be read and is put aside')
    renameSync(file, aside)
    for (const suffix of ['-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true })
    return open()
  }
}

/** What a kind's rows are spread over: the same on all nodes, for good. */
function bucketsOf(definition: EntityDefinition | undefined): number {
  return definition?.on_demand ? ENTITY_BUCKETS : SMALL_KIND_BUCKETS
}

async function loadFirst(
  store: CassandraStore,
  driver: CassandraDriver,
  settings: Settings,
  { log }: GatewayLog,
): Promise<void> {
  const deadlineMs = performance.now() + FIRST_LOAD_MS
  let isTold = false
  for (;;) {
    try {
      await driver.whenConnected(Math.max(1, Math.ceil(deadlineMs - performance.now())))
      await requireSchema({
        driver,
        keyspace: settings.cassandra_keyspace,
        migrations: readMigrations(),
        nowMs: Date.now,
      })
      return await store.poll()
    } catch (error) {
      if (!isWorthAnotherTry(error) || performance.now() >= deadlineMs)
        throw error instanceof CassandraFailure ? explainCassandra(error) : error
      if (!isTold) log.warn({ err: error }, 'this node has no copy of the configuration yet and waits for Cassandra')
      isTold = true
    }
    await delay(RETRY_MS)
  }
}

/** What Cassandra said, without the words for people at a command line. */
function unexplained(error: unknown): never {
  const { cause } = error as Error
  throw cause instanceof CassandraFailure ? cause : error
}

/** Names, passwords and schemas do not change by waiting. */
function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof CassandraFailure) return error.reason !== 'refused' && error.reason !== 'invalid'
  const { code } = error as GatewayError
  return code === 'STORE_UNAVAILABLE' || code === 'CASSANDRA_UNREACHABLE' || code === 'CASSANDRA_FAILED'
}
