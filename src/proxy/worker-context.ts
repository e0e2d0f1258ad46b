/** What every exchange of one worker shares. */
import type { ConnectionPool } from '#upstream/pool.ts'
import type { Exchange } from '#pdk/exchange.ts'
import type { WireFailure } from '#http/failure.ts'
import type { CompiledRoute, PluginInstance, Snapshot } from '#snapshot/snapshot.ts'
import type { Clock } from './client-head.ts'
import type { ProxySettings } from './settings.ts'
import type { ClientTrust } from './client-trust.ts'

export interface ProxyEvents {
  /** After the last byte, for metrics and the access log. `compiled` is null when no route matched. */
  exchangeEnded(exchange: Exchange, compiled: CompiledRoute | null): void
  /** Bytes that were no request: counted by code. */
  requestRefused(failure: WireFailure): void
  pluginFailed(exchange: Exchange, instance: PluginInstance, phase: string, error: unknown): void
  /** Time that a plugin's phase took, sampled. */
  pluginTime(instance: PluginInstance, phase: string, milliseconds: number): void
}

export interface WorkerContext {
  readonly settings: ProxySettings
  readonly trust: ClientTrust
  readonly pool: ConnectionPool
  readonly clock: Clock
  readonly events: ProxyEvents
  readonly newRequestId: () => string
  /** The snapshot to serve from; a new exchange takes the newest and keeps it. */
  snapshot: Snapshot
  /** Exchanges under way. */
  inFlight: number
  isDraining: boolean
}
