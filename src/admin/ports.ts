/** What the Admin API needs from the rest of the gateway, handed in by `main.ts`. */
import type { CertificateView } from '#model/certificate-view.ts'
import type { LimitAlgorithm } from '#model/limit-window.ts'
import type { CheckContext, Model } from '#model/contract.ts'
import type { Document } from '#model/document.ts'
import type { ClusterView } from '#store/cluster-view.ts'
import type { ConfigStore, StateReader } from '#store/contract.ts'
import type { Secrets } from '#store/secrets.ts'
import type { ConfigurationHash } from './configuration-hash.ts'
import type { Declarative } from './config.ts'
import type { AdminRequest } from './endpoint.ts'
import type { ErrorLog } from './fail.ts'
import type { MetricsPage } from './metrics.ts'
import type { Committer } from './write.ts'

/** The part that entity endpoints need. */
export interface EntityPorts extends Committer {
  readonly model: Model
  readonly store: ConfigStore
  readonly secrets: Secrets
  readonly check: (atMs: number) => CheckContext
  /** Whether this node listens for TCP, TLS or UDP sessions. */
  readonly servesStreams: boolean
}

export interface AdminPorts extends EntityPorts {
  readonly node: NodeFacts
  readonly statistics: Statistics
  readonly health: UpstreamHealth
  readonly caches: Caches
  readonly responses: StoredResponses
  readonly trafficLimits: LimitReports
  readonly trafficSplits: SplitReports
  readonly acme: AcmeCertificates
  readonly logLevel: LogLevel
  readonly explain: ExplainRoute
  /** The nodes that follow this configuration. */
  readonly cluster: ClusterView
  /** Whether the configuration store answers; what is served does not depend on it. */
  readonly isStoreReachable: () => boolean
  /** While this node's copy of the configuration is not whole: how far it is. */
  readonly filling?: () => { readonly parts: number; readonly done: number; readonly rows: number } | null
  /** What the node does without for now, while it goes on: each as a short text. */
  readonly degraded: () => readonly string[]
  /** See `CassandraStore.beginEpoch`; null for other stores. */
  readonly beginEpoch: (() => Promise<number>) | null
  /** Of the declarative configuration; set by whoever loads one. */
  readonly configurationHash: ConfigurationHash
  readonly declarative: Declarative
  /** The page of `/metrics`; without it the Admin API has none. */
  readonly metricsPage?: MetricsPage
  readonly nowMs: () => number
  readonly log: ErrorLog
}

/** What does not change while the node runs. */
export interface NodeFacts {
  readonly id: string
  readonly hostname: string
  /** Ours, and the Kong version whose interface this is. */
  readonly version: string
  readonly kongVersion: string
  readonly defaultWorkspace: string
  readonly pid: number
  readonly workers: number
  /** The effective settings by Kong's names, sensitive ones starred out. */
  readonly configuration: Readonly<Record<string, unknown>>
  /** What `/status` and `/` warn about: settings and entities that are accepted but not served. */
  readonly warnings: () => readonly string[]
}

export interface Statistics {
  /** Kong's names, from the shared memory of the workers. */
  connections(): {
    readonly connections_accepted: number
    readonly connections_active: number
    readonly connections_handled: number
    readonly connections_reading: number
    readonly connections_waiting: number
    readonly connections_writing: number
    readonly total_requests: number
  }
  /** Heap in use of each worker, in bytes. */
  workerHeaps(): readonly { readonly worker: number; readonly heapBytes: number }[]
  /** Shared memory by name: bytes in use and in all. */
  sharedMemory(): Readonly<Record<string, { readonly usedBytes: number; readonly sizeBytes: number }>>
}

export type Health = 'HEALTHY' | 'UNHEALTHY' | 'DNS_ERROR' | 'HEALTHCHECKS_OFF'

export interface TargetHealth {
  readonly health: Health
  /** Kong's `data`: host, port, dns, nodeWeight, weight and addresses. */
  readonly data: Readonly<Record<string, unknown>>
}

export interface UpstreamHealth {
  /** By `target` of the upstream's targets; null when this node keeps no health of the upstream. */
  targets(upstreamId: string): Promise<ReadonlyMap<string, TargetHealth> | null>
  /** Kong's record of the whole balancer; null as above. */
  balancer(upstreamId: string): Promise<Readonly<Record<string, unknown>> | null>
  /** Sets the health of a target, or of one of its addresses; a text says why that can't be. */
  set(upstreamId: string, target: string, address: string | null, isHealthy: boolean): Promise<string | null>
}

export interface Caches {
  /** A cached object of the node, undefined when it is not cached. */
  get(key: string): Promise<unknown>
  delete(key: string): Promise<void>
  clear(): Promise<void>
}

/** What the sides of the plugin traffic-split did on this node. */
export interface SplitReports {
  /** Null when there is no such plugin. */
  show(pluginId: string): Promise<object | null>
  /** False when there is no such plugin, or it has no such target. */
  resume(pluginId: string, target: string): Promise<boolean>
}

/** What limits of the plugin traffic-limit counted. Both answer null when there is no such plugin. */
export interface LimitReports {
  show(pluginId: string, subject: string): Promise<readonly LimitReport[] | null>
  /** The data centers whose Redis did not answer; or that counters with a sync_rate can't be reset. */
  reset(pluginId: string, subject: string): Promise<readonly string[] | 'synced' | null>
}

export interface LimitReport {
  readonly name: string
  /** The consumer group; null for everybody else. */
  readonly tier: string | null
  readonly limit: number
  /** What a bucket holds; else the limit. */
  readonly most: number
  readonly algorithm: LimitAlgorithm
  readonly startsAtMs: number
  readonly endsAtMs: number
  /** Null where only the nodes know. */
  readonly used: number | null
  /** Without a name where there is one Redis. */
  readonly dataCenters: readonly {
    readonly name: string
    readonly isReachable: boolean
    readonly used: number
    /** Null where data centers have none. */
    readonly share: number | null
  }[]
}

/** The responses that the plugin proxy-cache stored, on this node and in the Redis that its configurations name. */
export interface StoredResponses {
  /** By what `X-Cache-Key` said; null when there is none. */
  get(key: string): Promise<StoredResponseView | null>
  /** Whether purges go through the log, to every node that has it. */
  readonly isInLog: boolean
  /** False when that would be too many names now. */
  mayPurge(names: number): boolean
  /** Where they don't go through the log: drops here, and in Redis. Answers the names of those that did not answer. */
  purge(names: readonly string[]): Promise<readonly string[]>
}

/** In Kong's words. */
export interface StoredResponseView {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly body: string
  readonly body_len: number
  /** Unix seconds. */
  readonly timestamp: number
  /** Seconds. */
  readonly ttl: number
  readonly version: number
}

/** The certificates that the plugin acme gets. */
export interface AcmeCertificates {
  /** Whether there is a configuration that is enabled. */
  isConfigured(): boolean
  /** Null: requests for challenges of this host come here; else what is wrong. */
  checkHttp(host: string): Promise<string | null>
  /** Gets one, whatever there is; when it is there this node serves it. */
  obtain(host: string): Promise<AcmeOutcome>
  /** Begins to renew what is due. */
  renew(): void
  list(): Promise<readonly CertificateView[]>
  find(host: string): Promise<CertificateView | null>
}

export type AcmeOutcome =
  | { readonly is: 'issued' | 'present' | 'busy' | 'resting' | 'not_allowed' }
  | { readonly is: 'failed'; readonly problem: string }

export interface LogLevel {
  /** Kong's names: debug, info, notice, warn, error, crit, alert, emerg. */
  current(): string
  /** Until `timeoutS` seconds have passed; 0 is for ever. */
  set(level: string, timeoutS: number): void
}

/** A request as `/debug/route` describes it. */
export interface DescribedRequest {
  readonly method: string
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly query: string | null
  readonly sni: string | null
  readonly headers: readonly (readonly [string, string])[]
}
/** Says which route a request matches and why the others don't; what it returns is shown as it is. */
export type ExplainRoute = (request: DescribedRequest) => Promise<unknown>

/** The document as this caller may see it: a viewer sees no secrets, everybody else what Kong shows. */
export function presentFor(
  { model, secrets }: Pick<EntityPorts, 'model' | 'secrets'>,
  request: AdminRequest,
  kind: string,
  document: Document,
): Record<string, unknown> {
  const visible = request.role === 'viewer' ? secrets.redact(kind, document) : document
  const shown = { ...model.present(kind, visible, request.atMs) }
  // Kong shows what is only given (a certificate's `snis`) as null where it does not fill it in.
  for (const [name, field] of Object.entries(model.entities.get(kind)!.fields))
    if (field.transient === true) shown[name] = null
  return shown
}

/** Rows read at once while walking over all of them. */
const WALK_PAGE = 1000

/** Every row of a list, page by page. */
export async function* everyRow(
  state: StateReader,
  kind: string,
  filter: Parameters<StateReader['list']>[1],
): AsyncGenerator<Awaited<ReturnType<StateReader['list']>>['rows'][number]> {
  let offset: string | undefined
  do {
    const page = await state.list(kind, filter, { size: WALK_PAGE, ...(offset === undefined ? {} : { offset }) })
    yield* page.rows
    offset = page.offset
  } while (offset !== undefined)
}
