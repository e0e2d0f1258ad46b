/**
 * The status listener: `/status`, `/status/ready` and `/metrics`, for load balancers and monitoring. It asks for no token, shows no
 * configuration, and changes nothing but, on loopback, the node's own readiness (`POST /status/ready`).
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { EXPOSITION_CONTENT_TYPE } from '#telemetry/exposition.ts'
import { logAccess, type HttpAccess } from '#telemetry/http-access.ts'
import { type Answer, answerMessage, METHOD_NOT_ALLOWED, NO_CONTENT, NOT_FOUND } from './answer.ts'
import { readBody } from './body.ts'
import type { AdminRequest, Endpoint, Handler } from './endpoint.ts'
import { unexpected } from './fail.ts'
import { checkArrival } from './guard.ts'
import { informationEndpoints } from './information.ts'
import {
  type AdminLimits,
  type AdminListener,
  type AdminTls,
  closeListener,
  DEFAULT_LIMITS,
  isLoopbackListener,
  listen,
  renewTls,
} from './listener.ts'
import type { AdminPorts } from './ports.ts'
import { parseQuery } from './query.ts'

export type Readiness = { readonly isReady: true } | { readonly isReady: false; readonly reason: string }

export interface StatusServerOptions extends AdminPorts {
  readonly listeners: readonly AdminListener[]
  /** Whether the node takes traffic now, and why not: 'draining', 'configuration is being loaded' ... */
  readonly readiness: () => Readiness
  /** Makes `readiness` say 'draining' until the node ends; everything is still served. */
  readonly startDraining: () => void
  /** The page /metrics in pieces. */
  readonly metricsPage: () => AsyncIterable<string>
  /** Null when `status_access_log` is off. */
  readonly access: HttpAccess | null
  readonly limits?: Partial<AdminLimits>
}

export interface StatusServer {
  /** Where it listens, in the order of the listeners; a Unix socket is its path. */
  readonly addresses: readonly (AddressInfo | string)[]
  /** Takes other certificates into use for the handshakes to come. */
  renewTls(tls: AdminTls): void
  close(graceMs?: number): Promise<void>
}

/** Pages of metrics that are written at a time: each may have megabytes. */
const MAX_SCRAPES = 4
/** A client that stops reading its page must not keep the place of another. */
const SCRAPE_IDLE_MS = 10_000
const CLOSE_GRACE_MS = 1000
/** The only body that is taken is `{"status":"draining"}`. */
const BODY_LIMITS = { limitBytes: 1024, timeoutMs: 5000 }

/** Opens every listener or none; fails with the system's error. */
export async function openStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const status = informationEndpoints(options, () => []).find(({ path }) => path === '/status')!.methods.GET!.handler
  const node: Node = { options, status, scrapes: 0 }
  const servers: Server[] = []
  try {
    for (const listener of options.listeners) {
      const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
        if (options.access !== null) logAccess(options.access, request, response)
        respond(node, listener, request, response).catch((error: unknown) => {
          options.log.error({ err: error, path: request.url }, 'status answer could not be written')
          response.destroy()
        })
      }
      servers.push(await listen(listener, limits, onRequest))
    }
  } catch (error) {
    await Promise.all(servers.map((server) => closeListener(server, 0)))
    throw error
  }
  return {
    addresses: servers.map((server) => server.address()!),
    renewTls: (tls) => servers.forEach((server) => renewTls(server, tls)),
    close: async (graceMs = CLOSE_GRACE_MS) => {
      await Promise.all(servers.map((server) => closeListener(server, graceMs)))
    },
  }
}

/** `/metrics` as an endpoint of the Admin API, where Kong has it, too. */
export function metricsEndpoint(page: () => AsyncIterable<string>): Endpoint {
  return {
    path: '/metrics',
    methods: {
      GET: {
        handler: async () => ({ status: 200, body: { text: await joined(page()), type: EXPOSITION_CONTENT_TYPE } }),
        about: 'Figures of this node in the text format of Prometheus.',
        role: 'viewer',
        answers: { 200: { text: 'text/plain' } },
      },
    },
  }
}

async function joined(pieces: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

interface Node {
  readonly options: StatusServerOptions
  readonly status: Handler
  scrapes: number
}

async function respond(
  node: Node,
  listener: AdminListener,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path = '', query = ''] = (request.url ?? '/').split('?', 2)
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  if (path === '/metrics' && isRead) return await writeMetrics(node, request, response)
  let answer: Answer
  try {
    if (path === '/status/ready' && request.method === 'POST') answer = await drain(node, listener, request)
    else if (path !== '/status' && path !== '/status/ready') answer = NOT_FOUND
    else if (!isRead) answer = METHOD_NOT_ALLOWED
    else answer = path === '/status' ? await node.status(statusRequest(node, request, query)) : ready(node)
  } catch (error) {
    answer = unexpected(error, node.options.log, { method: request.method, path })
  }
  write(request, response, answer)
}

function ready({ options }: Node): Answer {
  const readiness = options.readiness()
  return readiness.isReady ? answerMessage(200, 'ready') : answerMessage(503, readiness.reason)
}

/** Kong's way to take a node out of its load balancer. Not from other machines, and not by a page in a browser: it needs no token. */
async function drain({ options }: Node, listener: AdminListener, request: IncomingMessage): Promise<Answer> {
  if (!isLoopbackListener(listener)) return METHOD_NOT_ALLOWED
  const arrival = { headers: request.headers, localAddress: request.socket.localAddress, isTls: listener.tls !== null }
  const verdict = checkArrival(arrival, { origins: [], hosts: [] })
  if (!verdict.ok) return answerMessage(403, verdict.message)
  const read = await readBody(request, BODY_LIMITS, false)
  if (!read.ok) return read.answer
  const value: unknown = read.body.type === 'json' ? read.body.value : null
  const wanted =
    typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)['status'] : undefined
  if (wanted !== 'draining') return answerMessage(400, 'status: expected draining')
  options.startDraining()
  return NO_CONTENT
}

function statusRequest({ options }: Node, request: IncomingMessage, query: string): AdminRequest {
  return {
    id: '',
    method: 'GET',
    parameters: {},
    rawParameters: {},
    query: parseQuery(query),
    headers: request.headers,
    body: { type: 'none' },
    workspace: options.node.defaultWorkspace,
    origin: { actor: 'status', via: 'status' },
    role: 'viewer',
    atMs: options.nowMs(),
  }
}

async function writeMetrics(node: Node, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (node.scrapes >= MAX_SCRAPES)
    return write(request, response, answerMessage(503, 'too many requests for metrics at a time'))
  node.scrapes++
  try {
    const pages = node.options.metricsPage()
    response.setTimeout(SCRAPE_IDLE_MS, () => response.destroy())
    response.setHeader('Content-Type', EXPOSITION_CONTENT_TYPE)
    response.setHeader('Cache-Control', 'no-store')
    if (request.method === 'GET') {
      for await (const piece of pages) {
        if (response.destroyed) return
        if (!response.write(piece)) await drained(response)
      }
    }
    response.end()
  } finally {
    node.scrapes--
  }
}

/** Until the client has read, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.once('drain', done)
    response.once('close', done)
  })
}

function write(request: IncomingMessage, response: ServerResponse, { status, headers = {}, body }: Answer): void {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  const text = body === null ? '' : 'json' in body ? JSON.stringify(body.json) : body.text
  if (body !== null) response.setHeader('Content-Type', 'json' in body ? 'application/json; charset=utf-8' : body.type)
  if (status !== 204) response.setHeader('Content-Length', Buffer.byteLength(text))
  // What of a body was not read would be taken for the next request.
  if (!request.complete) response.setHeader('Connection', 'close')
  response.end(request.method === 'HEAD' ? undefined : text)
}
