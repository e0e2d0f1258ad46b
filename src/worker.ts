/** One worker thread: builds what proxies requests and hands the parts to each other. The counterpart of `main.ts`. */
import { threadId, type MessagePort } from 'node:worker_threads'
import { createDirectBalancer } from '#balancer/direct.ts'
import type { UpstreamHealthReport } from '#balancer/health-report.ts'
import { LocalHealthTable } from '#balancer/health-table.ts'
import { targetStates } from '#balancer/target-states.ts'
import type { UpstreamBalancer } from '#balancer/upstream-balancer.ts'
import { ClusterCounters } from '#cluster/cluster-counters.ts'
import { createLocalCounters } from '#cluster/local-counters.ts'
import { ResponseCache } from '#cluster/response-cache.ts'
import { Deadlines } from '#core/deadlines.ts'
import { createRequestIds } from '#core/request-id.ts'
import { Outbox } from '#http/outbox.ts'
import { Acceptor } from '#listen/acceptor.ts'
import { CertificateTable } from '#listen/certificates.ts'
import { idHash } from '#core/pulse.ts'
import type { Document } from '#model/document.ts'
import type { Route } from '#model/entities/route.ts'
import type { Service } from '#model/entities/service.ts'
import type { LogLevel } from '#model/settings/node.ts'
import { decodeStored } from '#pdk/stored-response.ts'
import type { AnyPlugin } from '#pdk/pdk.ts'
import { pluginEntities } from '#plugins/schemas.ts'
import { coreEntities } from '#model/entities/index.ts'
import { createClientTrust } from '#proxy/client-trust.ts'
import { proxySettings } from '#proxy/settings.ts'
import { RepeatContext } from '#proxy/repeats.ts'
import type { WorkerContext } from '#proxy/worker-context.ts'
import { describedRequest } from '#proxy/described-request.ts'
import { explain } from '#router/explain.ts'
import { createRouter, type CompiledRouter } from '#router/router.ts'
import { SnapshotCompiler } from '#snapshot/compiler.ts'
import { EntityCache, type LookupRequest } from '#snapshot/entity-cache.ts'
import { PartsAhead } from '#snapshot/update.ts'
import { workspaceOf } from '#snapshot/workspace-of.ts'
import { openAccessLog, type AccessLog } from '#telemetry/access-log.ts'
import { openLog } from '#telemetry/logger.ts'
import { redactionPaths, secretFieldNames } from '#telemetry/redaction.ts'
import { LogDelivery } from '#telemetry/log-delivery.ts'
import { Masking } from '#telemetry/masking.ts'
import { LoopDelay } from '#telemetry/loop-delay.ts'
import { WorkerMetrics } from '#telemetry/worker-metrics.ts'
import { nodeLookup } from '#upstream/dns/node-lookup.ts'
import { createResolver } from '#upstream/dns/resolver.ts'
import { Http2Pool } from '#upstream/h2-pool.ts'
import { ConnectionPool, plainPoolKeys } from '#upstream/pool.ts'
import { UpstreamTls } from '#upstream/tls-targets.ts'
import { clientLimits, poolSettings } from './connection-settings.ts'
import { orderInstances } from './plugin-order.ts'
import { scopeOf } from './plugin-scope.ts'
import { loadPluginSet } from './plugin-set.ts'
import { resolverSettings } from './resolver-settings.ts'
import { localitiesOf, upstreamBalancers } from './worker-balancers.ts'
import { createClock } from './worker-clock.ts'
import { createWorkerEvents } from './worker-events.ts'
import { beatPulse, registerWorkerFigures } from './worker-figures.ts'
import { rememberFloods } from './worker-floods.ts'
import { groupsOf } from './worker-groups.ts'
import { StoreLookups } from './worker-lookups.ts'
import { openWorkerRedis, type WorkerRedis } from './worker-redis.ts'
import { WorkerAcme } from './worker-acme.ts'
import { CertificateWishes } from './worker-client-certificates.ts'
import { listenerTlsOf, withoutClientCertificates } from './worker-listener-tls.ts'
import { updateCertificates } from './worker-certificates.ts'
import { proxyHandler } from './worker-handler.ts'
import { WorkerRuntime } from './worker-runtime.ts'
import {
  DELIVERY_DEADLINE_MS,
  type FromWorker,
  type HealthSetting,
  type ToWorker,
  type WorkerStart,
} from './worker-protocol.ts'
import { WorkerStreams } from './worker-streams.ts'

/** Look-ups of entities under way at once. */
const MAX_LOOKUPS = 10_000

/** A worker keeps decoded responses up to this part of what all share. */
const NEAR_PART = 8

/** How long a worker that starts waits for the health of targets. */
const HEALTH_WITHIN_MS = 1000

/** Serves what the main thread says; `beforeListening` is called before connections may come, and may hold up the thread. */
export async function startWorker(start: WorkerStart, port: MessagePort, beforeListening: () => void): Promise<void> {
  // Messages wait in the port until somebody listens, so nothing is lost while plugins load.
  new WorkerThread(start, port, await loadPluginSet(start.settings), beforeListening)
}

class WorkerThread {
  readonly #port: MessagePort
  readonly #beforeListening: () => void
  readonly #deadlines = new Deadlines()
  readonly #outbox = new Outbox()
  readonly #loopDelay = new LoopDelay()
  readonly #metrics: WorkerMetrics
  readonly #log: ReturnType<typeof openLog>
  readonly #cache: EntityCache
  readonly #accessLog: AccessLog | null
  readonly #delivery: LogDelivery
  readonly #parts = new PartsAhead()
  readonly #compiler: SnapshotCompiler
  readonly #context: WorkerContext
  readonly #certificates: CertificateTable
  readonly #wishes: CertificateWishes
  readonly #acme: WorkerAcme
  readonly #acceptor: Acceptor
  readonly #streams: WorkerStreams
  readonly #lookups: StoreLookups<LookupRequest, readonly Document[]>
  readonly #runtime: WorkerRuntime
  readonly #clusterCounters: ClusterCounters | null
  readonly #health: LocalHealthTable
  readonly #redis: WorkerRedis
  #applyMs = 0
  #isListening = false

  constructor(start: WorkerStart, port: MessagePort, plugins: readonly AnyPlugin[], beforeListening: () => void) {
    this.#port = port
    this.#beforeListening = beforeListening
    const { settings } = start
    const definitions = [...coreEntities, ...pluginEntities, ...plugins.flatMap(({ entities = [] }) => entities)]
    this.#log = openLog({
      target: settings.proxy_error_log,
      level: start.logLevel as LogLevel,
      base: { worker: start.index },
      redact: redactionPaths(secretFieldNames(definitions.map(({ fields }) => fields))),
    })
    this.#metrics = new WorkerMetrics({
      nodeId: start.nodeId,
      threadId,
      maxRoutes: settings.metrics_max_routes,
      loopDelay: this.#loopDelay,
      heapUsed: () => process.memoryUsage().heapUsed,
    })
    const ofPools = poolSettings(settings)
    const pool = new ConnectionPool(ofPools, this.#deadlines, this.#outbox)
    const http2Pool = new Http2Pool(ofPools, this.#deadlines, this.#outbox, pool.figures)
    const resolver = createResolver({ settings: resolverSettings(settings), log: this.#log.log })
    const tls = new UpstreamTls({
      verify: settings.upstream_tls_verify,
      trusted: start.trusted,
      clientCertificate: start.clientCertificate,
    })
    this.#lookups = new StoreLookups((id, request) => this.#say({ type: 'find', id, request }), MAX_LOOKUPS)
    this.#runtime = new WorkerRuntime((id, request) => this.#say({ type: 'runtime', id, request }))
    this.#cache = new EntityCache({
      definitions: new Map(definitions.map((definition) => [definition.kind, definition])),
      maxBytes: settings.mem_cache_size,
      maxMisses: 50_000,
      maxPending: MAX_LOOKUPS,
      nowMs: Date.now,
      ask: (request) => this.#lookups.ask(request),
      held: (kind, id) => this.#compiler.document(kind, id),
      heldAll: (kind) => this.#compiler.documents(kind),
    })
    const counters = createLocalCounters(start.counters)
    const clusterCounters = (this.#clusterCounters =
      start.clusterCounters === null
        ? null
        : new ClusterCounters({
            buffers: start.clusterCounters,
            tell: (keys) => this.#say({ type: 'counted', keys }),
            later: (run, ms) => void setTimeout(run, ms),
          }))
    const lookup = nodeLookup(resolver)
    const responses = new ResponseCache({
      buffers: start.responses,
      decode: decodeStored,
      nearBytes: Math.floor(settings.proxy_cache_size / NEAR_PART),
    })
    const health = (this.#health = new LocalHealthTable({
      nowMs: Date.now,
      cells: start.health,
      link: {
        open: (keys) => this.#say({ type: 'health-open', keys }),
        release: (keys) => this.#say({ type: 'health-release', keys }),
        changed: (slot) => this.#say({ type: 'health-changed', slots: [slot] }),
      },
    }))
    const { figures } = this.#metrics
    const redis = (this.#redis = openWorkerRedis(start, responses, figures, this.#log.log, (said) => this.#say(said)))
    const localities = localitiesOf(settings)
    const chance = { random: Math.random, nowMs: Date.now }
    const acme = (this.#acme = new WorkerAcme((message) => this.#say(message), this.#runtime))
    const masking = new Masking(settings)
    this.#delivery = new LogDelivery({
      masking,
      figures: this.#metrics.figures,
      limitBytes: settings.log_queue_memory,
      log: this.#log.log,
    })
    this.#accessLog = openAccessLog({
      target: settings.proxy_access_log,
      customFormat: settings.access_log_format,
      masking,
      onError: (error) => this.#log.log.error({ err: error }, 'the access log cannot be written'),
    })
    const { events, sink } = createWorkerEvents(this.#metrics, this.#log.log, this.#accessLog)
    this.#compiler = new SnapshotCompiler({
      plugins: new Map(plugins.map((plugin) => [plugin.schema.name, plugin])),
      emptyRouter: createRouter({ flavor: settings.router_flavor }),
      isTraditional: settings.router_flavor === 'traditional',
      createUpstreamBalancer: upstreamBalancers({
        resolver,
        health,
        localities,
        log: this.#log.log,
        saysPanic: start.index === 0,
      }),
      createDirectBalancer: (host, port_) => createDirectBalancer({ host, port: port_, resolver, ...chance }),
      pluginTools: (document, workspace) => ({
        ...scopeOf(document),
        counters,
        clusterCounters,
        responses,
        redis: redis.limits,
        sharedResponses: (block) => redis.responses.open(block),
        entities: this.#cache.inWorkspace(workspace),
        runtime: this.#runtime.of(document.name),
        certificates: acme.certificates,
        log: this.#log.log,
        metrics: sink,
        delivery: this.#delivery.forPlugin(document.name, document.id),
        lookup,
        trusted: start.trusted,
        functions: settings.functions,
        tracing: {
          instrumentations: settings.tracing_instrumentations,
          samplingRate: settings.tracing_sampling_rate,
        },
        version: start.version,
        nodeId: start.nodeId,
        environment: process.env,
        workerIndex: start.index,
        sharedMemory: [{ name: 'kong_rate_limiting_counters', capacityBytes: start.counters.byteLength }],
      }),
      orderPlugins: (instances) => orderInstances(instances, this.#log.log),
      tlsTargets: (service, upstream, find) => tls.targetsOf(service, upstream, find),
      idHash,
      figuresFor: (route: Route, service: Service | null, workspace: string) =>
        this.#metrics.requests.forRoute(
          service === null ? '' : (service.name ?? service.host),
          route.name ?? route.id,
          workspace,
        ),
      pluginBroken: (document, error) =>
        this.#log.log.error(
          { plugin: document.name, plugin_id: document.id, err: error },
          'a plugin configuration cannot be used, its requests are refused',
        ),
      pluginNotClosed: (document, error) =>
        this.#log.log.error(
          { plugin: document.name, plugin_id: document.id, err: error },
          'a plugin failed to close a configuration that is no longer used',
        ),
      nowMs: Date.now,
    })
    this.#context = {
      settings: proxySettings(settings, start.version),
      trust: createClientTrust({
        trustedIps: settings.trusted_ips,
        realIpHeader: settings.real_ip_header,
        realIpRecursive: settings.real_ip_recursive,
      }),
      pool,
      http2Pool,
      clock: createClock(),
      events,
      newRequestId: createRequestIds(),
      groupsOf: (consumerId) => groupsOf(consumerId, this.#cache, this.#compiler),
      plainPoolKey: plainPoolKeys(),
      snapshot: this.#compiler.current,
      repeats: null,
      inFlight: 0,
      isDraining: false,
      isOverloaded: () => settings.overload_delay > 0 && this.#loopDelay.currentMs > settings.overload_delay,
      pulse: new Int32Array(start.pulse),
    }
    this.#certificates = new CertificateTable((id, error) =>
      this.#log.log.error({ certificate: id, err: error }, 'a certificate cannot be used'),
    )
    const context = this.#context
    context.repeats = new RepeatContext(context)
    const listenerTls = listenerTlsOf(start, this.#certificates)
    this.#wishes = new CertificateWishes(plugins, (wish) => this.#acceptor.setWish(wish))
    const ticketKeys = Buffer.from(start.ticketKeys)
    this.#acceptor = new Acceptor({
      listeners: start.listeners,
      handler: proxyHandler(context),
      limits: clientLimits(settings),
      deadlines: this.#deadlines,
      outbox: this.#outbox,
      floods: rememberFloods({ settings, isTrusted: context.trust.isTrusted, log: this.#log.log, figures }),
      tls: listenerTls,
      ticketKeys,
      maxConnections: settings.worker_connections,
      servesUnixSockets: start.index === 0,
      workerIndex: start.index,
      socketFailed: (detail) => this.#log.log.error({ detail }, 'a listening socket failed'),
    })
    acme.serve(this.#certificates, this.#acceptor.challenges)
    this.#streams = new WorkerStreams({
      listeners: start.streamListeners,
      settings,
      compiler: this.#compiler,
      metrics: this.#metrics,
      events,
      log: this.#log.log,
      tls: withoutClientCertificates(listenerTls),
      ticketKeys,
      isTrusted: context.trust.isTrusted,
      servesUnixSockets: start.index === 0,
    })
    this.#metrics.watchConnections(() => ({
      accepted: this.#acceptor.accepted,
      active: this.#acceptor.connections.size,
      busy: context.inFlight,
      reading: 0,
    }))
    registerWorkerFigures(figures, {
      context,
      cache: this.#cache,
      responses,
      sharedResponses: redis.responses,
      resolver,
      log: this.#log,
      accessLog: this.#accessLog,
      applyMs: () => this.#applyMs,
      openCircuits: () =>
        this.#compiler.upstreamBalancers().reduce((sum, one) => sum + (one as UpstreamBalancer).openCircuits, 0),
      localities,
      spilling: () =>
        this.#compiler
          .upstreamBalancers()
          .filter((one) => (one as UpstreamBalancer).nearPercent < 100)
          .toArray().length,
      panicking: () =>
        this.#compiler
          .upstreamBalancers()
          .filter((one) => (one as UpstreamBalancer).isPanicking)
          .toArray().length,
    })
    const beat = () => beatPulse(context.pulse, this.#acceptor, context, this.#metrics)
    setInterval(beat, 200)
    setInterval(() => {
      // Names whose answers expired are asked for anew also where no request comes by.
      this.#compiler.refreshBalancers()
      this.#compiler.closeRetired()
      this.#health.forget()
    }, 1000)
    beat()
    port.on('message', (message: ToWorker) => this.#onMessage(message))
  }

  #upstreamBalancer(upstreamId: string): UpstreamBalancer | undefined {
    const upstream = this.#compiler.document('upstreams', upstreamId)
    return upstream === undefined
      ? undefined
      : (this.#compiler.upstreamBalancer(upstream['name'] as string, workspaceOf(upstream)) as
          | UpstreamBalancer
          | undefined)
  }

  #setHealth({ upstreamId, target, address, isHealthy }: HealthSetting): string | null {
    const balancer = this.#upstreamBalancer(upstreamId)
    return balancer === undefined ? 'the upstream is not served yet' : balancer.setHealth(target, address, isHealthy)
  }

  *#healthReports(): Generator<readonly [string, UpstreamHealthReport]> {
    for (const { id, name } of this.#compiler.documents('upstreams')) {
      const report = this.#upstreamBalancer(id)?.report()
      if (report !== undefined) yield [name as string, report]
    }
  }

  #onMessage(message: ToWorker): void {
    switch (message.type) {
      case 'update': {
        const update = this.#parts.complete(message.update)
        if (update.isWhole) this.#cache.clear()
        else this.#cache.invalidate(update.lookedUp)
        const beganMs = performance.now()
        this.#context.snapshot = this.#compiler.apply(update)
        this.#streams.update(update)
        this.#wishes.update(update, (kind) => this.#compiler.documents(kind))
        this.#acme.update(update, (kind) => this.#compiler.documents(kind))
        this.#applyMs = performance.now() - beganMs
        if (update.isWhole || update.changes.some(({ kind }) => kind === 'certificates' || kind === 'snis'))
          this.#updateCertificates()
        this.#say({ type: 'serving', revision: update.revision, hash: update.hash })
        if (!this.#isListening) void this.#listen()
        return
      }
      case 'update-part':
        return this.#parts.take(message.part)
      case 'found':
        return this.#lookups.found(message.id, message.documents)
      case 'runtime-answer':
        return this.#runtime.answered(message.id, message.answer)
      case 'health': {
        const report = this.#upstreamBalancer(message.upstreamId)?.report()
        return this.#say({ type: 'answer', id: message.id, value: report ?? null })
      }
      case 'target-states':
        return this.#say({ type: 'answer', id: message.id, value: targetStates(this.#healthReports(), message.limit) })
      case 'set-health':
        return this.#say({ type: 'answer', id: message.id, value: this.#setHealth(message) })
      case 'health-slots':
        return this.#health.adopt(message.slots)
      case 'health-changed':
        return this.#health.changed(message.slots)
      case 'cached':
        return this.#say({ type: 'answer', id: message.id, value: this.#cache.peek(message.key) })
      case 'uncache':
        if (message.key === null) this.#cache.clear()
        else this.#cache.drop(message.key)
        return
      case 'collect':
        return this.#say({ type: 'answer', id: message.id, value: this.#metrics.report() })
      case 'log-level':
        return this.#log.setLevel(message.level as LogLevel, message.forMs ?? undefined)
      case 'reopen-logs':
        this.#accessLog?.reopen()
        this.#streams.reopenLog()
        this.#delivery.reopen()
        return this.#log.reopen()
      case 'fallback-certificate':
        this.#streams.acceptor.setFallback(message.fallback)
        return this.#acceptor.setFallback(message.fallback)
      case 'staples':
        return this.#acceptor.takeStaples(message.staples)
      case 'ticket-keys':
        this.#streams.acceptor.setTicketKeys(Buffer.from(message.keys))
        return this.#acceptor.setTicketKeys(Buffer.from(message.keys))
      case 'drain':
        this.#context.isDraining = true
        this.#context.repeats?.giveUp()
        void this.#drain()
        return
      case 'flush':
        void this.#flush(message.id)
        return
      case 'explain':
        return this.#say({
          type: 'answer',
          id: message.id,
          value: explain(this.#context.snapshot.router as CompiledRouter, describedRequest(message.request)),
        })
    }
  }

  /** The first snapshot is there: connections may come. */
  async #listen(): Promise<void> {
    this.#isListening = true
    // What other threads know of targets comes before the first request.
    await this.#health.settled(HEALTH_WITHIN_MS)
    // What takes its time and holds up the loop comes before clients do, and is not the overload that they are turned away for.
    this.#beforeListening()
    this.#loopDelay.restart()
    try {
      await this.#acceptor.listen()
      await this.#streams.acceptor.listen()
      this.#say({ type: 'listening' })
    } catch (error) {
      const { message, code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number }
      this.#say({ type: 'failed', message, code: code ?? null, address: address ?? null, port: port ?? null })
    }
  }

  async #flush(id: number): Promise<void> {
    this.#clusterCounters?.flush()
    await this.#delivery.flush(DELIVERY_DEADLINE_MS)
    await this.#redis.limits.close()
    await this.#accessLog?.close()
    await this.#streams.closeLog()
    await this.#log.close()
    this.#say({ type: 'answer', id, value: true })
  }

  async #drain(): Promise<void> {
    this.#streams.acceptor.drain()
    await this.#acceptor.drain()
    const timer = setInterval(() => {
      const isIdle = this.#acceptor.connections.size === 0 && this.#streams.acceptor.active === 0
      if (this.#context.inFlight > 0 || !isIdle) return
      clearInterval(timer)
      this.#say({ type: 'drained' })
    }, 50)
  }

  #updateCertificates(): void {
    updateCertificates(this.#certificates, (kind) => this.#compiler.documents(kind))
  }

  #say(message: FromWorker): void {
    this.#port.postMessage(message)
  }
}
