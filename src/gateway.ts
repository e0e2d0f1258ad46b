/**
 * The main thread: owns the configuration (store, writer, follower), the Admin API, the status listener and the workers. With
 * `worker.ts` the only place that builds things and hands them to each other.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { createConfigurationHash } from '#admin/configuration-hash.ts'
import { createDeclarative } from '#admin/declarative-source.ts'
import { openAdminServer, type AdminServer } from '#admin/server.ts'
import { openStatusServer, type StatusServer } from '#admin/status-server.ts'
import { NO_ACCESS_LIST, type AccessList } from '#admin/tokens.ts'
import { reserveListeners } from '#listen/reserve.ts'
import { PURGES } from '#model/cache-names.ts'
import type { Model } from '#model/contract.ts'
import type { Settings } from '#model/settings.ts'
import type { LogTarget } from '#model/settings/composites.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { ReadSettings } from '#model/settings/read.ts'
import type { AnyPlugin } from '#pdk/pdk.ts'
import { Propagation } from '#snapshot/propagation.ts'
import { Publisher } from '#snapshot/publisher.ts'
import { References } from '#snapshot/references.ts'
import { singleNodeView, type ClusterView } from '#store/cluster-view.ts'
import { createFollower, type Follower } from '#store/follower.ts'
import { keepHouse } from '#store/housekeeping.ts'
import { Secrets } from '#store/secrets.ts'
import { openAccessLog, type AccessLog } from '#telemetry/access-log.ts'
import { MetricsCollector } from '#telemetry/collect.ts'
import { Figures } from '#telemetry/figures.ts'
import { answeredEntry } from '#telemetry/http-access.ts'
import { openLog, type GatewayLog } from '#telemetry/logger.ts'
import { createResolver, type DnsResolver } from '#upstream/dns/resolver.ts'
import { redactionPaths, secretFieldNames } from '#telemetry/redaction.ts'
import type { SecretCache } from '#vaults/secret-cache.ts'
import { openCertificates } from './gateway-certificates.ts'
import { adminPorts } from './gateway-admin.ts'
import { describeNode, registerCassandraFigures, registerClusterFigures } from './gateway-cluster.ts'
import { checkContext, DeclarativeFile, nodeIdOf, openStore, type OpenedStore } from './gateway-store.ts'
import { NodeHealth } from './gateway-health.ts'
import { gatewayModel } from './gateway-model.ts'
import { openSecrets } from './gateway-secrets.ts'
import { ASK_DEADLINE_MS, clientCertificateOf, Workers, type Fallback } from './gateway-workers.ts'
import { limitReports } from './gateway-limit-view.ts'
import { GatewayPurges } from './gateway-purges.ts'
import { splitReports } from './gateway-split-view.ts'
import { GatewayRedis } from './gateway-redis.ts'
import { httpListener, readAccessList, readTls } from './admin-listening.ts'
import { readFallback } from './fallback-certificates.ts'
import { NodeStaples } from './gateway-staples.ts'
import { resolverSettings } from './resolver-settings.ts'
import { wantsTargetStates } from './target-health.ts'
import { trustedAuthorities } from './trusted-authorities.ts'
import { unservedRoutes } from './unserved-routes.ts'

/** The interface that clients of Kong find here. */
export const KONG_VERSION = '3.9.3'

const HOUSEKEEPING_MS = 60_000
const TICKET_KEY_MS = 86_400_000
/** Health checks of all upstreams: each has a socket while it runs. */
const PROBES_AT_A_TIME = 256

export interface GatewayOptions {
  readonly read: ReadSettings
  readonly plugins: readonly AnyPlugin[]
  readonly version: string
  /** Called when everything is loaded, before the gateway says that it is ready; may hold up the thread. */
  readonly beforeReady?: () => void
}

/** Starts everything; resolves when every worker serves and every listener is open. Rejects, with all closed again, when something can't be. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const gateway = new Gateway(options)
  try {
    await gateway.start()
    return gateway
  } catch (error) {
    await gateway.close()
    throw error
  }
}

export class Gateway {
  readonly log: GatewayLog
  listeners: readonly Listener[] = []
  /** Of the start. What a reload can change is applied by it, and does not stand here. */
  readonly #read: ReadSettings
  #warnings: readonly string[]
  readonly #options: GatewayOptions
  readonly #model: Model
  readonly #figures = new Figures()
  readonly #redis: GatewayRedis
  readonly #configurationHash = createConfigurationHash()
  readonly #accessLogs: AccessLog[] = []
  #nodeId = ''
  #cluster: ClusterView | null = null
  #opened: OpenedStore | null = null
  #declarativeFile: DeclarativeFile | null = null
  #publisher: Publisher | null = null
  #follower: Follower | null = null
  #secrets: SecretCache | null = null
  #workers: Workers | null = null
  #purges: GatewayPurges | null = null
  /** Of all that the main thread itself asks. */
  #resolver: DnsResolver | null = null
  #health: NodeHealth | null = null
  #staples: NodeStaples | null = null
  #admin: AdminServer | null = null
  #status: StatusServer | null = null
  #issuer: ReturnType<typeof openCertificates> | null = null
  #collector: MetricsCollector | null = null
  #access: AccessList = NO_ACCESS_LIST
  #fallback: Fallback = { cert: [], key: [] }
  readonly #timers: NodeJS.Timeout[] = []
  #isReady = false
  #isDraining = false

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#read = options.read
    this.#warnings = options.read.warnings
    this.#model = gatewayModel(options.plugins, options.read.settings)
    const { settings } = options.read
    mkdirSync(settings.prefix, { recursive: true })
    this.log = openLog({
      target: settings.proxy_error_log,
      level: settings.log_level,
      redact: redactionPaths(secretFieldNames([...this.#model.entities.values()].map(({ fields }) => fields))),
    })
    this.#redis = new GatewayRedis(settings, this.log.log, this.#figures)
  }

  get #settings(): Settings {
    return this.#read.settings
  }

  async start(): Promise<void> {
    const settings = this.#settings
    for (const warning of this.#read.warnings) this.log.log.warn(warning)
    this.#nodeId = nodeIdOf(settings)
    this.#access = readAccessList(settings)
    this.listeners = await reserveListeners(settings.proxy_listen)
    const streamListeners = await reserveListeners(settings.stream_listen)
    this.#fallback = await readFallback(settings)
    const opened = (this.#opened = await openStore(settings, this.#model, {
      id: this.#nodeId,
      state: this.#describe(),
      log: this.log,
      redis: this.#redis.main,
    }))
    this.#cluster = opened.cassandra?.membership ?? singleNodeView(this.#nodeId, this.#describe())
    const rejected = this.#figures.counter('meridian_config_rejected_total', { via: 'file' })
    this.#declarativeFile = new DeclarativeFile({
      settings,
      model: this.#model,
      writer: opened.writer,
      log: this.log,
      hash: this.#configurationHash,
      onRejected: () => rejected.value++,
    })
    await this.#declarativeFile.load()
    const resolver = (this.#resolver = createResolver({ settings: resolverSettings(settings), log: this.log.log }))
    const health = (this.#health = new NodeHealth({
      resolver,
      trusted: trustedAuthorities(settings),
      clientCertificate: clientCertificateOf(settings),
      find: (kind, id) => this.#publisher?.resolved(kind, id),
      figures: this.#figures,
      log: this.log.log,
      tell: (worker, message) => this.#workers?.tell(worker, message),
      tellOthers: (worker, message) => this.#workers?.tellOthers(worker, message),
      concurrency: PROBES_AT_A_TIME,
    }))
    this.#staples = NodeStaples.open({
      settings,
      resolver,
      log: this.log.log,
      figures: this.#figures,
      documents: (kind) => this.#publisher?.resolvedAll(kind) ?? [],
      fallback: () => this.#fallback,
      tellAll: (staples) => this.#workers?.tellAll({ type: 'staples', staples }),
    })
    const workers = (this.#workers = new Workers({
      health,
      staples: () => this.#staples?.staples() ?? [],
      settings,
      nodeId: this.#nodeId,
      version: this.#options.version,
      listeners: this.listeners,
      streamListeners,
      fallback: this.#fallback,
      store: opened.store,
      runtime: opened.runtime,
      log: this.log,
      onLost: (name) => this.#collector?.retire(name),
      clusterCounters: opened.cassandra?.counters ?? null,
      redis: this.#redis.states,
      certificateWanted: (name) => this.#issuer?.want(name),
    }))
    const { cassandra } = opened
    const purges = (this.#purges = new GatewayPurges({ settings, workers, redis: this.#redis.main, cassandra }))
    const propagation = new Propagation({
      nowMs: Date.now,
      observe: this.#figures.histogram('meridian_config_propagation_seconds', {}),
    })
    const publisher = (this.#publisher = new Publisher({
      store: opened.store,
      definitions: this.#model.entities,
      workers: settings.workers,
      references: new References({
        fieldsOf: (kind, document) => this.#model.fieldsOf(kind, document),
        environment: process.env,
        withheld: settings.keyring_env,
        log: this.log.log,
        secrets: (this.#secrets = openSecrets({
          settings,
          environment: process.env,
          log: this.log.log,
          onChanged: (keys) => {
            publisher.renewSecrets(keys)
            this.#staples?.renew()
          },
        })),
      }),
      tell: (index, update) => workers.tell(index, { type: 'update', update }),
      tellPart: (index, part) => workers.tell(index, { type: 'update-part', part }),
      beforeFirst: async () => {
        this.#staples?.renew()
        await this.#staples?.restored()
      },
      own: { kinds: new Set([PURGES]), take: (rows, isWhole) => purges.take(rows, isWhole) },
      onPublished: (_position, changes, isWhole) => {
        health.published(changes, isWhole)
        this.#staples?.published(changes, isWhole)
      },
      onServed: (revision) => {
        propagation.served(revision)
        this.#cluster?.wake()
      },
    }))
    purges.follow(publisher)
    // Workers load their code while the configuration is read, and take over what of it is there.
    const [position] = await Promise.all([publisher.load(), workers.start(publisher)])
    this.#follower = createFollower({
      store: opened.store,
      from: position,
      onEntries: async (entries) => {
        propagation.published(entries)
        await publisher.publish(entries)
      },
      reload: async (reason) => {
        this.log.log.warn({ reason }, 'the log cannot be followed, the state is loaded anew')
        return publisher.load()
      },
      log: this.log.log,
      random: Math.random,
    })
    this.#registerFigures(workers, publisher)
    const { log } = this.log
    this.#issuer = openCertificates({
      settings,
      opened,
      publisher,
      resolver,
      model: this.#model,
      figures: this.#figures,
      log,
    })
    this.#collector = new MetricsCollector({
      nodeId: this.#nodeId,
      version: KONG_VERSION,
      main: this.#figures,
      workers: () => workers.sources(),
      deadlineMs: ASK_DEADLINE_MS,
      targetStates: async () => (wantsTargetStates(publisher) ? await workers.targetStates() : null),
    })
    await this.#openAdmin()
    await this.#openStatus()
    this.#declarativeFile.watch()
    const unserved = unservedRoutes(publisher, this.#settings.stream_listen.length > 0)
    if (unserved !== null) this.log.log.warn(unserved)
    this.#timers.push(
      setInterval(() => this.#keepHouse(), HOUSEKEEPING_MS),
      setInterval(() => workers.rotateTicketKeys(), TICKET_KEY_MS),
    )
    this.#options.beforeReady?.()
    this.#isReady = true
    this.#cluster.wake()
    this.#issuer.begin()
  }

  /** Not ready at once; then drains and ends everything within the settings' times. `now` leaves out the time for load balancers to turn away. */
  async stop({ now }: { readonly now: boolean }): Promise<void> {
    const { drain_delay: drainDelayMs, shutdown_timeout: timeoutMs } = this.#settings
    this.#isDraining = true
    this.#isReady = false
    this.#cluster?.wake()
    if (!now && drainDelayMs > 0) await delay(drainDelayMs)
    await this.#workers?.drain(timeoutMs)
    await this.close()
  }

  /** Closes what is open, in the order that loses nothing. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#declarativeFile?.close()
    await this.#admin?.close()
    await this.#status?.close()
    await this.#issuer?.close()
    await this.#follower?.close()
    this.#secrets?.close()
    this.#health?.close()
    this.#staples?.close()
    this.#resolver?.close()
    await this.#workers?.close()
    await this.#opened?.close()
    await this.#redis.close()
    for (const log of this.#accessLogs) await log.close()
    await this.log.close()
  }

  /** Takes over what a reload can change (SIGHUP). Rejects before anything is changed when something can't be read. */
  async reload(read: ReadSettings, changed: readonly string[]): Promise<void> {
    const { settings } = read
    const fallback = await readFallback(settings)
    const access = readAccessList(settings)
    const admin = await readTls('admin', settings, fallback, this.#options.read.settings.admin_client_ca)
    const status = await readTls('status', settings, fallback, this.#options.read.settings.admin_client_ca)
    this.#warnings = read.warnings
    this.#fallback = fallback
    this.#access = access
    this.#workers?.setFallback(fallback)
    this.#staples?.renew()
    this.#admin?.renewTls(admin)
    this.#status?.renewTls(status)
    if (changed.includes('log_level')) {
      this.log.setLevel(settings.log_level)
      this.#workers?.tellAll({ type: 'log-level', level: settings.log_level, forMs: null })
    }
  }

  reopenLogs(): void {
    this.log.reopen()
    for (const log of this.#accessLogs) log.reopen()
    this.#workers?.tellAll({ type: 'reopen-logs' })
  }

  #describe() {
    return describeNode({
      settings: this.#settings,
      version: this.#options.version,
      kinds: [...this.#model.entities.keys()],
      isReady: () => this.#isReady,
      isDraining: () => this.#isDraining,
      publisher: () => this.#publisher,
      requests: () => this.#workers?.figures().requests ?? 0,
    })
  }

  #keepHouse(): void {
    const { store, writer } = this.#opened!
    keepHouse({ store, writer, nowMs: Date.now, retention: this.#settings.log_retention }).catch((error: unknown) =>
      this.log.log.warn({ err: error }, 'housekeeping failed, it is tried again'),
    )
  }

  #isStoreReachable(): boolean {
    return this.#follower?.failure == null && this.#opened?.cassandra?.isReachable() !== false
  }

  #registerFigures(workers: Workers, publisher: Publisher): void {
    const figures = this.#figures
    figures.gauge('meridian_ready', {}, () => Number(this.#isReady))
    figures.gauge('kong_datastore_reachable', {}, () => Number(this.#isStoreReachable()))
    figures.gauge('meridian_config_head_revision', {}, () => publisher.position.revision)
    registerClusterFigures(figures, this.#cluster!)
    if (this.#opened!.cassandra !== null) registerCassandraFigures(figures, this.#opened!.cassandra)
    const { responses } = workers
    figures.gauge('meridian_cache_bytes', { cache: 'responses' }, () => responses.usedBytes)
    figures.gauge('meridian_cache_evictions_total', { cache: 'responses' }, () => responses.evicted)
    this.#redis.start(workers, this.#cluster!)
    figures.gauge('meridian_worker_restarts_total', {}, () => workers.restarts)
    figures.gauge('meridian_secrets_failing', {}, () => this.#secrets?.failing ?? 0)
    figures.gauge('meridian_log_lines_dropped_total', { log: 'error' }, () => this.log.dropped)
    for (const name of ['kong_memory_lua_shared_dict_bytes', 'kong_memory_lua_shared_dict_total_bytes'] as const) {
      figures.gauge(
        name,
        { node_id: this.#nodeId, shared_dict: 'kong_rate_limiting_counters', kong_subsystem: 'http' },
        () => workers.counters.byteLength,
      )
    }
  }

  #adminPorts() {
    const { store, writer, keyring, cassandra } = this.#opened!
    const workers = this.#workers!
    const publisher = this.#publisher!
    return adminPorts({
      read: this.#read,
      version: this.#options.version,
      kongVersion: KONG_VERSION,
      nodeId: this.#nodeId,
      model: this.#model,
      store,
      secrets: new Secrets(this.#model, keyring),
      writer,
      publisher,
      declarative: createDeclarative({ model: this.#model, nowMs: Date.now }),
      configurationHash: this.#configurationHash,
      check: (atMs) => checkContext(this.#settings, atMs),
      log: this.log,
      figures: () => workers.figures(),
      countersBytes: workers.counters.byteLength,
      responses: this.#purges!,
      responseMemory: workers.responses,
      trafficSplits: splitReports(store, workers.counters),
      trafficLimits: limitReports({ settings: this.#settings, store, redis: this.#redis, counters: workers.counters }),
      ask: (question) => workers.ask(question),
      tellAll: (message) => workers.tellAll(message),
      cluster: this.#cluster!,
      certificates: this.#issuer!,
      isStoreReachable: () => this.#isStoreReachable(),
      filling: () => cassandra?.filling() ?? null,
      degraded: () => this.#redis.degraded,
      beginEpoch: cassandra && (() => cassandra.store.beginEpoch()),
      warnings: () =>
        [...this.#warnings, unservedRoutes(publisher, this.#settings.stream_listen.length > 0)].filter(
          (text) => text !== null,
        ),
    })
  }

  async #openAdmin(): Promise<void> {
    const settings = this.#settings
    if (settings.admin_listen.length === 0) return
    const log = this.#openAccessLog(settings.admin_access_log, 'admin')
    const current = () => this.#access
    const tls = await readTls('admin', settings, this.#fallback, this.#options.read.settings.admin_client_ca)
    this.#admin = await openAdminServer({
      ...this.#adminPorts(),
      listeners: settings.admin_listen.map((listener) => httpListener(listener, tls)),
      guard: { origins: settings.admin_gui_url, hosts: settings.admin_hosts },
      // Looked at for each request, because a reload may bring another list.
      access: {
        byToken: (token, nowMs) => current().byToken(token, nowMs),
        bySubject: (name, nowMs) => current().bySubject(name, nowMs),
        get hasTokens() {
          return current().hasTokens
        },
        get hasSubjects() {
          return current().hasSubjects
        },
      },
      limits: { bodyBytes: settings.admin_client_max_body_size },
      requestId: () => randomBytes(16).toString('hex'),
      metricsPage: () => this.#collector!.page(),
      ...(log === null ? {} : { onAnswered: (record) => log.write(answeredEntry(record, Date.now())) }),
    })
  }

  async #openStatus(): Promise<void> {
    const settings = this.#settings
    if (settings.status_listen.length === 0) return
    const log = this.#openAccessLog(settings.status_access_log, 'status')
    const tls = await readTls('status', settings, this.#fallback, this.#options.read.settings.admin_client_ca)
    this.#status = await openStatusServer({
      ...this.#adminPorts(),
      listeners: settings.status_listen.map((listener) => httpListener(listener, tls)),
      readiness: () =>
        this.#isReady ? { isReady: true } : { isReady: false, reason: this.#isDraining ? 'draining' : 'starting' },
      startDraining: () => {
        this.#isDraining = true
        this.#isReady = false
        this.#cluster?.wake()
      },
      metricsPage: () => this.#collector!.page(),
      access: log === null ? null : { log, newRequestId: () => randomBytes(16).toString('hex'), now: Date.now },
    })
  }

  #openAccessLog(target: LogTarget, name: string): AccessLog | null {
    const log = openAccessLog({
      target,
      customFormat: this.#settings.access_log_format,
      onError: (error) => this.log.log.error({ err: error, log: name }, 'an access log cannot be written'),
    })
    if (log !== null) this.#accessLogs.push(log)
    return log
  }
}
