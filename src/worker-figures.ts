/** The figures that a worker reads off its parts when somebody asks, and what it writes into its pulse. */
import { PULSE_ACCEPTED, PULSE_ACTIVE, PULSE_BEAT, PULSE_BUSY, PULSE_HEAP, PULSE_REQUESTS } from '#core/pulse.ts'
import type { Localities } from '#balancer/locality.ts'
import type { Acceptor } from '#listen/acceptor.ts'
import type { WorkerContext } from '#proxy/worker-context.ts'
import type { EntityCache } from '#snapshot/entity-cache.ts'
import type { AccessLog } from '#telemetry/access-log.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { openLog } from '#telemetry/logger.ts'
import type { WorkerMetrics } from '#telemetry/worker-metrics.ts'
import type { DnsResolver } from '#upstream/dns/resolver.ts'

export interface FigureSources {
  readonly context: WorkerContext
  readonly cache: EntityCache
  readonly responses: { readonly hits: number; readonly misses: number }
  /** What was looked for in Redis. */
  readonly sharedResponses: { readonly hits: number; readonly misses: number }
  readonly resolver: DnsResolver
  readonly log: ReturnType<typeof openLog>
  readonly accessLog: AccessLog | null
  /** What taking over the newest change took. */
  readonly applyMs: () => number
  /** Upstreams whose requests go to all targets, because too few are healthy. */
  readonly panicking: () => number
  readonly openCircuits: () => number
  /** Upstreams of whose requests not all go to targets that are near. */
  readonly spilling: () => number
  readonly localities: Localities
}

export function registerWorkerFigures(figures: Figures, sources: FigureSources): void {
  const {
    context,
    cache,
    responses,
    sharedResponses,
    resolver,
    log,
    accessLog,
    applyMs,
    panicking,
    openCircuits,
    spilling,
    localities,
  } = sources
  const { pool } = context
  figures.gauge('meridian_config_revision', {}, () => context.snapshot.revision)
  figures.gauge('meridian_config_apply_seconds', {}, () => applyMs() / 1000)
  figures.gauge('meridian_upstreams_in_panic', {}, panicking)
  figures.gauge('meridian_open_circuits', {}, openCircuits)
  figures.gauge('meridian_upstreams_spilling', {}, spilling)
  const { picked } = localities
  figures.gauge('meridian_locality_picks_total', { place: 'near' }, () => picked.near)
  figures.gauge('meridian_locality_picks_total', { place: 'far' }, () => picked.far)
  figures.gauge('meridian_exchanges_in_flight', {}, () => context.inFlight)
  figures.gauge('meridian_upstream_connections', { state: 'idle' }, () => pool.figures.idle)
  figures.gauge('meridian_upstream_connections', { state: 'busy' }, () => pool.figures.open - pool.figures.idle)
  figures.gauge('meridian_upstream_connections_created_total', {}, () => pool.figures.created)
  figures.gauge('meridian_upstream_connections_reused_total', {}, () => pool.figures.reused)
  figures.gauge('meridian_cache_hits_total', { cache: 'entities' }, () => cache.figures.hits)
  figures.gauge('meridian_cache_misses_total', { cache: 'entities' }, () => cache.figures.misses)
  figures.gauge('meridian_cache_bytes', { cache: 'entities' }, () => cache.bytes)
  figures.gauge('meridian_cache_hits_total', { cache: 'responses' }, () => responses.hits)
  figures.gauge('meridian_cache_misses_total', { cache: 'responses' }, () => responses.misses)
  figures.gauge('meridian_cache_hits_total', { cache: 'redis' }, () => sharedResponses.hits)
  figures.gauge('meridian_cache_misses_total', { cache: 'redis' }, () => sharedResponses.misses)
  for (const outcome of ['hits', 'stale', 'misses', 'failures'] as const)
    figures.gauge('meridian_dns_queries_total', { outcome }, () => resolver.stats()[outcome])
  figures.gauge('meridian_log_lines_dropped_total', { log: 'error' }, () => log.dropped)
  figures.gauge('meridian_log_lines_dropped_total', { log: 'access' }, () => accessLog?.dropped ?? 0)
}

/** Tells the main thread that this worker is alive, and its numbers, without a message. */
export function beatPulse(
  pulse: Int32Array,
  acceptor: Acceptor,
  context: Pick<WorkerContext, 'inFlight'>,
  metrics: WorkerMetrics,
): void {
  Atomics.store(pulse, PULSE_ACCEPTED, acceptor.accepted)
  Atomics.store(pulse, PULSE_ACTIVE, acceptor.connections.size)
  Atomics.store(pulse, PULSE_BUSY, context.inFlight)
  Atomics.store(pulse, PULSE_REQUESTS, metrics.requestCount)
  Atomics.store(pulse, PULSE_HEAP, Math.round(process.memoryUsage().heapUsed / 1024 ** 2))
  Atomics.add(pulse, PULSE_BEAT, 1)
}
