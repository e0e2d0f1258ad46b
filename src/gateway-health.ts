/**
 * The node's health of targets: the places that all threads count in, and the active checks, which the main thread does for all
 * workers. For each upstream with probes it keeps a balancer of its own, that chooses nothing and knows the addresses.
 */
import { randomUUID } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { ActiveChecks, type CheckPlan, type UpstreamChecks } from '#balancer/active-checks.ts'
import { HealthSlots } from '#balancer/health-slots.ts'
import { LocalHealthTable } from '#balancer/health-table.ts'
import { hasProbes } from '#balancer/health.ts'
import { createUpstreamBalancer, type UpstreamBalancer } from '#balancer/upstream-balancer.ts'
import type { Resolver } from '#core/resolution.ts'
import type { Change, Document } from '#model/document.ts'
import type { Upstream } from '#model/entities/upstream.ts'
import { TargetIndex } from '#snapshot/target-index.ts'
import type { Figures } from '#telemetry/figures.ts'
import { compileProbe, type ProbeTls } from '#upstream/probe.ts'
import { logHealthChange } from './target-health.ts'
import type { FromWorker, ToWorker } from './worker-protocol.ts'

export interface NodeHealthOptions {
  readonly resolver: Resolver
  /** PEM of the authorities that targets are verified against; null is Node's own list. */
  readonly trusted: string | null
  /** For upstreams that have none of their own. */
  readonly clientCertificate: { readonly cert: string; readonly key: string } | null
  /** An entity with its secrets in place. */
  readonly find: (kind: string, id: string) => Document | undefined
  readonly figures: Figures
  readonly log: {
    warn(fields: object, message: string): void
    error(fields: object, message: string): void
  }
  readonly tell: (worker: number, message: ToWorker) => void
  readonly tellOthers: (worker: number, message: ToWorker) => void
  readonly concurrency: number
}

const TICK_MS = 100
const SWEEP_MS = 60_000
/** The main thread among those that hold places; workers are numbered from 0. */
const MAIN = -1
/** What a time-out of 0 means: without a bound a probe could last for ever. */
const LONGEST_PROBE_MS = 60_000

interface Watched {
  upstream: Upstream
  readonly balancer: UpstreamBalancer
  readonly checks: UpstreamChecks
}

type HealthMessage = Extract<FromWorker, { readonly type: 'health-open' | 'health-release' | 'health-changed' }>

export class NodeHealth {
  readonly #options: NodeHealthOptions
  readonly #slots = new HealthSlots({ nowMs: Date.now })
  readonly #table: LocalHealthTable
  readonly #checks: ActiveChecks
  readonly #targets = new TargetIndex()
  /** Upstreams whose targets are probed, by id. */
  readonly #watched = new Map<string, Watched>()
  readonly #timers: NodeJS.Timeout[]

  constructor(options: NodeHealthOptions) {
    this.#options = options
    const slots = this.#slots
    this.#table = new LocalHealthTable({
      nowMs: Date.now,
      cells: slots.cells,
      link: {
        open: (keys) => this.#table.adopt(slots.open(MAIN, keys)),
        release: (keys) => slots.release(MAIN, keys),
        changed: (slot) => options.tellOthers(MAIN, { type: 'health-changed', slots: [slot] }),
      },
    })
    let isBroken = false
    const { figures, log } = options
    this.#checks = new ActiveChecks({
      nowMs: () => performance.now(),
      random: Math.random,
      concurrency: options.concurrency,
      onProbed: (outcome, error) => {
        const label = outcome === null ? 'broken' : outcome.type === 'status' ? 'answered' : outcome.type
        figures.counter('meridian_health_probes_total', { outcome: label }).value++
        if (outcome === null && !isBroken)
          log.error({ err: error }, 'a health check is broken, its targets keep their health')
        isBroken ||= outcome === null
      },
    })
    figures.gauge('meridian_health_check_last_run_seconds', {}, () => this.#lastRunS())
    figures.gauge('meridian_health_check_overdue_seconds', {}, () => this.#checks.overdueMs() / 1000)
    figures.gauge('meridian_health_unshared_addresses', {}, () => slots.refused)
    this.#timers = [
      setInterval(() => {
        for (const { balancer } of this.#watched.values()) balancer.refresh()
        this.#checks.tick()
      }, TICK_MS),
      setInterval(() => {
        slots.sweep()
        this.#table.forget()
      }, SWEEP_MS),
    ]
  }

  /** The memory with all states, for workers. */
  get cells(): SharedArrayBuffer {
    return this.#slots.cells
  }

  /** Takes what a revision changed, or with `isWhole` everything. */
  published(changes: readonly Change[], isWhole: boolean): void {
    const of = (kind: string) => changes.filter((change) => change.kind === kind)
    const [upstreams, targets] = [of('upstreams'), of('targets')]
    if (isWhole) {
      upstreams.unshift(...missing('upstreams', this.#watched.keys(), upstreams))
      targets.unshift(...missing('targets', this.#targets.ids(), targets))
    }
    const certificates = new Set(of('certificates').map(({ id }) => id))
    const changed = new Set(upstreams.map(({ id }) => id))
    for (const [id, { put, removed }] of this.#targets.apply(targets)) {
      if (!changed.has(id)) this.#watched.get(id)?.balancer.changeTargets([...put.values()], [...removed])
    }
    for (const { id, document } of upstreams) this.#take(id, document as unknown as Upstream | null)
    for (const watched of this.#watched.values()) {
      const own = watched.upstream.client_certificate?.id
      if (own !== undefined && certificates.has(own)) watched.checks.plan = this.#plan(watched.upstream)
    }
  }

  onMessage(worker: number, message: HealthMessage): void {
    switch (message.type) {
      case 'health-open':
        return this.#options.tell(worker, { type: 'health-slots', slots: this.#slots.open(worker, message.keys) })
      case 'health-release':
        return this.#slots.release(worker, message.keys)
      case 'health-changed':
        this.#table.changed(message.slots)
        return this.#options.tellOthers(worker, message)
    }
  }

  /** A worker ended: what it alone knew is kept for its successor. */
  lost(worker: number): void {
    this.#slots.lost(worker)
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    for (const { balancer, checks } of this.#watched.values()) {
      checks.close()
      balancer.close()
    }
  }

  #take(id: string, upstream: Upstream | null): void {
    const known = this.#watched.get(id)
    if (upstream === null || !hasProbes(upstream.healthchecks.active)) {
      if (known === undefined) return
      this.#watched.delete(id)
      known.checks.close()
      known.balancer.close()
      return
    }
    const targets = this.#targets.of(id)
    if (known !== undefined) {
      known.upstream = upstream
      known.checks.plan = this.#plan(upstream)
      known.balancer.update(upstream, targets)
      return
    }
    const checks = this.#checks.upstream(this.#plan(upstream), (address, outcome) => balancer.probed(address, outcome))
    const balancer: UpstreamBalancer = createUpstreamBalancer({
      upstream,
      targets,
      resolver: this.#options.resolver,
      health: this.#table,
      random: Math.random,
      nowMs: Date.now,
      uuid: randomUUID,
      watch: checks,
      onHealthChange: (change) => logHealthChange(this.#options.log, change),
    })
    this.#watched.set(id, { upstream, balancer, checks })
  }

  #plan(upstream: Upstream): CheckPlan {
    const { active } = upstream.healthchecks
    const timeoutMs = (active.timeout ?? 1) * 1000 || LONGEST_PROBE_MS
    return {
      healthyMs: (active.healthy.interval ?? 0) * 1000,
      unhealthyMs: (active.unhealthy.interval ?? 0) * 1000,
      timeoutMs,
      concurrency: active.concurrency ?? 10,
      probe: compileProbe({
        type: active.type ?? 'http',
        path: active.http_path ?? '/',
        hostHeader: upstream.host_header ?? null,
        headers: active.headers ?? {},
        timeoutMs,
        tls: this.#tls(upstream),
      }),
    }
  }

  #tls(upstream: Upstream): ProbeTls {
    const { active } = upstream.healthchecks
    const own = upstream.client_certificate && this.#options.find('certificates', upstream.client_certificate.id)
    const pair = own ? { cert: own['cert'] as string, key: own['key'] as string } : this.#options.clientCertificate
    const { trusted } = this.#options
    return {
      context: createSecureContext({ ...pair, ...(trusted !== null && { ca: trusted }) }),
      servername: active.https_sni ?? null,
      isVerified: active.https_verify_certificate,
    }
  }

  #lastRunS(): number {
    const { lastRunMs } = this.#checks
    return lastRunMs === 0 ? 0 : (performance.timeOrigin + lastRunMs) / 1000
  }
}

/** Removals of what is known and not among the changes. */
function missing(kind: string, known: Iterable<string>, changes: readonly Change[]): Change[] {
  const there = new Set(changes.map(({ id }) => id))
  return [...known].filter((id) => !there.has(id)).map((id) => ({ kind, workspace: '', id, document: null }))
}
