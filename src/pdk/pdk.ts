/** What a plugin sees. Operators' plugins import this file as `meridian/pdk`. */
import type { ConfigOf, EntityDefinition, PluginSchema } from '#model/schema.ts'
import type { LookupFunction } from 'node:net'
import type { HeaderList } from '#http/header-list.ts'
import type { Document } from '#model/document.ts'
import type { RedisBlock } from '#model/redis-block.ts'
import type { PluginDelivery } from '#telemetry/log-delivery.ts'
import type { BodyEncoding } from './body-encoding.ts'
import type { ResponseHold } from './response-hold.ts'
import type { Exchange, Exit } from './exchange.ts'
import type { Limiter, LimiterOptions } from '#model/limiter.ts'
import type { StoredResponse } from './stored-response.ts'
import type { OpenSharedResponses } from './shared-responses.ts'

export {
  definePluginSchema,
  defineEntity,
  t,
  type Static,
  type ConfigOf,
  type PluginSchema,
  type EntityDefinition,
} from '#model/schema.ts'
export {
  Exchange,
  type Exit,
  type Credential,
  type ConsumerGroup,
  type PhaseTime,
  type ServiceChooser,
  type ServicePlace,
} from './exchange.ts'
export { encodeStored, StoredResponse, type StoredFacts } from './stored-response.ts'
export { FieldName } from './field-name.ts'
export { addressName, keyName, SHARED_NAME, tagName } from '#model/cache-names.ts'
export type { PurgeMoment, SharedAnswer, SharedResponses } from './shared-responses.ts'
export type { BodyEncoder, BodyEncoding, EncoderSink } from './body-encoding.ts'
export type { ResponseHold } from './response-hold.ts'
export { identify } from './identity.ts'
export { storeFailure } from './store-failure.ts'
export type { Limiter, LimiterOptions } from '#model/limiter.ts'
export { LATE_MS, MOST_OWED, resetMs, waitMs } from '#model/limit-window.ts'
export type { LimitAlgorithm, LimitDecision, LimitWindow } from '#model/limit-window.ts'
export type { RedisBlock } from '#model/redis-block.ts'
export type { HeaderList } from '#http/header-list.ts'
export type { Consumer } from '#model/entities/consumer.ts'
export type { DeliveryQueue, LineFile, PluginDelivery, QueueOptions } from '#telemetry/log-delivery.ts'
export type { QueueParameters } from '#telemetry/batch-queue.ts'
export { latenciesOf, type LogRecord } from '#telemetry/serializer.ts'
export { EXPIRES_AT, type Document } from '#model/document.ts'

/** Counters shared by all workers of this node, bounded in number; an evicted counter starts again at 0. */
export interface LocalCounters {
  /** Adds and answers the total after it. The counter ends at `expiresAtMs` (Unix ms) and is then 0. */
  add(key: string, amount: number, expiresAtMs: number): number
  /** Adds only if the total then is at most `limit`; answers what the total is, or would have been: over `limit` when refused. */
  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number): number
  read(key: string): number
}

/**
 * Counters of all nodes that share a store: what this node counted, exact over its workers, and what it last learned of the others,
 * which is some tenths of a second old. Never waits for them.
 */
export interface ClusterCounters {
  /** False when this node has not been able to exchange counts with the others for a while: it counts on with what it knows. */
  readonly isSynced: boolean
  add(key: string, amount: number, expiresAtMs: number): number
  /** Adds, whatever the limit, and tells the others. */
  count(key: string, amount: number, expiresAtMs: number, startsAtMs: number): number
  /** As `LocalCounters.addUpTo`. `startsAtMs` (Unix ms), the same on all nodes, is when the counter's window began. */
  addUpTo(key: string, amount: number, limit: number, expiresAtMs: number, startsAtMs: number): number
  read(key: string): number
}

/**
 * Responses that all workers of this node share, bounded in bytes: what comes in drops what was not asked for longest. A response is
 * found by a text that says what it answers.
 */
export interface ResponseCache {
  /** Values over this size are not kept. */
  readonly largestBytes: number
  /** The number of this moment: to be remembered when a response is asked for, and given to `store`. */
  readonly generation: number
  find(text: string): StoredResponse | null
  /** The name of a text outside, 64 hex characters. */
  keyOf(text: string): string
  /**
   * Keeps what `encodeStored` made until `expiresAtMs` (Unix ms). It is dropped with any of `names`, also when that was purged between
   * `generation` and now. False when it can't be kept; that is no error.
   */
  store(text: string, value: Buffer, names: readonly string[], generation: number, expiresAtMs: number): boolean
  drop(text: string): void
  /** Drops everything that was stored with this name. */
  purge(name: string): void
  /** Says who fetches what is missing: a token for `endFill`, or 0 when somebody else does. After `forMs` nobody does any more. */
  startFill(text: string, forMs: number): number
  /** Holds it for `forMs` from now on: another token, or 0 when somebody else fetches by now. */
  keepFill(text: string, token: number, forMs: number): number
  endFill(text: string, token: number): void
  /** Resolves when who fetches is done, or after the time. */
  awaitFill(text: string, atMostMs: number): Promise<void>
}

/** Counters in a Redis. Connections are shared, made in the background and closed with the last who uses them. */
export interface RedisCounters {
  /** Asks Redis for every decision. */
  strict(block: RedisBlock): StrictCounters
  /** Decides by memory, and exchanges counts with the other nodes every so many seconds. */
  synced(block: RedisBlock, seconds: number): SyncedCounters
  /** Over limits with algorithms, in memory or Redis, of one data center or all. Throws when there is no such Redis. */
  limiter(options: LimiterOptions): Limiter
}

/** A window of a limit at a moment. */
export interface CounterWindow {
  /** Says which window it is; put after the name of who is counted. */
  readonly keySuffix: string
  /** The most that is admitted. */
  readonly most: number
  /** Unix ms. */
  readonly endMs: number
}

/**
 * Counters that are in Redis alone. Answers are 0, or the number (from 1) of the window that refused, and then the totals of all
 * windows: null at once while Redis is known not to answer, null later when it did not within its deadline. Nothing rejects.
 */
export interface StrictCounters {
  readonly isUp: boolean
  /** In one step: adds the cost to every window if all have room for it, else to none. */
  take(key: string, cost: number, windows: readonly CounterWindow[]): Promise<readonly number[] | null> | null
  read(key: string, windows: readonly CounterWindow[]): Promise<readonly number[] | null> | null
  /** Adds, whatever the limits. */
  add(key: string, amount: number, windows: readonly CounterWindow[]): Promise<readonly number[] | null> | null
  /** Without Redis: as `take`, by what this node knows and within its share of the limit. */
  takeAlone(key: string, cost: number, windows: readonly CounterWindow[]): readonly number[]
  readAlone(key: string, windows: readonly CounterWindow[]): readonly number[]
  addAlone(key: string, amount: number, windows: readonly CounterWindow[]): void
  close(): void
}

/** As `ClusterCounters`, over Redis. While `isSynced` is false a node admits its share of the limit. */
export interface SyncedCounters extends ClusterCounters {
  close(): void
}

/** How functions in configurations run: not at all, in an interpreter without rights, or with all rights of the gateway. */
export type FunctionsMode = 'off' | 'sandbox' | 'trusted'

/** The environment that the gateway was started with: for what others' tools look for there. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What a node has for plugins, or has not, by its settings. */
export interface NodeAbilities {
  readonly hasClusterCounters: boolean
  readonly functions: FunctionsMode
  /** Whether data centers limit together, and whether each may have a share of a limit. */
  readonly hasDataCenters: boolean
  readonly canLease: boolean
  /** Whether the configuration can be written, and is kept. */
  readonly hasDatabase: boolean
  readonly environment: Environment
}

/**
 * Entities by key. What this worker has in its cache is answered at once, else there is a promise; it rejects with
 * code STORE_UNAVAILABLE when the store can't be asked (answer 503, never 'unknown').
 */
export interface EntityReader {
  get(kind: string, id: string): Document | null | Promise<Document | null>
  lookup(kind: string, field: string, value: string): Document | null | Promise<Document | null>
  /** All rows of `kind` whose foreign `field` is `id`. */
  listBy(kind: string, field: string, id: string): readonly Document[] | Promise<readonly Document[]>
}

/** For values that never end: the longest time to live that every store can keep. */
export const FOREVER_MS = 19 * 365 * 86_400_000

/** What JSON can say, but null. */
export type RuntimeValue = object | string | number | boolean

/**
 * Short-lived values of this plugin, whoever of its configurations asks: tokens, sessions. All workers see them, and all nodes that
 * share a store. Keys are kept hashed and values sealed; each has a time to live. Every promise settles within seconds, and rejects
 * with code STORE_UNAVAILABLE when the store can't be asked (answer 503, never 'unknown'); what was being written then may be there
 * or not.
 */
export interface RuntimeValues {
  /** Undefined: nothing is there, or its time is over. */
  get(space: string, key: string): Promise<RuntimeValue | undefined>
  /**
   * Like `get` and cheaper for what is asked for again and again: the value may be one second old, and is then answered at once.
   * What this worker changes, it sees at once.
   */
  recall(space: string, key: string): RuntimeValue | undefined | Promise<RuntimeValue | undefined>
  put(space: string, key: string, value: RuntimeValue, ttlMs: number): Promise<void>
  /** Like `put`, but false when a value is there. */
  putIfAbsent(space: string, key: string, value: RuntimeValue, ttlMs: number): Promise<boolean>
  /** Removes what is there and answers it; of two that take at once only one gets it. */
  take(space: string, key: string): Promise<RuntimeValue | undefined>
  delete(space: string, key: string): Promise<void>
}

/** The certificates that this node shows to clients, by server name (lower case). */
export interface ServerCertificates {
  /** Whether there is one for the name; else clients are shown the fallback. */
  has(serverName: string): boolean
  /** Has one got in the background, where a configuration of `acme` allows that. */
  want(serverName: string): void
}

export interface PluginLog {
  error(fields: object, message: string): void
  warn(fields: object, message: string): void
  info(fields: object, message: string): void
  debug(fields: object, message: string): void
}

/** What of a finished exchange is to be counted, as a `prometheus` instance is configured. */
export interface MetricsSelection {
  readonly perConsumer: boolean
  readonly statusCodes: boolean
  readonly latencies: boolean
  readonly bandwidth: boolean
  /** What language models were used for, where that is logged. */
  readonly models: boolean
}

/** `refused`: the service answered, and not with what was asked for. `failed`: it can't be asked. */
export type CallOutcome = 'answered' | 'refused' | 'failed'

/** What a cache of responses did for a route, in numbers that only grow: adding to them is all that counting costs. */
export type CacheCounts = Readonly<Record<'Hit' | 'Stale' | 'Miss' | 'Refresh' | 'Bypass', { value: number }>>

/** Where plugins report what the gateway's telemetry turns into series; it bounds their number. */
export interface MetricsSink {
  requestFinished(exchange: Exchange, selection: MetricsSelection): void
  /** A limit refused a request, or with `shadow` would have. Names of limits come from configurations only. */
  limitRefused(limit: string, mode: 'enforced' | 'shadow'): void
  /** A call that a plugin made to a service of its own: `meridian_plugin_calls_total`. Names are few and fixed. */
  called(plugin: string, call: string, outcome: CallOutcome): void
  /** Of the route of the exchange; to be kept: `meridian_cache_responses_total`. */
  cacheCounts(exchange: Exchange): CacheCounts
  /** Something that a plugin did, so many times: `meridian_plugin_events_total`. Names are few and fixed. */
  counted(plugin: string, event: string, times?: number): void
  /** Bytes that a plugin took or gave: `meridian_plugin_bytes_total`. Names are few and fixed. */
  countedBytes(plugin: string, kind: string, bytes: number): void
  /** A request that `split` (the plugin's id) sent to a target of a configuration ended: `meridian_split_requests_total`. */
  splitFinished(split: string, target: string, outcome: 'ok' | 'error'): void
  /** The part of the requests (0 to 1) that a target has now; told by one worker for all. */
  splitStated(split: string, target: string, share: number, isAborted: boolean): void
  /** A request that a plugin refused: `meridian_plugin_refusals_total`. Reasons are few and fixed. */
  refused(plugin: string, reason: string): void
  /** A request for an API that goes away: `meridian_deprecated_requests_total`. The consumer is '' for nobody known. */
  deprecatedUsed(api: string, consumer: string, stage: string): void
}

/** `tracing_instrumentations` and `tracing_sampling_rate`. */
export interface TracingSettings {
  readonly instrumentations: readonly string[]
  readonly samplingRate: number
}

/** What a plugin instance may use; made once per configuration of the plugin. */
export interface PluginTools {
  readonly pluginId: string
  readonly scope: {
    readonly route: string | null
    readonly service: string | null
    readonly consumer: string | null
    readonly consumerGroup: string | null
  }
  readonly counters: LocalCounters
  /** Null where nodes share no store. */
  readonly clusterCounters: ClusterCounters | null
  readonly responses: ResponseCache
  readonly sharedResponses: OpenSharedResponses
  readonly redis: RedisCounters
  readonly entities: EntityReader
  readonly runtime: RuntimeValues
  readonly certificates: ServerCertificates
  readonly log: PluginLog
  readonly metrics: MetricsSink
  /** Log records, and queues and files by which they leave; all of it is flushed when the worker ends. */
  readonly delivery: PluginDelivery
  /** Finds names by the gateway's own resolver; for sockets that a plugin opens. */
  readonly lookup: LookupFunction
  /** PEM of the authorities that TLS servers are verified against; null for Node's own list. */
  readonly trusted: string | null
  readonly functions: FunctionsMode
  readonly tracing: TracingSettings
  readonly nodeId: string
  readonly environment: Environment
  /** The gateway's. */
  readonly version: string
  /** Of this thread, from 0. */
  readonly workerIndex: number
  /** Memory that all workers share; each piece is taken whole at the start. */
  readonly sharedMemory: readonly { readonly name: string; readonly capacityBytes: number }[]
}

/**
 * A streamed change of a body: what `chunk` and `end` return goes on; null sends nothing. The bytes that `chunk` is given may be
 * overwritten after it has returned: what is kept has to be copied.
 */
export interface BodyTransform {
  chunk(bytes: Buffer): Buffer | null
  /** `trailers` are those of the upstream, which it may change; null where there are none. */
  end(trailers?: HeaderList | null): Buffer | null
  /** Set by one that only looks: what goes on is as long as what came, so that the response keeps its Content-Length. */
  readonly keepsLength?: true
}

type Phase<S, R = void> = (exchange: Exchange, state: S) => R

export interface Plugin<Sch extends PluginSchema = PluginSchema, S = unknown> {
  readonly schema: Sch
  readonly entities?: readonly EntityDefinition[]
  /**
   * Names what the schema allows and this version or this node can't do: the field below `config`, dotted, and why. Null accepts.
   * Asked when a configuration is written, so that it is refused there and not found out by requests.
   */
  refuse?(config: ConfigOf<Sch>, node: NodeAbilities): { readonly field: string; readonly message: string } | null
  /** Runs once per configuration change; requests see only its result. */
  prepare(config: ConfigOf<Sch>, tools: PluginTools): S
  /** Before routing; only global instances. */
  readonly rewrite?: Phase<S, void | Exit | Promise<void | Exit>>
  /**
   * Set by one that looks at certificates of clients (`exchange.request.tls.clientCertificates`): while there is a configuration of it,
   * clients are asked for one in the TLS handshake. It answers the ids of the authorities to be named there, or none.
   */
  readonly wantsCertificates?: (config: Readonly<Record<string, unknown>>) => readonly string[]
  readonly access?: Phase<S, void | Exit | Promise<void | Exit>>
  /**
   * When the head of an upstream's response with a body is there, before any other phase of responses: what takes the response whole,
   * or null to let it stream. Not for answers of the gateway's own.
   */
  readonly responseHold?: Phase<S, ResponseHold | null>
  /** When the response's head is there; may change status and headers. */
  readonly responseHeaders?: Phase<S>
  /** A transform for this exchange's response body, or null to leave it. Unless it `keepsLength` it removes Content-Length. */
  readonly responseBody?: Phase<S, BodyTransform | null>
  /**
   * How the body is encoded for this client, or null to leave it as it is: after all transforms, which never see it encoded. The headers
   * are the client's alone. `length` is that of the body, -1 where it is not known; also called for responses without a body.
   */
  readonly responseEncoding?: (exchange: Exchange, state: S, length: number) => BodyEncoding | null
  /** After the last byte, before the log phase of any plugin: takes away what was sent and no log may show. */
  readonly redact?: Phase<S>
  /** After the last byte. */
  readonly log?: Phase<S>
  /** When a TCP, TLS or UDP session begins, before a target is chosen; an exit's status ends it. Not for HTTP. */
  readonly preread?: Phase<S, void | Exit | Promise<void | Exit>>
  /** When such a session has ended. */
  readonly sessionLog?: Phase<S>
  /** Whether `exchange.phaseTimes` is to be kept for the exchanges of this configuration. */
  timesPhases?(state: S): boolean
  /** Ends timers and connections that `prepare` opened, when this configuration is gone. */
  close?(state: S): void
}

/** Gives a plugin its types: config from the schema, the phases' second argument from `prepare`. */
export function definePlugin<Sch extends PluginSchema, S>(plugin: Plugin<Sch, S>): Plugin<Sch, S> {
  return plugin
}

/** The priority and the name by which the proxy orders plugins. */
export interface AnyPlugin extends Plugin<PluginSchema, any> {}

/** Asks each plugin whether it can do what a configuration says; for `createModel`. */
export function refusalsOf(plugins: readonly AnyPlugin[], node: NodeAbilities) {
  const byName = new Map(plugins.map((plugin) => [plugin.schema.name, plugin]))
  return (name: string, config: Readonly<Record<string, unknown>>) => byName.get(name)?.refuse?.(config, node) ?? null
}
