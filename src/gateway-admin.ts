/** What the Admin API gets of the gateway: each port is a small window on what `gateway.ts` built. */
import { hostname } from 'node:os'
import type { CertificateIssuer } from '#acme/issuer.ts'
import type { AdminPorts, DescribedRequest, StoredResponses } from '#admin/ports.ts'
import type { UpstreamHealthReport } from '#balancer/health-report.ts'
import type { Declarative } from '#admin/config.ts'
import type { ConfigurationHash } from '#admin/configuration-hash.ts'
import type { CheckContext, Model } from '#model/contract.ts'
import { DEFAULT_WORKSPACE } from '#model/document.ts'
import type { LogLevel } from '#model/settings/node.ts'
import { presentSettings } from '#model/settings/present.ts'
import type { ReadSettings } from '#model/settings/read.ts'
import type { Publisher } from '#snapshot/publisher.ts'
import type { ClusterView } from '#store/cluster-view.ts'
import type { ConfigStore } from '#store/contract.ts'
import type { Secrets } from '#store/secrets.ts'
import type { Writer } from '#store/writer.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import { acmePort } from './gateway-certificates.ts'
import type { ToWorker } from './worker-protocol.ts'

/** Figures of all workers, from their shared blocks. */
export interface SharedFigures {
  readonly accepted: number
  readonly active: number
  readonly busy: number
  readonly requests: number
  readonly heapBytes: readonly number[]
}

export interface AdminParts {
  readonly read: ReadSettings
  readonly version: string
  readonly kongVersion: string
  readonly nodeId: string
  readonly model: Model
  readonly store: ConfigStore
  readonly secrets: Secrets
  readonly writer: Writer
  readonly publisher: Publisher
  readonly declarative: Declarative
  readonly configurationHash: ConfigurationHash
  readonly check: (atMs: number) => CheckContext
  readonly log: GatewayLog
  readonly figures: () => SharedFigures
  readonly countersBytes: number
  readonly responses: StoredResponses
  readonly responseMemory: { readonly usedBytes: number; readonly sizeBytes: number }
  readonly trafficLimits: AdminPorts['trafficLimits']
  readonly trafficSplits: AdminPorts['trafficSplits']
  /** Asks the first worker; undefined when it does not answer in time. */
  readonly ask: (question: (id: number) => ToWorker) => Promise<unknown>
  readonly tellAll: (message: ToWorker) => void
  readonly warnings: () => readonly string[]
  readonly cluster: ClusterView
  readonly certificates: CertificateIssuer
  readonly isStoreReachable: () => boolean
  readonly filling: NonNullable<AdminPorts['filling']>
  readonly degraded: () => readonly string[]
  readonly beginEpoch: (() => Promise<number>) | null
}

export function adminPorts(parts: AdminParts): AdminPorts {
  const { read, model, store, publisher, log } = parts
  const { settings } = read
  return {
    model,
    store,
    writer: parts.writer,
    serving: publisher,
    declarative: parts.declarative,
    isDatabase: settings.database !== 'off',
    secrets: parts.secrets,
    configurationHash: parts.configurationHash,
    check: parts.check,
    nowMs: Date.now,
    log: log.log,
    node: {
      id: parts.nodeId,
      hostname: hostname(),
      version: parts.version,
      kongVersion: parts.kongVersion,
      defaultWorkspace: DEFAULT_WORKSPACE,
      pid: process.pid,
      workers: settings.workers,
      configuration: presentSettings(read.texts),
      warnings: parts.warnings,
    },
    statistics: {
      connections() {
        const { accepted, active, busy, requests } = parts.figures()
        return {
          connections_accepted: accepted,
          connections_active: active,
          connections_handled: accepted,
          connections_reading: 0,
          connections_waiting: Math.max(0, active - busy),
          connections_writing: busy,
          total_requests: requests,
        }
      },
      workerHeaps: () => parts.figures().heapBytes.map((heapBytes, worker) => ({ worker, heapBytes })),
      sharedMemory: () => ({
        counters: { usedBytes: parts.countersBytes, sizeBytes: parts.countersBytes },
        responses: { usedBytes: parts.responseMemory.usedBytes, sizeBytes: parts.responseMemory.sizeBytes },
      }),
    },
    health: {
      async targets(upstreamId) {
        const report = (await parts.ask((id) => ({ type: 'health', id, upstreamId }))) as
          | UpstreamHealthReport
          | null
          | undefined
        return report
          ? new Map(report.targets.map(({ target, health, data }) => [target, { health, data: { ...data } }]))
          : null
      },
      async balancer(upstreamId) {
        const report = (await parts.ask((id) => ({ type: 'health', id, upstreamId }))) as
          | UpstreamHealthReport
          | null
          | undefined
        return report ? { ...report.balancer } : null
      },
      async set(upstreamId, target, address, isHealthy) {
        // The states are shared: what one worker sets holds for all.
        const answer = await parts.ask((id) => ({ type: 'set-health', id, upstreamId, target, address, isHealthy }))
        return answer === undefined ? 'no worker answered in time' : (answer as string | null)
      },
    },
    caches: {
      get: (key) => parts.ask((id) => ({ type: 'cached', id, key })),
      async delete(key) {
        parts.tellAll({ type: 'uncache', key })
      },
      async clear() {
        parts.tellAll({ type: 'uncache', key: null })
      },
    },
    responses: parts.responses,
    trafficLimits: parts.trafficLimits,
    trafficSplits: parts.trafficSplits,
    logLevel: {
      current: () => log.level,
      set(level, timeoutS) {
        log.setLevel(level as LogLevel, timeoutS > 0 ? timeoutS * 1000 : undefined)
        parts.tellAll({ type: 'log-level', level, forMs: timeoutS > 0 ? timeoutS * 1000 : null })
      },
    },
    explain: (request: DescribedRequest) => parts.ask((id) => ({ type: 'explain', id, request })),
    servesStreams: parts.read.settings.stream_listen.length > 0,
    cluster: parts.cluster,
    acme: acmePort(parts.certificates, store, publisher),
    isStoreReachable: parts.isStoreReachable,
    filling: parts.filling,
    degraded: parts.degraded,
    beginEpoch: parts.beginEpoch,
  }
}
