/** What tests of plugins need: an exchange, entities, counters and a clock that are made by hand. Operators import it as `meridian/pdk/testing`. */
import { lookup } from 'node:dns'
import { Masking, type MaskingSettings } from '#telemetry/masking.ts'
import { serializeExchange, type LogRecord } from '#telemetry/serializer.ts'
import { HeaderList } from '#http/header-list.ts'
import { plugins as pluginEntity } from '#model/entities/plugin.ts'
import { createModel } from '#model/model.ts'
import type { FieldErrors } from '#model/contract.ts'
import type { Consumer } from '#model/entities/consumer.ts'
import type { Route } from '#model/entities/route.ts'
import type { Service } from '#model/entities/service.ts'
import { ClientRequest, ClientResponse, Exchange, type Credential, type RequestBody } from './exchange.ts'
import {
  refusalsOf,
  type CacheCounts,
  type ConfigOf,
  type DeliveryQueue,
  type Document,
  type EntityReader,
  type LineFile,
  type MetricsSelection,
  type NodeAbilities,
  type Plugin,
  type PluginDelivery,
  type PluginSchema,
  type PluginTools,
  type RuntimeValue,
  type RuntimeValues,
  type QueueOptions,
} from './pdk.ts'
import { FakeResponses } from './fake-responses.ts'
import { FakeSharedStore } from './fake-shared-responses.ts'
import { FakeClock, FakeCounters } from './fake-counters.ts'
import { FakeRedis } from './fake-redis.ts'
import { fromWire, toWire } from './wire-text.ts'

export { FakeClock, FakeCounters } from './fake-counters.ts'
export { FakeRedis } from './fake-redis.ts'

export type HeaderInput = Readonly<Record<string, string | readonly string[]>> | readonly (readonly [string, string])[]

export interface FakeExchangeOptions {
  readonly method?: string
  /** Path as received; may carry the query. */
  readonly path?: string
  readonly query?: string | null
  readonly headers?: HeaderInput
  /** An object becomes JSON, with its Content-Type unless `headers` has one. */
  readonly body?: string | Buffer | object | null
  readonly consumer?: Partial<Consumer> | null
  readonly credential?: Credential | null
  readonly route?: Partial<Route> | null
  readonly service?: Partial<Service> | null
  readonly captures?: Exchange['captures']
  readonly clientIp?: string
  readonly scheme?: 'http' | 'https'
  /** Unix time in ms, or a date as text; 2030-01-01T00:00:00Z by default. */
  readonly now?: number | string
  readonly id?: string
  /** The response's head as the upstream sent it, for the response phases. */
  readonly response?: { readonly status?: number; readonly headers?: HeaderInput }
}

const A_DAY = '2030-01-01T00:00:00Z'

export function fakeExchange(options: FakeExchangeOptions = {}): Exchange {
  const headers = headerList(options.headers)
  let body: Buffer | null = null
  if (options.body !== undefined && options.body !== null) {
    const isJson = typeof options.body === 'object' && !Buffer.isBuffer(options.body)
    if (isJson && !headers.has('content-type')) headers.append('Content-Type', 'application/json')
    body = Buffer.isBuffer(options.body)
      ? options.body
      : Buffer.from(isJson ? JSON.stringify(options.body) : (options.body as string))
  }
  const request = new ClientRequest(headers, new FakeBody(body))
  const [path = '/', query = null] = splitOnce(options.path ?? '/', '?')
  request.method = options.method ?? 'GET'
  request.rawPath = request.path = path
  request.query = options.query === undefined ? query : options.query
  request.scheme = options.scheme ?? 'http'
  request.hostHeader = headers.get('host') ?? 'gw.test'
  request.host = request.hostHeader.replace(/:\d+$/, '')
  request.port = request.listenerPort = request.serverPort = request.scheme === 'https' ? 8443 : 8000
  request.serverIp = '127.0.0.1'
  request.peerIp = request.clientIp = options.clientIp ?? '127.0.0.1'
  request.peerPort = request.clientPort = 50000
  request.connectionSerial = request.connectionRequests = 1
  const response = new ClientResponse(headerList(options.response?.headers))
  response.status = options.response?.status ?? 0
  const now = options.now ?? A_DAY
  const exchange = new Exchange(
    options.id ?? '0123456789abcdef0123456789abcdef',
    typeof now === 'number' ? now : Date.parse(now),
    request,
    response,
  )
  exchange.upstream.path = path
  exchange.consumer = (options.consumer as Consumer | undefined) ?? null
  exchange.credential = options.credential ?? null
  exchange.route = (options.route as Route | undefined) ?? null
  exchange.service = (options.service as Service | undefined) ?? null
  exchange.captures = options.captures ?? null
  return exchange
}

/** The body of a fake exchange; `bytes` is what the upstream would get. */
export class FakeBody implements RequestBody {
  bytes: Buffer | null
  /** Whether a plugin gave other bytes. */
  isReplaced = false
  limitBytes = Infinity
  readonly exists: boolean
  /** Makes `read` fail as a client does that leaves. */
  isAborted = false

  constructor(bytes: Buffer | null) {
    this.bytes = bytes
    this.exists = bytes !== null && bytes.length > 0
  }

  async read(limitBytes: number): Promise<Buffer | { readonly error: 'too_large' | 'aborted' }> {
    if (this.isAborted) return { error: 'aborted' }
    const bytes = this.bytes ?? Buffer.alloc(0)
    return bytes.length > limitBytes ? { error: 'too_large' } : bytes
  }

  copy(limitBytes: number, done: (result: Buffer | { readonly error: 'too_large' | 'aborted' }) => void): void {
    void this.read(limitBytes).then(done)
  }

  replace(bytes: Buffer): void {
    this.bytes = bytes
    this.isReplaced = true
  }

  limit(limitBytes: number): void {
    this.limitBytes = Math.min(this.limitBytes, limitBytes)
  }
}

/** What the upstream would get as body, as text; null for none. */
export function sentBody(exchange: Exchange): string | null {
  return (exchange.request.body as FakeBody).bytes?.toString('utf8') ?? null
}

/** A configuration that the schema, or this version of the plugin, refuses. */
export class ConfigInvalid extends Error {
  readonly code = 'CONFIG_INVALID'
  /** Dotted name below `config`; '' for the configuration as a whole. */
  readonly field: string

  constructor(plugin: string, field: string, message: string) {
    super(`${plugin}: config${field === '' ? '' : '.'}${field}: ${message}`)
    this.field = field
  }
}

/**
 * What `prepare` makes of a configuration as an operator writes it: defaults filled in, checked as the Admin API does.
 * @throws {ConfigInvalid} naming the first field that is wrong
 */
export function prepare<Sch extends PluginSchema, S>(
  plugin: Plugin<Sch, S>,
  config: object = {},
  tools: Partial<PluginTools> = {},
): S {
  const given = fakeTools(tools)
  return plugin.prepare(
    completeConfig(plugin, config, {
      ...BARE_NODE,
      hasClusterCounters: given.clusterCounters !== null,
      functions: given.functions,
    }),
    given,
  )
}

/** A node that shares nothing with others. */
export const BARE_NODE: NodeAbilities = {
  hasClusterCounters: false,
  functions: 'sandbox',
  hasDataCenters: false,
  canLease: false,
  hasDatabase: true,
  environment: {},
}

/** The configuration as it is stored; what the node can't do is refused. */
export function completeConfig<Sch extends PluginSchema>(
  plugin: Plugin<Sch, any>,
  config: object,
  node: NodeAbilities = BARE_NODE,
): ConfigOf<Sch> {
  const { name } = plugin.schema
  const model = createModel({
    entities: [pluginEntity],
    plugins: [plugin.schema],
    built: [name],
    vaults: new Map(),
    refuse: refusalsOf([plugin], node),
  })
  const checked = model.insert(
    'plugins',
    { name, config },
    {
      nowMs: Date.parse(A_DAY),
      uuid: () => '00000000-0000-4000-8000-000000000000',
      randomText: () => 'random',
      routerFlavor: 'traditional_compatible',
    },
  )
  if (!checked.ok) throw invalid(name, checked.fields)
  return checked.document['config'] as ConfigOf<Sch>
}

function invalid(plugin: string, fields: FieldErrors): ConfigInvalid {
  const path: string[] = []
  let error: unknown = fields['config'] ?? fields
  while (typeof error === 'object' && error !== null) {
    const [name, inner] = Object.entries(error).find(([, value]) => value !== null) ?? ['', 'invalid']
    if (name !== '@entity') path.push(name)
    error = inner
  }
  return new ConfigInvalid(plugin, path.join('.'), String(error))
}

/** Tools that do nothing, with those that a test gives. */
export function fakeTools(tools: Partial<PluginTools> = {}): PluginTools {
  return {
    pluginId: '00000000-0000-4000-8000-0000000000ff',
    scope: { route: null, service: null, consumer: null, consumerGroup: null },
    counters: new FakeCounters(),
    clusterCounters: null,
    responses: new FakeResponses(),
    sharedResponses: () => new FakeSharedStore().of(new FakeResponses()),
    redis: new FakeRedis(),
    entities: new FakeEntities(),
    runtime: new FakeRuntime(),
    certificates: { has: () => false, want: ignore },
    log: { error: ignore, warn: ignore, info: ignore, debug: ignore },
    metrics: new FakeMetrics(),
    delivery: new FakeDelivery(),
    lookup,
    trusted: null,
    workerIndex: 0,
    sharedMemory: [{ name: 'counters', capacityBytes: 1024 }],
    functions: 'sandbox',
    tracing: { instrumentations: ['all'], samplingRate: 1 },
    environment: {},
    version: '1.0.0',
    nodeId: '00000000-0000-4000-8000-000000000001',
    ...tools,
  }
}

const ignore = () => undefined

/** Keeps what plugins deliver: entries of queues and lines of files. */
export class FakeDelivery implements PluginDelivery {
  readonly masking: Masking
  readonly queues: { readonly entries: unknown[]; readonly options: QueueOptions<never>; isClosed: boolean }[] = []
  readonly files: { readonly path: string; readonly lines: string[]; isClosed: boolean }[] = []

  constructor(masking: Partial<MaskingSettings> = {}) {
    this.masking = new Masking({ ...NOTHING_MASKED, ...masking })
  }

  record(exchange: Exchange): LogRecord {
    return serializeExchange(exchange, this.masking)
  }

  openQueue<T>(options: QueueOptions<T>): DeliveryQueue<T> {
    const queue = { entries: [] as unknown[], options: options as unknown as QueueOptions<never>, isClosed: false }
    this.queues.push(queue)
    return {
      push: (value) => void queue.entries.push(value),
      close: () => {
        queue.isClosed = true
        options.onClosed?.()
      },
    }
  }

  openFile(path: string): LineFile {
    const file = { path, lines: [] as string[], isClosed: false }
    this.files.push(file)
    return {
      write: (line) => void file.lines.push(line),
      close: () => {
        file.isClosed = true
      },
    }
  }
}

/** Settings that hide nothing but what always is. */
export const NOTHING_MASKED: MaskingSettings = {
  log_mask_headers: [],
  log_mask_arguments: [],
  log_mask_fields: [],
  log_mask_patterns: [],
  log_mask_regex: null,
}
export { FakeResponses, FakeSharedStore }

/** Keeps what a plugin reported. */
export class FakeMetrics {
  readonly finished: { readonly exchange: Exchange; readonly selection: MetricsSelection }[] = []
  requestFinished(exchange: Exchange, selection: MetricsSelection): void {
    this.finished.push({ exchange, selection })
  }
  readonly limits: string[] = []
  limitRefused(limit: string, mode: 'enforced' | 'shadow'): void {
    this.limits.push(`${limit} ${mode}`)
  }
  /** Refusals as `plugin reason`. */
  readonly refusals: string[] = []
  refused(plugin: string, reason: string): void {
    this.refusals.push(`${plugin} ${reason}`)
  }
  /** Uses of what goes away as `api consumer stage`. */
  readonly deprecatedUses: string[] = []
  deprecatedUsed(api: string, consumer: string, stage: string): void {
    this.deprecatedUses.push(`${api} ${consumer} ${stage}`)
  }
  /** Calls as `plugin call outcome`. */
  readonly calls: string[] = []
  called(plugin: string, call: string, outcome: string): void {
    this.calls.push(`${plugin} ${call} ${outcome}`)
  }
  /** Sums by `plugin event`. */
  readonly counts: Record<string, number> = {}
  counted(plugin: string, event: string, times = 1): void {
    this.counts[`${plugin} ${event}`] = (this.counts[`${plugin} ${event}`] ?? 0) + times
  }
  /** Sums by `plugin kind`. */
  readonly bytes: Record<string, number> = {}
  countedBytes(plugin: string, kind: string, bytes: number): void {
    this.bytes[`${plugin} ${kind}`] = (this.bytes[`${plugin} ${kind}`] ?? 0) + bytes
  }
  /** By `target outcome`. */
  readonly splits: Record<string, number> = {}
  splitFinished(_split: string, target: string, outcome: string): void {
    this.splits[`${target} ${outcome}`] = (this.splits[`${target} ${outcome}`] ?? 0) + 1
  }
  /** By target, what was said last. */
  readonly states: Record<string, { readonly share: number; readonly isAborted: boolean }> = {}
  splitStated(_split: string, target: string, share: number, isAborted: boolean): void {
    this.states[target] = { share, isAborted }
  }
  readonly cached = counts()
  cacheCounts(): CacheCounts {
    return this.cached
  }
}

function counts(): CacheCounts {
  const none = () => ({ value: 0 })
  return { Hit: none(), Stale: none(), Miss: none(), Refresh: none(), Bypass: none() }
}

/** Entities by kind. Answers at once, or by promises, or not at all, as a worker's cache does. */
export class FakeEntities implements EntityReader {
  readonly rows: Readonly<Record<string, readonly object[]>>
  mode: 'sync' | 'async' | 'unavailable'
  /** Number of questions asked so far. */
  asked = 0

  constructor(rows: Readonly<Record<string, readonly object[]>> = {}, mode: 'sync' | 'async' | 'unavailable' = 'sync') {
    this.rows = rows
    this.mode = mode
  }

  get(kind: string, id: string): Document | null | Promise<Document | null> {
    return this.lookup(kind, 'id', id)
  }

  lookup(kind: string, field: string, value: string): Document | null | Promise<Document | null> {
    return this.#answer(this.#of(kind).find((row) => row[field] === value) ?? null)
  }

  listBy(kind: string, field: string, id: string): readonly Document[] | Promise<readonly Document[]> {
    return this.#answer(this.#of(kind).filter((row) => (row[field] as { readonly id?: unknown } | null)?.id === id))
  }

  #of(kind: string): readonly Document[] {
    return (this.rows[kind] ?? []) as readonly Document[]
  }

  #answer<T>(value: T): T | Promise<T> {
    this.asked++
    if (this.mode === 'sync') return value
    if (this.mode === 'async') return Promise.resolve(value)
    return Promise.reject(Object.assign(new Error('the store is unreachable'), { code: 'STORE_UNAVAILABLE' }))
  }
}

/** Short-lived values in a map; `isUnavailable` makes every call fail, as when the store can't be asked. */
export class FakeRuntime implements RuntimeValues {
  isUnavailable = false
  readonly #clock: FakeClock
  /** JSON, as the real stores keep values. */
  readonly #kept = new Map<string, { readonly text: string; readonly expiresAtMs: number }>()

  constructor(clock: FakeClock = new FakeClock()) {
    this.#clock = clock
  }

  /** Live values by `space/key`. */
  get live(): Record<string, RuntimeValue> {
    const places = [...this.#kept.keys()].filter((at) => this.#live(at) !== undefined)
    return Object.fromEntries(places.map((at) => [at, this.#live(at)!]))
  }

  async get(space: string, key: string): Promise<RuntimeValue | undefined> {
    this.#fail()
    return this.#live(`${space}/${key}`)
  }

  recall(space: string, key: string): Promise<RuntimeValue | undefined> {
    return this.get(space, key)
  }

  async put(space: string, key: string, value: RuntimeValue, ttlMs: number): Promise<void> {
    this.#fail()
    this.#kept.set(`${space}/${key}`, { text: JSON.stringify(value), expiresAtMs: this.#clock.nowMs + ttlMs })
  }

  async putIfAbsent(space: string, key: string, value: RuntimeValue, ttlMs: number): Promise<boolean> {
    this.#fail()
    if (this.#live(`${space}/${key}`) !== undefined) return false
    await this.put(space, key, value, ttlMs)
    return true
  }

  async take(space: string, key: string): Promise<RuntimeValue | undefined> {
    this.#fail()
    const value = this.#live(`${space}/${key}`)
    this.#kept.delete(`${space}/${key}`)
    return value
  }

  async delete(space: string, key: string): Promise<void> {
    await this.take(space, key)
  }

  #live(at: string): RuntimeValue | undefined {
    const kept = this.#kept.get(at)
    return kept !== undefined && kept.expiresAtMs > this.#clock.nowMs
      ? (JSON.parse(kept.text) as RuntimeValue)
      : undefined
  }

  #fail(): void {
    if (this.isUnavailable) throw Object.assign(new Error('the store is unreachable'), { code: 'STORE_UNAVAILABLE' })
  }
}

/** Header values as a client or upstream would see them, by lower-case name. */
export function headersOf(headers: HeaderList): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers.toObject()))
    object[name] = Array.isArray(value) ? value.map(fromWire) : fromWire(value)
  return object
}

function headerList(headers: HeaderInput = {}): HeaderList {
  const list = new HeaderList()
  const entries = Array.isArray(headers)
    ? (headers as readonly (readonly [string, string])[])
    : Object.entries(headers as Readonly<Record<string, string | readonly string[]>>)
  for (const [name, value] of entries) {
    for (const one of typeof value === 'string' ? [value] : value) list.append(name, toWire(one.trim()))
  }
  return list
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)]
}
