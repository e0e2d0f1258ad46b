/** What the main thread and its workers say to each other. Everything is a structured clone; settings and documents are plain. */
import type { Change, Document } from '#model/document.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { Settings } from '#model/settings.ts'
import type { LookupRequest } from '#snapshot/entity-cache.ts'
import type { SnapshotUpdate } from '#snapshot/update.ts'

export interface WorkerStart {
  readonly index: number
  readonly settings: Settings
  readonly nodeId: string
  /** Listeners with their real ports. */
  readonly listeners: readonly Listener[]
  readonly pulse: SharedArrayBuffer
  /** The table of local counters, shared by all workers. */
  readonly counters: SharedArrayBuffer
  readonly ticketKeys: Uint8Array
  readonly fallback: { readonly cert: string | readonly string[]; readonly key: string | readonly string[] }
  /** PEM of the authorities that upstreams are verified against; null is Node's own list. */
  readonly trusted: string | null
  readonly clientCertificate: { readonly cert: string; readonly key: string } | null
  readonly version: string
}

export type ToWorker =
  | { readonly type: 'update'; readonly update: SnapshotUpdate }
  /** The answer to a look-up: documents, or that the store can't be asked. */
  | { readonly type: 'found'; readonly id: number; readonly documents: readonly Document[] | null }
  | { readonly type: 'collect'; readonly id: number }
  | { readonly type: 'explain'; readonly id: number; readonly request: DescribedRequest }
  | { readonly type: 'health'; readonly id: number; readonly upstream: string }
  | { readonly type: 'set-health'; readonly upstream: string; readonly target: string; readonly address: string | null; readonly isHealthy: boolean }
  | { readonly type: 'log-level'; readonly level: string }
  | { readonly type: 'reopen-logs' }
  | { readonly type: 'fallback-certificate'; readonly cert: string | readonly string[]; readonly key: string | readonly string[] }
  | { readonly type: 'ticket-keys'; readonly keys: Uint8Array }
  /** Answer with `Connection: close`, close idle connections, take no new ones. */
  | { readonly type: 'drain' }
  | { readonly type: 'close' }

export type FromWorker =
  | { readonly type: 'listening' }
  | { readonly type: 'failed'; readonly message: string; readonly code: string | null; readonly address: string | null; readonly port: number | null }
  | { readonly type: 'serving'; readonly revision: number; readonly hash: string }
  | { readonly type: 'find'; readonly id: number; readonly request: LookupRequest }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  /** Nothing is in flight any more after a drain. */
  | { readonly type: 'drained' }

export interface DescribedRequest {
  readonly method: string
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly query: string | null
  readonly sni: string | null
  readonly headers: readonly (readonly [string, string])[]
}

export type { Change }
