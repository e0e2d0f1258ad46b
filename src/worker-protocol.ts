/** What the main thread and its workers say to each other. Everything is a structured clone; settings and documents are plain. */
import type { DescribedRequest } from '#admin/ports.ts'
import type { ClusterCounterBuffers, CountedKey } from '#cluster/cluster-counters.ts'
import type { ResponseCacheBuffers } from '#cluster/response-cache.ts'
import type { RedisLimitBuffers } from '#cluster/redis-limits.ts'
import type { Staple } from '#listen/staples.ts'
import type { Document } from '#model/document.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { Settings } from '#model/settings.ts'
import type { LookupRequest } from '#snapshot/entity-cache.ts'
import type { SnapshotPart, ToldUpdate } from '#snapshot/update.ts'
import type { Fallback } from './gateway-workers.ts'
import type { RuntimeAnswer, RuntimeRequest } from './worker-runtime.ts'

/** What log and tracing plugins have to deliver what they hold when a worker ends. */
export const DELIVERY_DEADLINE_MS = 3000

export interface WorkerStart {
  readonly index: number
  readonly settings: Settings
  readonly nodeId: string
  /** Listeners with their real ports. */
  readonly listeners: readonly Listener[]
  readonly streamListeners: readonly Listener[]
  readonly pulse: SharedArrayBuffer
  /** The table of local counters, shared by all workers. */
  readonly counters: SharedArrayBuffer
  /** The health of addresses, shared by all threads. */
  readonly health: SharedArrayBuffer
  /** Those of all nodes; null where nodes share no store. */
  readonly clusterCounters: ClusterCounterBuffers | null
  /** Stored responses, shared by all workers. */
  readonly responses: ResponseCacheBuffers
  /** What was purged at which revision. */
  readonly purgeLog: SharedArrayBuffer
  /** What the workers know of counters in Redis. */
  readonly redisLimits: RedisLimitBuffers
  readonly ticketKeys: Uint8Array
  readonly fallback: Fallback
  readonly staples: readonly Staple[]
  /** PEM of the authorities that upstreams are verified against; null is Node's own list. */
  readonly trusted: string | null
  readonly clientCertificate: { readonly cert: string; readonly key: string } | null
  /** PEM of `ssl_client_certificate`. */
  readonly clientAuthorities: string | null
  readonly version: string
  /** In Kong's words; may differ from the settings since it was changed. */
  readonly logLevel: string
}

/** The health of a target of an upstream, or of one of its addresses. */
export interface HealthSetting {
  readonly upstreamId: string
  readonly target: string
  readonly address: string | null
  readonly isHealthy: boolean
}

export type ToWorker =
  | { readonly type: 'update'; readonly update: ToldUpdate }
  /** Of the next update that is whole. */
  | { readonly type: 'update-part'; readonly part: SnapshotPart }
  /** The answer to a look-up: documents, or that the store can't be asked. */
  | { readonly type: 'found'; readonly id: number; readonly documents: readonly Document[] | null }
  /** The answer about a short-lived value, or that the store can't be asked. */
  | { readonly type: 'runtime-answer'; readonly id: number; readonly answer: RuntimeAnswer | null }
  | { readonly type: 'collect'; readonly id: number }
  | { readonly type: 'explain'; readonly id: number; readonly request: DescribedRequest }
  | { readonly type: 'health'; readonly id: number; readonly upstreamId: string }
  /** The state of every target, in at most `limit` rows. */
  | { readonly type: 'target-states'; readonly id: number; readonly limit: number }
  /** Answered with null, or a text that says why it can't be. */
  | ({ readonly type: 'set-health'; readonly id: number } & HealthSetting)
  /** Where the health of addresses is kept: the answer to `health-open`, -1 where there is no room. */
  | { readonly type: 'health-slots'; readonly slots: readonly (readonly [key: string, slot: number])[] }
  /** Addresses became usable or unusable in another thread. */
  | { readonly type: 'health-changed'; readonly slots: readonly number[] }
  /** An entry of the cache of looked-up entities; and taking one out, or all. */
  | { readonly type: 'cached'; readonly id: number; readonly key: string }
  | { readonly type: 'uncache'; readonly key: string | null }
  | { readonly type: 'log-level'; readonly level: string; readonly forMs: number | null }
  | { readonly type: 'reopen-logs' }
  | { readonly type: 'fallback-certificate'; readonly fallback: Fallback }
  /** Answers of OCSP that came, or are over. */
  | { readonly type: 'staples'; readonly staples: readonly Staple[] }
  | { readonly type: 'ticket-keys'; readonly keys: Uint8Array }
  /** Answer with `Connection: close`, close idle connections, take no new ones. */
  | { readonly type: 'drain' }
  /** Deliver what plugins hold, write what access and error logs hold, then answer. */
  | { readonly type: 'flush'; readonly id: number }

export type FromWorker =
  | { readonly type: 'listening' }
  | {
      readonly type: 'failed'
      readonly message: string
      readonly code: string | null
      readonly address: string | null
      readonly port: number | null
    }
  | { readonly type: 'serving'; readonly revision: number; readonly hash: string }
  | { readonly type: 'find'; readonly id: number; readonly request: LookupRequest }
  | { readonly type: 'runtime'; readonly id: number; readonly request: RuntimeRequest }
  /** A client asked for a server name that has no certificate, and a configuration of `acme` may get one. */
  | { readonly type: 'certificate-wanted'; readonly name: string }
  /** Counters of all nodes that grew in this worker. */
  | { readonly type: 'counted'; readonly keys: readonly CountedKey[] }
  /** A Redis begins or stops to answer this worker. */
  | { readonly type: 'redis'; readonly redis: string; readonly isUp: boolean; readonly reason: string }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  /** Addresses whose health is to be shared; those that are no longer needed; those that became usable or unusable here. */
  | { readonly type: 'health-open'; readonly keys: readonly string[] }
  | { readonly type: 'health-release'; readonly keys: readonly string[] }
  | { readonly type: 'health-changed'; readonly slots: readonly number[] }
  /** Nothing is in flight any more after a drain. */
  | { readonly type: 'drained' }
