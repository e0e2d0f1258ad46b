/**
 * One request with its response, from the first byte to the log record: the object that every phase works on.
 * Its shape is fixed (all fields are set in the constructor), so that the whole request path reads it at one speed.
 */
import type { X509Certificate } from 'node:crypto'
import type { StreamProtocol } from '#model/stream-protocols.ts'
import type { HeaderList } from '#http/header-list.ts'
import type { Consumer } from '#model/entities/consumer.ts'
import type { Route } from '#model/entities/route.ts'
import type { Service } from '#model/entities/service.ts'

/** What ends an exchange early: returned by a phase, acted on by the proxy. */
export interface Exit {
  readonly kind: 'exit'
  readonly status: number
  /** Bytes or text of the body; null for none. */
  readonly body: string | Buffer | null
  readonly contentType: string | null
  readonly headers: readonly (readonly [string, string])[]
  /** The message of an error, whose body is made by the `Accept` header; null when `body` is the answer. */
  readonly message: string | null
  /** The fields of an answer that an upstream gave earlier; null otherwise. The exchange takes them over, plugins change them. */
  readonly stored: HeaderList | null
}

export interface ExitOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Type of the body; without it an object is JSON and anything else goes without a type. Ignored by `fail`. */
  readonly contentType?: string
}

/** Who used a route, as an authentication plugin found out. */
export interface Credential {
  readonly id: string
  readonly [field: string]: unknown
}

export interface ConsumerGroup {
  readonly id: string
  readonly name: string
}

/** Reading and replacing the request's body; implemented by the proxy. */
export interface RequestBody {
  /** The whole body, or the reason why not: it is larger, or its client left, or it is passed on already. Each call answers the same bytes. */
  read(limitBytes: number): Promise<Buffer | { readonly error: 'too_large' | 'aborted' }>
  /**
   * Calls back with a copy of the body when all of it has come, or with why there is none: it is larger, or its client left. Nothing waits
   * for it, and it may never come: the exchange can end before the body does.
   */
  copy(limitBytes: number, done: (result: Buffer | { readonly error: 'too_large' | 'aborted' }) => void): void
  /** Sends these bytes instead (Content-Length follows); also where the request has no body. */
  replace(bytes: Buffer): void
  /** Refuses bodies over this size with 413 while they stream. */
  limit(limitBytes: number): void
  /** Whether the request has a body at all. */
  readonly exists: boolean
}

/** What a request can be sent to in place of its route's service. */
export type ChosenKind = 'service' | 'upstream' | 'origin'

/** Sends a request to another service than its route's, or once more; implemented by the proxy. */
export interface ServiceChooser {
  /**
   * From now on the request is for this service, or for the targets of this upstream with all else as the route's service has it: scheme,
   * host, path, time-outs are set anew, but a path that a plugin made stays. Route, plugins and `exchange.service` stay. By
   * name or id, in the route's workspace. An `origin` (`https://host:port`) is a server that no configuration names, asked with the
   * time-outs, retries and TLS of the route's service; such names come from configurations, as each is kept. False: there is none, or
   * no service, and nothing changes.
   */
  choose(kind: ChosenKind, nameOrId: string): boolean
  /**
   * Where a service of http or https would be asked for this request now, for plugins that ask it themselves; null where there is none,
   * or no target.
   * It counts for nothing in the balancer. Never rejects.
   */
  locate(nameOrId: string): ServicePlace | null | Promise<ServicePlace | null>
  /**
   * Asks what this request asks once more, for nobody (`hasClient` is false): a copy of the request as it is now goes through the access
   * phase from `plugin` on, to the service and back through the response phases down to `plugin`, of which alone the log phase runs. It
   * has nothing in `shared`, counts in no metric and no log of requests, and ends after `withinMs` at the latest. `begin` sees it first.
   * Call it from the access phase, before it has answered. False: nothing was begun, because the request has a body or the worker has
   * no room for more work.
   */
  repeat(plugin: string, withinMs: number, begin: (copy: Exchange) => void): boolean
}

export interface ServicePlace {
  /** Scheme, address and port. */
  readonly origin: string
  /** What stands in Host. */
  readonly hostHeader: string
  /** Without query. */
  readonly path: string
}

export interface TlsFacts {
  readonly version: string
  readonly cipher: string
  /** As nginx says it: NONE, SUCCESS, or FAILED with the reason. */
  readonly clientVerify: string
  /**
   * What the client showed when it was asked, its own first, then those by which that is signed, as it sent them; not verified unless
   * `clientVerify` says so. Empty where it showed none, or was not asked.
   */
  readonly clientCertificates: readonly X509Certificate[]
}

export class ClientRequest {
  method = ''
  /** Path of the target as received, without the query. */
  rawPath = ''
  /** Normalised path (RFC 3986 6.2.2), what routes match. */
  path = ''
  /** Query without '?'; null when there is none. What plugins set is what the upstream gets. */
  query: string | null = null
  httpVersion: '1.0' | '1.1' | '2' = '1.1'
  scheme: 'http' | 'https' = 'http'
  /** Host header without port. */
  host = ''
  /** Host header as received. */
  hostHeader = ''
  /** Port of the Host header, else of the listener. */
  port = 0
  hasHostPort = false
  listenerPort = 0
  headers: HeaderList
  sni: string | null = null
  /** Address of the connecting peer. */
  peerIp = ''
  peerPort = 0
  /** Who knows the address on our side; asking the system for it costs a call, which few requests need. */
  serverSide: { readonly serverIp: string } | null = null
  get serverIp(): string {
    return (this.#serverIp ??= this.serverSide?.serverIp ?? '')
  }
  set serverIp(ip: string) {
    this.#serverIp = ip
  }
  #serverIp: string | null = null
  serverPort = 0
  /** Address of the client after trusted_ips and real_ip_header. */
  clientIp = ''
  clientPort = 0
  /** Serial number of the client's connection, unique in this process, and of this request on it, from 1. */
  connectionSerial = 0
  connectionRequests = 0
  /** Whether the peer is inside trusted_ips, so that its X-Forwarded-* count. */
  isTrusted = false
  body: RequestBody
  /** Bytes received, head included. */
  bytesReceived = 0
  /** What the TLS handshake agreed on; null without TLS. For logs. */
  tls: TlsFacts | null = null

  constructor(headers: HeaderList, body: RequestBody) {
    this.headers = headers
    this.body = body
  }
}

/** What is sent to the upstream, where it differs from the request. */
export class UpstreamRequest {
  /** The method that it gets; '' for the client's. */
  method = ''
  scheme: 'http' | 'https' | 'grpc' | 'grpcs' = 'http'
  host = ''
  port = 0
  /** Path with which the upstream is asked, without query. */
  path = ''
  /** The Host header that it gets; '' lets the balancer decide (name of the target or of the service). */
  hostHeader = ''
  retries = 0
  connectTimeoutMs = 0
  writeTimeoutMs = 0
  readTimeoutMs = 0
  /** The prefix that strip_path took off, for X-Forwarded-Prefix; null for none. */
  strippedPrefix: string | null = null
  /** No target could be chosen: the answer is the gateway's, and no plugin's. */
  isUnreachable = false
}

/** The parts of an `Exit`, or of an error that no plugin made, that say what it tells. */
export type MadeAnswer = Pick<Exit, 'message' | 'body' | 'contentType' | 'stored'>

export class ClientResponse {
  status = 0
  headers: HeaderList
  /** Who made it: the upstream, a plugin or the gateway itself ('exit'), or a failure ('error'). */
  source: 'service' | 'exit' | 'error' = 'service'
  /** Set by the phase of response headers: goes to the client with `headers`, which an upstream made earlier, instead of what came. */
  replacement: Buffer | null = null
  /** What a plugin or the gateway answers itself, before it has a form; null for a response of the upstream. */
  made: MadeAnswer | null = null
  /** Bytes sent to the client, head included. */
  bytesSent = 0
  /** Of those, the head. */
  headBytes = 0
  /** Set by a plugin: the gateway does not add a `Server` field of its own. */
  hidesServer = false
  constructor(headers: HeaderList) {
    this.headers = headers
  }
}

/** One attempt to reach a target. */
export interface Try {
  readonly ip: string
  readonly port: number
  readonly startedAtMs: number
  latencyMs: number
  state: '' | 'failed' | 'next'
  code: number
}

/** How long a plugin took in a phase; `performance.now()`, ms. */
export interface PhaseTime {
  readonly phase: 'rewrite' | 'access' | 'header_filter'
  readonly plugin: string
  readonly startMs: number
  readonly endMs: number
}

export class Exchange {
  /** 32 lower-case hex characters: in X-Kong-Request-Id, error bodies and logs. */
  readonly id: string
  /** Unix time of the first byte, ms. */
  readonly startedAtMs: number
  readonly request: ClientRequest
  readonly response: ClientResponse
  readonly upstream: UpstreamRequest
  route: Route | null = null
  service: Service | null = null
  /** By which plugins of the access phase send the request elsewhere; null where there is no proxy. */
  chooser: ServiceChooser | null = null
  /** False: a plugin repeats the request of another exchange (`ServiceChooser.repeat`), and nobody gets the answer. */
  hasClient = true
  /** The workspace of the route; null when none matched. For logs and metrics. */
  workspace: { readonly id: string; readonly name: string } | null = null
  matchedPath: string | null = null
  captures: { readonly named: Readonly<Record<string, string>>; readonly unnamed: readonly string[] } | null = null
  consumer: Consumer | null = null
  consumerGroups: readonly ConsumerGroup[] = []
  credential: Credential | null = null
  /** Values that plugins of this exchange pass to each other. */
  get shared(): Map<string, unknown> {
    return (this.#shared ??= new Map<string, unknown>())
  }
  #shared: Map<string, unknown> | null = null
  /** Of a session of TCP, TLS or UDP what it is; null for HTTP. */
  sessionProtocol: StreamProtocol | null = null
  /** What `shared` has under a name; does not make the map. */
  recall(name: string): unknown {
    return this.#shared === null ? undefined : this.#shared.get(name)
  }
  /** Status that the upstream answered; 0 before or without. */
  upstreamStatus = 0
  tries: Try[] = []
  /** Milliseconds: before the request went to the upstream, waiting for its head, until the last byte. -1 when not reached. */
  proxyLatencyMs = -1
  upstreamLatencyMs = -1
  totalLatencyMs = -1
  error: Error | null = null
  /** How long each plugin took, in order; null unless one of them tells of that (`timesPhases`). */
  phaseTimes: PhaseTime[] | null = null
  /** Fields that plugins add to the log record, by name; null while there are none. */
  logFields: Record<string, unknown> | null = null

  constructor(id: string, startedAtMs: number, request: ClientRequest, response: ClientResponse) {
    this.id = id
    this.startedAtMs = startedAtMs
    this.request = request
    this.response = response
    this.upstream = new UpstreamRequest()
  }

  /** The moment at which the exchange began, for time-dependent decisions. */
  get now(): number {
    return this.startedAtMs
  }

  /** Answers now. An object becomes compact JSON; a text stays as it is. Header and log phases still run. */
  exit(status: number, body?: string | Buffer | object | null, options?: ExitOptions): Exit {
    const isJson = body !== null && body !== undefined && typeof body === 'object' && !Buffer.isBuffer(body)
    return {
      kind: 'exit',
      status,
      body: isJson ? JSON.stringify(body) : (body ?? null),
      contentType: options?.contentType ?? (isJson ? 'application/json; charset=utf-8' : null),
      headers: options?.headers ? Object.entries(options.headers) : [],
      message: null,
      stored: null,
    }
  }

  /** Answers with an error whose body follows the client's `Accept` and carries the request id. */
  fail(status: number, message: string, options?: ExitOptions): Exit {
    return {
      kind: 'exit',
      status,
      body: null,
      contentType: null,
      headers: options?.headers ? Object.entries(options.headers) : [],
      message,
      stored: null,
    }
  }

  /** Answers with a response that an upstream gave earlier: `Via` goes along, and its own `Date`. */
  replay(status: number, body: Buffer | null, stored: HeaderList): Exit {
    return { kind: 'exit', status, body, contentType: null, headers: NO_FIELDS, message: null, stored }
  }

  /** Says who the client is; later plugins then run with this consumer's configuration. */
  authenticate(consumer: Consumer | null, credential: Credential | null): void {
    this.consumer = consumer
    this.credential = credential
  }
}

const NO_FIELDS: Exit['headers'] = []
