/** The workers as the gateway uses them: what they are started with, their questions and answers, their loss. */
import { randomBytes } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { TargetStates } from '#balancer/target-states.ts'
import type { CounterSync } from '#cluster/counter-sync.ts'
import { sizeFor } from '#cluster/local-counters.ts'
import { createResponseCacheBuffers, ResponseCache, type ResponseCacheBuffers } from '#cluster/response-cache.ts'
import { createPurgeLogBuffer } from '#cluster/purge-log.ts'
import { dataCentersOf } from '#cluster/data-centers.ts'
import { createRedisLimitBuffers, type RedisLimitBuffers } from '#cluster/redis-limits.ts'
import { GatewayError } from '#core/errors.ts'
import { PULSE_ACCEPTED, PULSE_ACTIVE, PULSE_BUSY, PULSE_HEAP, PULSE_REQUESTS, idHash } from '#core/pulse.ts'
import type { Staple } from '#listen/staples.ts'
import { WorkerPool, type WorkerLoss } from '#listen/worker-pool.ts'
import type { Document } from '#model/document.ts'
import type { Settings } from '#model/settings.ts'
import type { PemSource } from '#model/settings/composites.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { LookupRequest } from '#snapshot/entity-cache.ts'
import { decodeStored, type StoredResponse } from '#pdk/stored-response.ts'
import type { Publisher } from '#snapshot/publisher.ts'
import { PART_SIZE } from '#snapshot/update.ts'
import type { ConfigStore, RuntimeStore } from '#store/contract.ts'
import type { WorkerSource } from '#telemetry/collect.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import type { WorkerReport } from '#telemetry/totals.ts'
import type { NodeHealth } from './gateway-health.ts'
import type { SharedFigures } from './gateway-admin.ts'
import { readNamedFile } from './named-file.ts'
import type { RuntimeRequest } from './worker-runtime.ts'
import { trustedAuthorities } from './trusted-authorities.ts'
import { RuntimeRequests } from './gateway-runtime.ts'
import { DELIVERY_DEADLINE_MS, type FromWorker, type ToWorker, type WorkerStart } from './worker-protocol.ts'
import type { RedisStates } from './gateway-redis.ts'

/** Rate-limit counters of a node at one time. */
const LOCAL_COUNTERS = 200_000
/** How long a worker may take to answer a question. */
export const ASK_DEADLINE_MS = 1000
/** Addresses of targets on a page of metrics, each with four series. */
const TARGET_ROWS_MAX = 2500
/**
 * A worker takes over a configuration in one go, at some 10 us a change on a core of its own; on a machine with more to do than
 * cores it is to be waited for, because its replacement would have to take over the same.
 */
const CHANGE_PATIENCE_MS = 0.2
const CHECK_MS = 250
/** An entity's rows that a look-up by reference brings at most (an ACL of more groups is none that works). */
const LIST_LIMIT = 1000

export interface WorkersOptions {
  readonly settings: Settings
  readonly nodeId: string
  readonly version: string
  readonly listeners: readonly Listener[]
  readonly streamListeners: readonly Listener[]
  readonly fallback: Fallback
  /** Answers of OCSP that are there now. */
  readonly staples: () => readonly Staple[]
  readonly store: ConfigStore
  readonly runtime: RuntimeStore
  readonly log: GatewayLog
  readonly health: NodeHealth
  /** Told when a worker was lost, with its name in the figures. */
  readonly onLost: (name: string) => void
  /** Null where nodes share no store. */
  readonly clusterCounters: CounterSync | null
  readonly redis: RedisStates
  /** A client was shown the fallback for this server name, where one may be got for it. */
  readonly certificateWanted: (name: string) => void
}

/** Certificates and keys in the same order. */
export interface Fallback {
  readonly cert: readonly string[]
  readonly key: readonly string[]
}

export class Workers {
  readonly counters = new SharedArrayBuffer(sizeFor(LOCAL_COUNTERS))
  /** The stored responses of all workers. */
  readonly responses: ResponseCache<StoredResponse>
  readonly #responseBuffers: ResponseCacheBuffers
  /** What was purged at which revision. */
  readonly purgeLog = createPurgeLogBuffer()
  readonly redisLimits: RedisLimitBuffers
  /** Which Redis do not answer. */
  readonly redis: RedisStates
  /** Workers that were replaced. */
  restarts = 0
  readonly #options: WorkersOptions
  readonly #runtime: RuntimeRequests
  readonly #pool: WorkerPool<WorkerStart, ToWorker>
  readonly #questions = new Map<number, (value: unknown) => void>()
  readonly #pulses: Int32Array[] = []
  readonly #names: string[] = []
  readonly #listening = new Set<number>()
  readonly #drained = new Set<number>()
  #publisher: Publisher | null = null
  #fallback: Fallback
  #ticketKeys = randomBytes(48)
  #asked = 0
  #onListening: (index: number) => void = () => {}
  #onListenFailed: (error: Error) => void = () => {}

  constructor(options: WorkersOptions) {
    this.#options = options
    this.#fallback = options.fallback
    this.#runtime = new RuntimeRequests(options.runtime, options.log)
    const { settings } = options
    this.#responseBuffers = createResponseCacheBuffers(settings.proxy_cache_size)
    this.responses = new ResponseCache({ buffers: this.#responseBuffers, decode: decodeStored, nearBytes: 1 })
    this.redisLimits = createRedisLimitBuffers(options.nodeId, dataCentersOf(settings)?.local ?? null)
    this.redis = options.redis
    const trusted = trustedAuthorities(settings)
    const clientCertificate = clientCertificateOf(settings)
    const clientAuthorities = clientAuthoritiesOf(settings)
    this.#pool = new WorkerPool<WorkerStart, ToWorker>({
      count: settings.workers,
      entry: new URL('./worker-entry.ts', import.meta.url),
      heapMegabytes: Math.round(settings.worker_heap_size / 1024 ** 2),
      silenceMs: settings.worker_silence_timeout,
      checkEveryMs: CHECK_MS,
      startData: (index, pulse) => {
        this.#pulses[index] = new Int32Array(pulse)
        const { nodeId, listeners, streamListeners, version } = options
        return {
          index,
          settings,
          nodeId,
          listeners,
          streamListeners,
          pulse,
          counters: this.counters,
          health: options.health.cells,
          clusterCounters: options.clusterCounters?.buffers ?? null,
          responses: this.#responseBuffers,
          purgeLog: this.purgeLog,
          redisLimits: this.redisLimits,
          ticketKeys: this.#ticketKeys,
          fallback: this.#fallback,
          staples: options.staples(),
          trusted,
          clientCertificate,
          clientAuthorities,
          version,
          logLevel: options.log.level,
        }
      },
      onMessage: (index, message) => this.#onMessage(index, message as FromWorker),
      onStarted: (index) => {
        this.#names[index] = `${index}.${randomBytes(3).toString('hex')}`
        this.#publisher?.begin(index)
      },
      onLost: (index, loss) => this.#onLost(index, loss),
    })
  }

  /** Starts all; resolves when each serves the state of the publisher and listens, rejects when one can't. */
  async start(publisher: Publisher): Promise<void> {
    this.#publisher = publisher
    await new Promise<void>((resolve, reject) => {
      this.#onListening = (index) => {
        this.#listening.add(index)
        if (this.#listening.size === this.#pool.count) resolve()
      }
      this.#onListenFailed = reject
      this.#pool.start()
    })
    this.#onListenFailed = (error) => this.#options.log.log.error({ err: error }, 'a worker cannot listen')
  }

  tell(index: number, message: ToWorker): void {
    this.#pool.tell(index, message, patienceMs(message))
  }

  /** Among how many nodes limits in Redis are divided while it does not answer. */
  shareLimits(nodes: number): void {
    Atomics.store(new Int32Array(this.redisLimits.nodes), 0, nodes)
  }

  tellAll(message: ToWorker): void {
    this.#pool.tellAll(message)
  }

  tellOthers(index: number, message: ToWorker): void {
    for (let other = 0; other < this.#pool.count; other++) if (other !== index) this.#pool.tell(other, message)
  }

  /** Asks the first worker that runs; undefined when it does not answer in time. */
  ask(question: (id: number) => ToWorker): Promise<unknown> {
    return this.#ask(0, question)
  }

  #ask(index: number, question: (id: number) => ToWorker, deadlineMs = ASK_DEADLINE_MS): Promise<unknown> {
    return new Promise((resolve) => {
      const id = ++this.#asked
      const timer = setTimeout(() => {
        this.#questions.delete(id)
        resolve(undefined)
      }, deadlineMs)
      this.#questions.set(id, (value) => {
        clearTimeout(timer)
        resolve(value)
      })
      this.#pool.tell(index, question(id))
    })
  }

  /** The state of every target as the first worker sees it: workers tell each other what they find. Null without an answer in time. */
  async targetStates(): Promise<TargetStates | null> {
    const answer = await this.#ask(0, (id) => ({ type: 'target-states', id, limit: TARGET_ROWS_MAX }))
    return (answer as TargetStates | undefined) ?? null
  }

  sources(): WorkerSource[] {
    return this.#names.map((id, index) => ({
      id,
      collect: () => this.#ask(index, (question) => ({ type: 'collect', id: question })) as Promise<WorkerReport>,
    }))
  }

  figures(): SharedFigures {
    const sum = (at: number) => this.#pulses.reduce((total, pulse) => total + Atomics.load(pulse, at), 0)
    return {
      accepted: sum(PULSE_ACCEPTED),
      active: sum(PULSE_ACTIVE),
      busy: sum(PULSE_BUSY),
      requests: sum(PULSE_REQUESTS),
      heapBytes: this.#pulses.map((pulse) => Atomics.load(pulse, PULSE_HEAP) * 1024 ** 2),
    }
  }

  setFallback(fallback: Fallback): void {
    this.#fallback = fallback
    this.#pool.tellAll({ type: 'fallback-certificate', fallback })
  }

  rotateTicketKeys(): void {
    this.#ticketKeys = randomBytes(48)
    this.#pool.tellAll({ type: 'ticket-keys', keys: this.#ticketKeys })
  }

  /** No new connections; resolves when nothing is in flight, or after the time. */
  async drain(timeoutMs: number): Promise<void> {
    this.#pool.expectEnd()
    this.#pool.tellAll({ type: 'drain' })
    const untilMs = performance.now() + timeoutMs
    while (this.#drained.size < this.#pool.running && performance.now() < untilMs)
      await new Promise((resolve) => setTimeout(resolve, 25))
    // Logs are written and delivered before the threads end.
    const deadlineMs = DELIVERY_DEADLINE_MS + ASK_DEADLINE_MS
    await Promise.all(this.#names.map((_name, index) => this.#ask(index, (id) => ({ type: 'flush', id }), deadlineMs)))
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  #onMessage(index: number, message: FromWorker): void {
    switch (message.type) {
      case 'serving':
        this.#publisher?.served(index, message.revision)
        return
      case 'listening':
        this.#pool.begun(index)
        this.#onListening(index)
        return
      case 'failed':
        this.#onListenFailed(
          Object.assign(new Error(message.message), {
            code: message.code,
            address: message.address,
            port: message.port,
          }),
        )
        return
      case 'find':
        void this.#find(index, message.id, message.request)
        return
      case 'health-open':
      case 'health-release':
      case 'health-changed':
        this.#options.health.onMessage(index, message)
        return
      case 'runtime':
        void this.#answerRuntime(index, message.id, message.request)
        return
      case 'certificate-wanted':
        this.#options.certificateWanted(message.name)
        return
      case 'counted':
        this.#options.clusterCounters?.take(message.keys)
        return
      case 'redis':
        this.redis.heard(index, message.redis, message.isUp, message.reason)
        return
      case 'answer': {
        const resolve = this.#questions.get(message.id)
        this.#questions.delete(message.id)
        resolve?.(message.value)
        return
      }
      case 'drained':
        this.#drained.add(index)
        return
    }
  }

  #onLost(index: number, loss: WorkerLoss): void {
    this.restarts++
    this.redis.forget(index)
    this.#publisher?.end(index)
    this.#options.health.lost(index)
    this.#options.onLost(this.#names[index]!)
    if (!this.#listening.has(index)) this.#onListenFailed(loss.error ?? new Error('a worker ended before it listened'))
    const plugin = this.#named('plugins', loss.pluginHash)
    const route = this.#named('routes', loss.routeHash)
    this.#options.log.log.error(
      {
        worker: index,
        reason: loss.reason,
        err: loss.error,
        route: route?.['name'] ?? route?.id,
        plugin: plugin?.['name'],
        plugin_id: plugin?.id,
      },
      'a worker was lost and is replaced',
    )
  }

  #named(kind: string, hash: number): Document | null {
    if (hash === 0) return null
    return this.#publisher?.held(kind).find(({ id }) => idHash(id) === hash)?.document ?? null
  }

  /** Answers a look-up from the store; a store that can't be asked is no answer. */
  async #find(index: number, id: number, request: LookupRequest): Promise<void> {
    let documents: readonly Document[] | null
    try {
      documents = await this.#lookUp(request)
    } catch (error) {
      this.#options.log.log.warn({ err: error, kind: request.kind }, 'a look-up failed')
      documents = null
    }
    this.#pool.tell(index, { type: 'found', id, documents })
  }

  async #answerRuntime(index: number, id: number, request: RuntimeRequest): Promise<void> {
    this.#pool.tell(index, { type: 'runtime-answer', id, answer: await this.#runtime.answer(request) })
  }

  async #lookUp(request: LookupRequest): Promise<readonly Document[]> {
    const { store } = this.#options
    if (request.by === 'reference') {
      const { rows } = await store.list(
        request.kind,
        { reference: { field: request.field, id: request.id } },
        { size: LIST_LIMIT },
      )
      return rows.map(({ document }) => document)
    }
    const row = await (request.by === 'id'
      ? store.get(request.kind, request.id)
      : store.lookup(request.kind, request.field, request.value, request.workspace))
    return row === undefined ? [] : [row.document]
  }
}

export function clientCertificateOf({
  client_ssl,
  client_ssl_cert,
  client_ssl_cert_key,
}: Settings): { cert: string; key: string } | null {
  return client_ssl && client_ssl_cert !== null && client_ssl_cert_key !== null
    ? { cert: readPem('client_ssl_cert', client_ssl_cert), key: readPem('client_ssl_cert_key', client_ssl_cert_key) }
    : null
}

function clientAuthoritiesOf({ ssl_client_certificate: source }: Settings): string | null {
  if (source === null) return null
  const text = readPem('ssl_client_certificate', source)
  try {
    createSecureContext({ ca: text })
  } catch (cause) {
    const message = 'ssl_client_certificate: expected certificates in PEM'
    throw new GatewayError('CERTIFICATE_INVALID', message, { cause })
  }
  return text
}

function readPem(key: string, source: PemSource): string {
  return 'pem' in source ? source.pem : readNamedFile(key, source.path)
}

function patienceMs(message: ToWorker): number {
  if (message.type !== 'update') return 0
  const { changes, parts } = message.update
  return (changes.length + parts * PART_SIZE) * CHANGE_PATIENCE_MS
}
