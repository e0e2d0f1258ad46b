/** What every exchange of one worker shares. */
import type { ConnectionPool } from '#upstream/pool.ts'
import type { Http2Pool } from '#upstream/h2-pool.ts'
import type { PickedTarget } from '#balancer/contract.ts'
import type { ConsumerGroup, Exchange } from '#pdk/exchange.ts'
import type { WireFailure } from '#http/failure.ts'
import type { CompiledRoute, PluginInstance, Snapshot } from '#snapshot/snapshot.ts'
import type { Clock } from './client-head.ts'
import type { RepeatContext } from './repeats.ts'
import type { ProxySettings } from './settings.ts'
import type { ClientTrust } from './client-trust.ts'

export interface ProxyEvents {
  /** After the last byte, for metrics and the access log. `compiled` is null when no route matched. */
  exchangeEnded(exchange: Exchange, compiled: CompiledRoute | null): void
  /** Bytes that were no request: counted by code. */
  requestRefused(failure: WireFailure): void
  pluginFailed(exchange: Exchange, instance: PluginInstance, phase: string, error: unknown): void
  /** An exchange that the gateway answered with an error of the wire or of the upstream, or had to cut. */
  exchangeFailed(failure: WireFailure): void
  /** Time that a plugin's phase took in one run of `weight`. */
  pluginTime(instance: PluginInstance, phase: string, milliseconds: number, weight: number): void
}

export interface WorkerContext {
  readonly settings: ProxySettings
  readonly trust: ClientTrust
  readonly pool: ConnectionPool
  readonly http2Pool: Http2Pool
  readonly clock: Clock
  readonly events: ProxyEvents
  readonly newRequestId: () => string
  /** The consumer groups of a consumer; rejects with code STORE_UNAVAILABLE when the store can't be asked. */
  readonly groupsOf: (consumerId: string) => readonly ConsumerGroup[] | Promise<readonly ConsumerGroup[]>
  /** `poolKey` of a target without TLS, made once per target. */
  readonly plainPoolKey: (target: PickedTarget) => string
  /** The snapshot to serve from; a new exchange takes the newest and keeps it. */
  snapshot: Snapshot
  /** Exchanges under way. */
  inFlight: number
  isDraining: boolean
  /** Whether the event loop is so late that new requests are better refused. */
  readonly isOverloaded: () => boolean
  /** For requests that plugins repeat; null where none may be. */
  repeats: RepeatContext | null
  /** Shared with the main thread: what is being run (`core/pulse.ts`). */
  readonly pulse: Int32Array
}
