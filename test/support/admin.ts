/** The Admin API in this process, over the memory store: for tests that need no proxy. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRequestIds } from '#core/request-id.ts'
import type { AdminListener } from '#admin/listener.ts'
import { createDeclarative } from '#admin/declarative-source.ts'
import { createConfigurationHash } from '#admin/configuration-hash.ts'
import type { AdminPorts } from '#admin/ports.ts'
import { type AdminServer, type AdminServerOptions, openAdminServer } from '#admin/server.ts'
import { NO_ACCESS_LIST } from '#admin/tokens.ts'
import { DEFAULT_WORKSPACE } from '#model/document.ts'
import { coreEntities } from '#model/entities/index.ts'
import { vaultConfigs } from '#model/entities/vault-configs.ts'
import { createModel } from '#model/model.ts'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import { parseNodeState, type ClusterView, type NodeView } from '#store/cluster-view.ts'
import type { ConfigStore } from '#store/contract.ts'
import { newKeyringText, parseKeyring } from '#store/keyring.ts'
import { createMemoryStore } from '#store/memory.ts'
import { Secrets } from '#store/secrets.ts'
import { createWriter } from '#store/writer.ts'

export interface TestAdminOptions {
  /** Plugins that the gateway can run; by default all. */
  readonly built?: readonly string[]
  /** False: as with `database = off`. */
  readonly isDatabase?: boolean
  readonly listener?: AdminListener
  /** By default the time of the machine. */
  readonly nowMs?: () => number
  readonly overrides?: Partial<AdminServerOptions>
}

export interface TestAdmin {
  readonly url: string
  readonly port: number
  readonly store: ConfigStore
  readonly server: AdminServer
  /** A request with a JSON body; the answer with its body parsed, if it is JSON. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<TestAnswer>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface TestAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // Tests look into answers of any shape.
  readonly json: any
}

export async function openTestAdmin(options: TestAdminOptions = {}): Promise<TestAdmin> {
  const model = createModel({
    entities: [...coreEntities, ...pluginEntities],
    plugins: pluginSchemas,
    built: options.built ?? pluginSchemas.map(({ name }) => name),
    vaults: vaultConfigs,
  })
  const keyring = parseKeyring(newKeyringText('test', randomBytes), randomBytes)
  const nowMs = options.nowMs ?? Date.now
  const store = createMemoryStore({ definitions: model, keyring, nowMs })
  const writer = createWriter({
    store,
    definitions: model,
    keyring,
    nowMs,
    uuid: () => randomUUID(),
    random: Math.random,
    delay: (ms) => sleep(ms),
  })
  const ports: AdminPorts = {
    model,
    store,
    writer,
    servesStreams: false,
    trafficLimits: { show: async () => null, reset: async () => null },
    trafficSplits: { show: async () => null, resume: async () => false },
    acme: {
      isConfigured: () => false,
      checkHttp: async () => null,
      obtain: async () => ({ is: 'not_allowed' }),
      renew: () => undefined,
      list: async () => [],
      find: async () => null,
    },
    secrets: new Secrets(model, keyring),
    isDatabase: options.isDatabase ?? true,
    serving: { waitFor: async () => true, revision: 0 },
    check: (atMs) => ({
      nowMs: atMs,
      uuid: () => randomUUID(),
      randomText: () => randomBytes(24).toString('base64url').replaceAll(/[-_]/g, 'x'),
      routerFlavor: 'traditional_compatible',
    }),
    node: {
      id: randomUUID(),
      hostname: 'test',
      version: '0.0.0',
      kongVersion: '3.9.3',
      defaultWorkspace: DEFAULT_WORKSPACE,
      pid: process.pid,
      workers: 1,
      configuration: { database: 'sqlite' },
      warnings: () => [],
    },
    statistics: {
      connections: () => ({
        connections_accepted: 0,
        connections_active: 0,
        connections_handled: 0,
        connections_reading: 0,
        connections_waiting: 0,
        connections_writing: 0,
        total_requests: 0,
      }),
      workerHeaps: () => [{ worker: 0, heapBytes: 1024 * 1024 }],
      sharedMemory: () => ({ counters: { usedBytes: 1024, sizeBytes: 2048 } }),
    },
    health: {
      targets: async () => null,
      balancer: async () => null,
      set: async () => 'this node keeps no health of the upstream',
    },
    caches: { get: async () => undefined, delete: async () => {}, clear: async () => {} },
    responses: { get: async () => null, isInLog: false, mayPurge: () => true, purge: async () => [] },
    logLevel: createLogLevel(),
    explain: async (request) => ({ request }),
    cluster: clusterOf(() => []),
    configurationHash: createConfigurationHash(),
    metricsPage: async function* () {
      yield '# TYPE up gauge\n'
      yield 'up 1\n'
    },
    declarative: createDeclarative({ model, nowMs }),
    nowMs,
    isStoreReachable: () => true,
    degraded: () => [],
    beginEpoch: null,
    log: { error: (fields, message) => console.error(message, fields) },
  }
  const server = await openAdminServer({
    ...ports,
    listeners: [options.listener ?? { address: { ip: '127.0.0.1', port: 0 }, tls: null }],
    guard: { origins: [], hosts: [] },
    access: NO_ACCESS_LIST,
    requestId: createRequestIds(),
    ...options.overrides,
  })
  const { port } = server.addresses[0] as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const close = async () => {
    await server.close(0)
    await writer.close()
    await store.close()
  }
  return {
    url,
    port,
    store,
    server,
    call: (method, path, body, headers) => call(url, method, path, body, headers),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** A cluster of these nodes, with what each test leaves out. */
export function clusterOf(nodes: () => readonly Partial<NodeView>[]): ClusterView {
  return {
    dataCenters: ['dc1', 'dc2'],
    nodes: () => nodes().map((node) => ({ ...A_NODE, ...node })),
    wake: () => {},
  }
}

const A_NODE: NodeView = {
  ...parseNodeState('{"ready":true,"version":"0.0.0"}'),
  node_id: 'node',
  data_center: 'dc1',
  is_self: false,
  status: 'up',
}

async function call(
  url: string,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<TestAnswer> {
  const isText = typeof body === 'string'
  const response = await fetch(url + path, {
    method,
    headers: { ...(body === undefined || isText ? {} : { 'Content-Type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(10_000),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: parsed(text) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // an answer without a JSON body
  }
}

function createLogLevel() {
  let level = 'notice'
  return {
    current: () => level,
    set: (next: string) => {
      level = next
    },
  }
}
