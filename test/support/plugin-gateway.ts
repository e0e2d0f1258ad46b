/**
 * A gateway without sockets: routes by path, runs plugins through their phases, and answers as the corpus' echo upstream does.
 * Just enough to hold plugins alone against the recorded answers of a real Kong.
 */
import { saltedDigest } from '#core/salted-digest.ts'
import type { AnyPlugin, BodyTransform, Exchange, Exit } from '#pdk'
import { orderPlugins } from '#pdk/order.ts'
import {
  completeConfig,
  FakeClock,
  FakeCounters,
  FakeEntities,
  fakeExchange,
  fakeTools,
  type FakeBody,
} from '#pdk/testing'
import { errorBody } from '#proxy/error-body.ts'
import { transformAll, transformEnd } from '#proxy/response-transform.ts'

export interface CorpusRequest {
  readonly method?: string
  readonly target?: string
  readonly headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[]
  readonly host?: string
  readonly body?: string
  readonly json?: unknown
  /** So many letters. */
  readonly bodySize?: number
  /** A body that does not announce its length. */
  readonly chunks?: readonly string[]
}

interface Named {
  readonly id?: string
  readonly name?: string
}
interface PluginConfig {
  readonly name: string
  readonly enabled?: boolean
  readonly config?: object
  readonly consumer?: string
}
interface RouteConfig extends Named {
  readonly paths?: readonly string[]
  readonly preserve_host?: boolean
  readonly plugins?: readonly PluginConfig[]
}
interface ServiceConfig extends Named {
  readonly host?: string
  readonly port?: number
  readonly routes?: readonly RouteConfig[]
  readonly plugins?: readonly PluginConfig[]
}
interface ConsumerConfig extends Named {
  readonly id: string
  readonly [field: string]: unknown
}
export interface TopicConfig {
  readonly services?: readonly ServiceConfig[]
  readonly routes?: readonly RouteConfig[]
  readonly consumers?: readonly ConsumerConfig[]
  readonly plugins?: readonly PluginConfig[]
}

/** What the corpus' runner compares. */
export interface Observed {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly text: string
  readonly json?: unknown
  readonly echo?: true
  readonly upstream: object | null
}

interface Instance {
  readonly plugin: AnyPlugin
  readonly state: unknown
  readonly name: string
  readonly priority: number
}
interface Served {
  readonly route: RouteConfig
  readonly service: ServiceConfig | null
  readonly instances: readonly Instance[]
}

export class PluginGateway {
  readonly clock: FakeClock
  /** Names of plugins that the topic uses and that are not built: cases that need them can't be judged. */
  readonly missing = new Set<string>()
  readonly #plugins: ReadonlyMap<string, AnyPlugin>
  readonly #entities: FakeEntities
  readonly #counters: FakeCounters
  readonly #served: readonly Served[]
  readonly #global: readonly Instance[]
  #serial = 0

  constructor(config: TopicConfig, plugins: readonly AnyPlugin[], nowMs: number) {
    this.clock = new FakeClock(nowMs)
    this.#plugins = new Map(plugins.map((plugin) => [plugin.schema.name, plugin]))
    this.#counters = new FakeCounters(this.clock)
    this.#entities = entitiesOf(config.consumers ?? [])
    this.#global = this.#instances(config.plugins ?? [], null, null)
    this.#served = [
      ...(config.services ?? []).flatMap((service) => {
        const own = this.#instances(service.plugins ?? [], service, null)
        return (service.routes ?? []).map((route) => this.#serve(route, service, own))
      }),
      ...(config.routes ?? []).map((route) => this.#serve(route, null, [])),
    ]
  }

  async answer(request: CorpusRequest): Promise<Observed> {
    const headers: (readonly [string, string])[] = Object.entries(request.headers ?? {}).map(([name, value]) =>
      typeof value === 'string' ? [name, value] : (value as readonly [string, string]),
    )
    const hasType = headers.some(([name]) => name.toLowerCase() === 'content-type')
    if (request.json !== undefined && !hasType) headers.push(['Content-Type', 'application/json'])
    const body = bodyOf(request)
    if (body !== null && request.chunks === undefined) headers.push(['Content-Length', String(Buffer.byteLength(body))])
    const exchange = fakeExchange({
      method: request.method ?? 'GET',
      path: request.target ?? '/',
      headers: [['Host', request.host ?? 'gw.test'], ...headers],
      body,
      now: this.clock.nowMs,
    })
    exchange.request.connectionSerial = ++this.#serial
    const served = this.#match(exchange)
    const instances = served?.instances ?? this.#global
    const exit =
      served === null ? exchange.fail(404, 'no Route matched with those values') : await access(exchange, instances)
    const upstream = exit === null ? this.#passOn(exchange, served!) : null
    const made = exit === null ? echo(exchange, upstream!) : answerItself(exchange, exit)
    for (const { plugin, state } of instances) plugin.responseHeaders?.(exchange, state)
    const text = transformed(exchange, instances, made)
    for (const { plugin, state } of instances) plugin.log?.(exchange, state)
    const shown = exchange.request.method === 'HEAD' ? '' : text
    return {
      status: exchange.response.status,
      headers: exchange.response.headers.toObject(),
      text: shown,
      ...(exit === null && shown !== '' && text === made ? { echo: true as const } : {}),
      ...parsed(shown),
      upstream,
    }
  }

  #serve(route: RouteConfig, service: ServiceConfig | null, ofService: readonly Instance[]): Served {
    const byName = new Map<string, Instance>()
    // The most specific configuration of each plugin wins.
    for (const instance of [...this.#global, ...ofService, ...this.#instances(route.plugins ?? [], service, route)]) {
      byName.set(instance.name, instance)
    }
    const ordered = orderPlugins([...byName.values()])
    if (!ordered.ok) throw new Error(`ordering: ${ordered.cycle.join(', ')}`)
    return { route, service, instances: ordered.order }
  }

  #instances(configs: readonly PluginConfig[], service: ServiceConfig | null, route: RouteConfig | null): Instance[] {
    return configs.flatMap(({ name, enabled = true, config = {}, consumer }) => {
      const plugin = this.#plugins.get(name)
      if (plugin === undefined) this.missing.add(name)
      if (plugin === undefined || !enabled || consumer !== undefined) return []
      const tools = fakeTools({
        scope: { route: route?.id ?? null, service: service?.id ?? null, consumer: null, consumerGroup: null },
        counters: this.#counters,
        entities: this.#entities,
      })
      return [
        {
          plugin,
          name,
          priority: plugin.schema.priority,
          state: plugin.prepare(completeConfig(plugin, config), tools),
        },
      ]
    })
  }

  #match(exchange: Exchange): Served | null {
    for (const served of this.#served) {
      for (const path of served.route.paths ?? []) {
        const found = new RegExp(path.startsWith('~') ? `^${path.slice(1)}` : `^${path}(?=/|$)`).exec(
          exchange.request.path,
        )
        if (found === null) continue
        exchange.route = served.route as unknown as Exchange['route']
        exchange.service = served.service as unknown as Exchange['service']
        exchange.matchedPath = found[0]
        if (found.length > 1) exchange.captures = { named: { ...found.groups }, unnamed: found.slice(1) }
        exchange.upstream.path = exchange.request.path.slice(found[0].length) || '/'
        exchange.upstream.strippedPrefix = found[0]
        if (served.route.preserve_host === true) exchange.upstream.hostHeader = exchange.request.hostHeader
        return served
      }
    }
    return null
  }

  /** What the echo upstream received, as its runner describes it. */
  #passOn(exchange: Exchange, { service }: Served): object {
    const { request, upstream } = exchange
    const body = (request.body as FakeBody).bytes ?? Buffer.alloc(0)
    const { host: _host, ...headers } = request.headers.toObject()
    const sent = {
      ...headers,
      host: upstream.hostHeader || `${service?.host}:${service?.port}`,
      'x-forwarded-for': request.clientIp,
      'x-forwarded-proto': request.scheme,
      'x-forwarded-host': request.host,
      'x-forwarded-port': String(request.listenerPort),
      'x-forwarded-path': request.rawPath,
      'x-forwarded-prefix': upstream.strippedPrefix,
      'x-real-ip': request.clientIp,
      ...(request.body.exists || body.length > 0 ? { 'content-length': String(body.length) } : {}),
    }
    return {
      server: 'echo1',
      method: upstream.method || request.method,
      target: upstream.path + (request.query === null ? '' : `?${request.query}`),
      http: '1.1',
      headers: sent,
      bodyLength: body.length,
      body: body.toString(),
    }
  }
}

async function access(exchange: Exchange, instances: readonly Instance[]): Promise<Exit | null> {
  for (const { plugin, state } of instances) {
    const exit = await plugin.access?.(exchange, state)
    if (exit) return exit
  }
  return null
}

/** The answer of the upstream, steered by the header X-Echo. */
function echo(exchange: Exchange, upstream: object): string {
  const order = JSON.parse(exchange.request.headers.get('x-echo') ?? '{}') as {
    status?: number
    headers?: Record<string, string>
    body?: string
  }
  const { response } = exchange
  response.status = order.status ?? 200
  response.headers.append('Server', 'echo')
  response.headers.append('Content-Type', 'application/json')
  for (const [name, value] of Object.entries(order.headers ?? {})) response.headers.set(name, value)
  return order.body ?? JSON.stringify(upstream)
}

/** The body after every plugin that changes bodies. */
function transformed(exchange: Exchange, instances: readonly Instance[], text: string): string {
  const transforms = instances
    .map(({ plugin, state }) => plugin.responseBody?.(exchange, state) ?? null)
    .filter((transform): transform is BodyTransform => transform !== null)
  const parts = [transformAll(transforms, Buffer.from(text)), transformEnd(transforms)]
  return Buffer.concat(parts.filter((bytes) => bytes !== null)).toString()
}

function bodyOf({ body, json, bodySize, chunks }: CorpusRequest): string | null {
  if (json !== undefined) return JSON.stringify(json)
  if (chunks !== undefined) return chunks.join('')
  return bodySize === undefined ? (body ?? null) : 'x'.repeat(bodySize)
}

function answerItself(exchange: Exchange, exit: Exit): string {
  const { response } = exchange
  response.status = exit.status
  response.source = 'exit'
  for (const [name, value] of exit.headers) response.headers.append(name, value)
  if (exit.message === null) {
    if (exit.contentType !== null) response.headers.append('Content-Type', exit.contentType)
    return exit.body?.toString() ?? ''
  }
  const { contentType, body } = errorBody(
    exit.status,
    exit.message,
    exchange.id,
    exchange.request.headers.get('accept'),
    'application/json',
  )
  response.headers.append('Content-Type', contentType)
  return body
}

function parsed(text: string): { readonly json?: unknown } {
  try {
    return { json: JSON.parse(text) }
  } catch {
    // Not every answer is JSON; the runner looks for `json` only where one is expected.
    return {}
  }
}

/** Credentials as they are stored, with the defaults that matter. */
const CREDENTIALS: Readonly<Record<string, (row: any, consumerId: string) => object>> = {
  keyauth_credentials: () => ({}),
  acls: () => ({}),
  basicauth_credentials: ({ password }, consumerId) => ({ password: saltedDigest(password, consumerId) }),
  jwt_secrets: ({ algorithm = 'HS256', secret = null, rsa_public_key = null }) => ({
    algorithm,
    secret,
    rsa_public_key,
  }),
  hmacauth_credentials: () => ({}),
}

function entitiesOf(consumers: readonly ConsumerConfig[]): FakeEntities {
  const rows: Record<string, object[]> = { consumers: [] }
  for (const kind of Object.keys(CREDENTIALS)) rows[kind] = []
  for (const { id, username = null, custom_id = null, ...nested } of consumers) {
    rows['consumers']!.push({ id, username, custom_id, tags: null })
    for (const [kind, stored] of Object.entries(CREDENTIALS)) {
      for (const row of (nested[kind] ?? []) as readonly object[])
        rows[kind]!.push({ id: `${kind}-${rows[kind]!.length}`, ...row, ...stored(row, id), consumer: { id } })
    }
  }
  return new FakeEntities(rows)
}
