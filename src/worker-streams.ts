/** The part of a worker that serves TCP, TLS and UDP: its routes, its listeners, its log. */
import { createRequestIds } from '#core/request-id.ts'
import { HeaderList } from '#http/header-list.ts'
import type { AcceptorTls } from '#listen/tls-server-options.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { Settings } from '#model/settings.ts'
import { ClientRequest, ClientResponse, Exchange } from '#pdk/exchange.ts'
import { AbsentBody } from '#proxy/request-body.ts'
import type { SnapshotCompiler } from '#snapshot/compiler.ts'
import type { Route } from '#model/entities/route.ts'
import type { Service } from '#model/entities/service.ts'
import type { SnapshotUpdate } from '#snapshot/update.ts'
import { StreamAcceptor } from '#stream/stream-acceptor.ts'
import type { SessionRecord, StreamContext } from '#stream/session.ts'
import { createStreamRouter, type StreamFacts, type StreamRouter } from '#stream/stream-router.ts'
import type { WorkerMetrics } from '#telemetry/worker-metrics.ts'
import { openSessionLog, type SessionLog } from '#telemetry/session-log.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import type { ProxyEvents } from '#proxy/worker-context.ts'

export interface WorkerStreamsParts {
  readonly listeners: readonly Listener[]
  readonly settings: Settings
  readonly compiler: SnapshotCompiler
  readonly metrics: WorkerMetrics
  readonly events: ProxyEvents
  readonly log: GatewayLog['log']
  readonly tls: AcceptorTls
  readonly ticketKeys: Buffer
  readonly isTrusted: (peerIp: string) => boolean
  readonly servesUnixSockets: boolean
}

/** Kinds whose changes may lead sessions elsewhere. */
const ROUTING = new Set(['routes', 'services'])

export class WorkerStreams {
  readonly acceptor: StreamAcceptor
  readonly #parts: WorkerStreamsParts
  readonly #log: SessionLog | null
  #router: StreamRouter = createStreamRouter([])

  constructor(parts: WorkerStreamsParts) {
    this.#parts = parts
    const { settings, log, metrics } = parts
    this.#log =
      parts.listeners.length === 0
        ? null
        : openSessionLog(settings.proxy_stream_access_log, (error) =>
            log.error({ err: error }, 'the log of sessions cannot be written'),
          )
    this.acceptor = new StreamAcceptor({
      listeners: parts.listeners,
      context: this.#context(),
      tls: parts.tls,
      ticketKeys: parts.ticketKeys,
      isTrusted: parts.isTrusted,
      maxSessions: settings.worker_connections,
      servesUnixSockets: parts.servesUnixSockets,
      socketFailed: (detail) => log.error({ detail }, 'a stream listener failed'),
    })
    metrics.figures.gauge('meridian_stream_sessions_active', {}, () => this.acceptor.active)
    metrics.figures.gauge('meridian_stream_sessions_refused_total', {}, () => this.acceptor.refused)
  }

  /** Takes over a change of the configuration. */
  update(update: SnapshotUpdate): void {
    const { listeners, compiler } = this.#parts
    if (listeners.length === 0) return
    if (!update.isWhole && !update.changes.some(({ kind }) => ROUTING.has(kind))) return
    const routes = [...compiler.documents('routes')] as unknown as Route[]
    this.#router = createStreamRouter(routes.filter((route) => this.#isServed(route)))
  }

  reopenLog(): void {
    this.#log?.reopen()
  }

  async closeLog(): Promise<void> {
    await this.#log?.close()
  }

  /** Routes of a disabled service are not there, as over HTTP. */
  #isServed({ service }: Route): boolean {
    if (service === null) return true
    return (this.#parts.compiler.document('services', service.id) as unknown as Service | undefined)?.enabled === true
  }

  #context(): StreamContext {
    const { compiler, events } = this.#parts
    const newId = createRequestIds()
    const router = () => this.#router
    return {
      get router() {
        return router()
      },
      get snapshot() {
        return compiler.current
      },
      newExchange: (facts) => exchangeOf(newId(), facts),
      ended: (record) => this.#ended(record),
      pluginFailed: (exchange, step, phase, error) => events.pluginFailed(exchange, step.instance, phase, error),
    }
  }

  #ended(record: SessionRecord): void {
    const { figures } = this.#parts.metrics
    const { protocol } = record.facts
    figures.counter('meridian_stream_sessions_total', { protocol, status: String(record.status) }).value++
    figures.counter('meridian_stream_bytes_total', { direction: 'ingress' }).value += record.bytesReceived
    figures.counter('meridian_stream_bytes_total', { direction: 'egress' }).value += record.bytesSent
    this.#log?.write({ ...record, ip: record.facts.sourceIp, protocol })
  }
}

/** What plugins see of a session: where it comes from, and nothing of HTTP. */
function exchangeOf(id: string, facts: StreamFacts): Exchange {
  const request = new ClientRequest(new HeaderList(), new AbsentBody())
  request.peerIp = request.clientIp = facts.sourceIp
  request.peerPort = request.clientPort = facts.sourcePort
  request.serverIp = facts.destinationIp
  request.serverPort = request.listenerPort = request.port = facts.destinationPort
  request.sni = facts.serverName
  const exchange = new Exchange(id, Date.now(), request, new ClientResponse(new HeaderList()))
  exchange.sessionProtocol = facts.protocol
  return exchange
}
