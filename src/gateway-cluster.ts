/** What this node says of itself to the others, and what the gateway knows of them. */
import { randomUUID } from 'node:crypto'
import { hostname, networkInterfaces } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Settings } from '#model/settings.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { Publisher } from '#snapshot/publisher.ts'
import { Membership } from '#store/cassandra/nodes.ts'
import type { CassandraPort } from '#store/cassandra/port.ts'
import { CONDITIONS, conditionOf, ENTRY_FORMATS, type ClusterView, type NodeState } from '#store/cluster-view.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import type { ClusterStore } from './gateway-cluster-store.ts'

export interface NodeParts {
  readonly settings: Settings
  readonly version: string
  /** Of all entities that the model has. */
  readonly kinds: readonly string[]
  readonly isReady: () => boolean
  readonly isDraining: () => boolean
  /** Null before the configuration is loaded. */
  readonly publisher: () => Publisher | null
  /** Requests since the start. */
  readonly requests: () => number
}

/** What this node says of itself, each time as of then. May be asked as soon as the settings are read. */
export function describeNode(parts: NodeParts): () => NodeState {
  const { settings, version, kinds } = parts
  const admin = addressesOf(settings.admin_listen)
  const proxy = addressesOf(settings.proxy_listen)
  const rate = new Rate(parts.requests)
  const fixed = {
    incarnation: randomUUID(),
    hostname: hostname(),
    version,
    role: 'all',
    address: [...admin, ...proxy].find(({ isLoopback }) => !isLoopback)?.text ?? admin[0]?.text ?? null,
    admin_address: admin[0]?.text ?? null,
    proxy_address: proxy[0]?.text ?? null,
    // Who has a store with epochs adds it.
    epoch: 0,
    stopped: false,
    workers: settings.workers,
    started_at_ms: Date.now(),
    understands: { entry_formats: ENTRY_FORMATS, kinds },
  }
  return () => {
    const publisher = parts.publisher()
    return {
      ...fixed,
      applied_revision: publisher?.position.revision ?? -1,
      hash: publisher?.position.hash ?? '',
      serving_revision: publisher?.revision ?? -1,
      ready: parts.isReady(),
      draining: parts.isDraining(),
      requests_per_second: rate.read(),
    }
  }
}

export interface ClusterAccess {
  readonly port: CassandraPort
  readonly nodeId: string
  readonly settings: Pick<Settings, 'cassandra_local_datacenter' | 'cassandra_data_centers'>
  /** From `describeNode`. */
  readonly state: () => NodeState
  readonly log: GatewayLog
}

/** The nodes of a cluster on Cassandra. Its heartbeats begin with `start`, and end with `close`, which is to come before the port's. */
export function createMembership({ port, nodeId, settings, state, log }: ClusterAccess): Membership {
  return new Membership({
    port,
    nodeId,
    // Required by the settings with `database = cassandra`.
    dataCenter: settings.cassandra_local_datacenter!,
    dataCenters: Object.keys(settings.cassandra_data_centers ?? {}),
    state,
    log: log.log,
    monotonicMs: () => performance.now(),
    nowMs: Date.now,
    delay: (ms, signal) => delay(ms, undefined, { signal }),
    random: Math.random,
  })
}

export function registerClusterFigures(figures: Figures, cluster: ClusterView): void {
  for (const name of cluster.dataCenters) {
    for (const condition of CONDITIONS) {
      figures.gauge('meridian_cluster_nodes', { data_center: name, state: condition }, () => {
        const nodes = cluster.nodes().filter((node) => node.data_center === name && conditionOf(node) === condition)
        return nodes.length
      })
    }
  }
}

/** Of what only this node's way to Cassandra has. */
export function registerCassandraFigures(
  figures: Figures,
  {
    projected,
    filling,
    isReachable,
    remoteContacts,
    counters,
  }: Pick<ClusterStore, 'projected' | 'filling' | 'isReachable' | 'remoteContacts' | 'counters'>,
): void {
  figures.gauge('meridian_config_projected_revision', {}, projected)
  figures.gauge('meridian_config_copy_filled_ratio', {}, () => {
    const progress = filling()
    return progress === null ? 1 : progress.done / Math.max(1, progress.parts)
  })
  figures.gauge('meridian_cassandra_reachable', {}, () => Number(isReachable()))
  figures.gauge('meridian_cassandra_remote_contacts_total', {}, remoteContacts)
  figures.gauge('meridian_counters_synced', {}, () => Number(counters.isSynced))
  figures.gauge('meridian_counters_sync_failures_total', {}, () => counters.failures)
  figures.gauge('meridian_counters_sync_waiting', {}, () => counters.waiting)
  figures.gauge('meridian_counters_sync_dropped_total', {}, () => counters.dropped)
}

const RATE_MS = 1000

/** The rate of something that grows, over the last second or more between two readings. */
class Rate {
  readonly #count: () => number
  #atMs = performance.now()
  #last = 0
  #perSecond = 0

  constructor(count: () => number) {
    this.#count = count
  }

  read(): number {
    const nowMs = performance.now()
    const passedMs = nowMs - this.#atMs
    if (passedMs < RATE_MS) return this.#perSecond
    const count = this.#count()
    // What a worker that was replaced had counted is gone from the sum.
    this.#perSecond = Math.round((Math.max(0, count - this.#last) / passedMs) * 10_000) / 10
    this.#last = count
    this.#atMs = nowMs
    return this.#perSecond
  }
}

interface Address {
  readonly text: string
  readonly isLoopback: boolean
}

/** As another machine would name them: one that listens everywhere stands with the first address of this machine. */
function addressesOf(listeners: readonly Listener[]): Address[] {
  return listeners.flatMap(({ socketPath, host, port }) => {
    if (socketPath !== null) return []
    const named = host === '0.0.0.0' || host === '::' ? machineAddress() : host
    const isLoopback = named.startsWith('127.') || named === '::1' || named === 'localhost'
    return [{ text: named.includes(':') ? `[${named}]:${port}` : `${named}:${port}`, isLoopback }]
  })
}

function machineAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses)
  const outside = all.filter(({ internal }) => !internal)
  return outside.find(({ family }) => family === 'IPv4')?.address ?? outside[0]?.address ?? '127.0.0.1'
}
