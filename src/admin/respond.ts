/**
 * The way of one request through the Admin API: guard, routing, authentication, role, body, endpoint, answer. It runs on the
 * main thread and on node:http; nothing of it is on the path of traffic.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { type Answer, answerMessage, METHOD_NOT_ALLOWED, NOT_FOUND, withHeaders } from './answer.ts'
import { authenticate } from './authenticate.ts'
import { type BodyResult, readBody } from './body.ts'
import { type AdminRequest, allowedMethods, type Endpoint, type Method, type Operation } from './endpoint.ts'
import { type ErrorLog, unexpected } from './fail.ts'
import { checkArrival, type GuardSettings } from './guard.ts'
import { type AdminLimits, type AdminListener, isLoopbackListener } from './listener.ts'
import { decodeSegments } from './path-segment.ts'
import { parseQuery } from './query.ts'
import { createRoutingTable, type PathMatch, type RoutingTable, splitPath } from './routing-table.ts'
import { type AccessList, isAtLeast, type Principal } from './tokens.ts'

export interface ResponderOptions {
  readonly endpoints: readonly Endpoint[]
  /** The answer for a parameter of the path that is not UTF-8. */
  readonly invalidSegment: (parameter: string, position: number) => Answer
  readonly guard: GuardSettings
  readonly access: AccessList
  readonly limits: AdminLimits
  /** The `Server` header. */
  readonly serverName: string
  /** The id of a workspace, null when there is none of that name or id. */
  readonly workspaceId: (nameOrId: string) => Promise<string | null>
  readonly defaultWorkspace: string
  readonly requestId: () => string
  readonly nowMs: () => number
  readonly log: ErrorLog
  /** The access log of the Admin API: one record for each answer. */
  readonly onAnswered: (record: AnsweredRequest) => void
}

export interface AnsweredRequest {
  readonly id: string
  readonly method: string
  /** Without the query, which may hold what is nobody's business. */
  readonly path: string
  readonly status: number
  readonly durationMs: number
  readonly address: string | undefined
  readonly actor: string | null
}

export type Respond = (request: IncomingMessage, response: ServerResponse, listener: AdminListener) => void

export function createResponder(options: ResponderOptions): Respond {
  const table = createRoutingTable(options.endpoints)
  return (request, response, listener) => {
    const exchange: Exchange = {
      options,
      table,
      listener,
      request,
      id: options.requestId(),
      startedMs: performance.now(),
      response,
      principal: null,
      corsOrigin: null,
    }
    const deadline = answerAfter(options.limits.answerTimeoutMs)
    Promise.race([answer(exchange), deadline.answer])
      .catch((error: unknown) =>
        unexpected(error, options.log, {
          requestId: exchange.id,
          method: request.method,
          path: targetOf(request).path,
        }),
      )
      .then((answered) => {
        deadline.clear()
        write(exchange, response, answered)
      })
      .catch((error: unknown) => {
        options.log.error({ err: error, requestId: exchange.id }, 'admin answer could not be written')
        response.destroy()
      })
  }
}

interface Exchange {
  readonly options: ResponderOptions
  readonly table: RoutingTable
  readonly listener: AdminListener
  readonly request: IncomingMessage
  readonly id: string
  readonly startedMs: number
  readonly response: ServerResponse
  principal: Principal | null
  corsOrigin: string | null
}

async function answer(exchange: Exchange): Promise<Answer> {
  const { request, options, listener } = exchange
  const arrival = { headers: request.headers, localAddress: request.socket.localAddress, isTls: listener.tls !== null }
  const verdict = checkArrival(arrival, options.guard)
  if (!verdict.ok) return answerMessage(403, verdict.message)
  exchange.corsOrigin = verdict.corsOrigin
  const target = targetOf(request)
  const segments = splitPath(target.path)
  // Preflight requests carry no credentials, and what they are told is no secret.
  if (request.method === 'OPTIONS') return answerOptions(exchange, segments)
  const authentication = authenticate(
    { headers: request.headers, isLoopbackListener: isLoopbackListener(listener), subject: subjectOf(request) },
    options.access,
    options.nowMs(),
  )
  if (!authentication.ok) return authentication.answer
  exchange.principal = authentication.principal
  const found = segments === null ? null : await findEndpoint(exchange, segments)
  if (found === null) return NOT_FOUND
  const operation = operationOf(found.match.endpoint, request.method)
  if (operation === null) return METHOD_NOT_ALLOWED
  const { name, role } = authentication.principal
  if (!isAtLeast(role, operation.role))
    return answerMessage(403, `Forbidden: expected the role ${operation.role}, '${name}' has ${role}`)
  return await call(exchange, found, operation, authentication.principal, target.query)
}

async function call(
  exchange: Exchange,
  { match, workspace }: Found,
  operation: Operation,
  principal: Principal,
  query: string,
): Promise<Answer> {
  const { request, options, id } = exchange
  const parameters = decodeSegments(match.parameters)
  if (!parameters.ok) return options.invalidSegment(parameters.parameter, parameters.position)
  const method = request.method === 'HEAD' ? 'GET' : (request.method as Method)
  const read = await readBodyOf(exchange, method, match.endpoint)
  if (!read.ok) return read.answer
  const address = request.socket.remoteAddress
  const admin: AdminRequest = {
    id,
    method,
    parameters: parameters.values,
    rawParameters: match.parameters,
    query: parseQuery(query),
    headers: request.headers,
    body: read.body,
    workspace,
    origin: { actor: principal.name, via: 'admin', requestId: id, ...(address === undefined ? {} : { address }) },
    role: principal.role,
    atMs: options.nowMs(),
  }
  return await operation.handler(admin)
}

async function readBodyOf(
  { request, response, options }: Exchange,
  method: Method,
  endpoint: Endpoint,
): Promise<BodyResult> {
  if (method === 'GET' || method === 'DELETE') return { ok: true, body: { type: 'none' } }
  // Only now: who may not write is refused before the body is sent.
  if (request.headers.expect !== undefined) response.writeContinue()
  const limits = { limitBytes: options.limits.bodyBytes, timeoutMs: options.limits.bodyTimeoutMs }
  return await readBody(request, limits, endpoint.takesYaml === true)
}

interface Found {
  readonly match: PathMatch
  readonly workspace: string
}

// An endpoint's own path wins over a workspace of the same name: such names are refused for workspaces.
async function findEndpoint({ table, options }: Exchange, segments: readonly string[]): Promise<Found | null> {
  const match = table.match(segments)
  if (match !== null) return { match, workspace: options.defaultWorkspace }
  const within = matchInWorkspace(table, segments)
  const name = within === null ? null : decodeSegments({ workspace: segments[0]! })
  const workspace = name?.ok === true ? await options.workspaceId(name.values['workspace']!) : null
  return within === null || workspace === null ? null : { match: within, workspace }
}

function matchInWorkspace(table: RoutingTable, segments: readonly string[]): PathMatch | null {
  const match = segments.length < 2 ? null : table.match(segments.slice(1))
  return match?.endpoint.isInWorkspace === true ? match : null
}

function operationOf(endpoint: Endpoint, method: string | undefined): Operation | null {
  const name = (method === 'HEAD' ? 'GET' : method) as Method
  return Object.hasOwn(endpoint.methods, name) ? (endpoint.methods[name] ?? null) : null
}

function answerOptions({ request, table }: Exchange, segments: readonly string[] | null): Answer {
  // Whether there is a workspace of that name is not told here.
  const match = segments === null ? null : (table.match(segments) ?? matchInWorkspace(table, segments))
  if (match === null) return NOT_FOUND
  const methods = allowedMethods(match.endpoint).join(', ')
  const headers = request.headers['access-control-request-headers'] ?? 'Content-Type'
  return {
    status: 204,
    headers: { Allow: methods, 'Access-Control-Allow-Methods': methods, 'Access-Control-Allow-Headers': headers },
    body: null,
  }
}

function write(
  { options, request, id, corsOrigin, principal, startedMs }: Exchange,
  response: ServerResponse,
  answered: Answer,
): void {
  const durationMs = performance.now() - startedMs
  const full = withHeaders(answered, {
    'X-Kong-Admin-Latency': String(Math.round(durationMs)),
    'X-Kong-Request-Id': id,
    Server: options.serverName,
    ...(isBrowser(request) ? FOR_BROWSERS : {}),
    ...(corsOrigin === null
      ? {}
      : {
          'Access-Control-Allow-Origin': corsOrigin,
          'Access-Control-Allow-Credentials': 'true',
          Vary: 'Origin',
        }),
  })
  const body = bytesOf(full)
  response.statusCode = full.status
  for (const [name, value] of Object.entries(full.headers ?? {})) response.setHeader(name, value)
  if (body !== null) response.setHeader('Content-Type', body.type)
  if (full.status !== 204 && full.status !== 304) response.setHeader('Content-Length', body?.bytes.length ?? 0)
  // What of a body was not read is discarded by node:http, unless it is more than anybody should send.
  if (!request.complete && (full.status === 408 || full.status === 413)) response.setHeader('Connection', 'close')
  response.end(request.method === 'HEAD' || body === null ? undefined : body.bytes)
  const { path } = targetOf(request)
  options.onAnswered({
    id,
    method: request.method ?? '',
    path,
    status: full.status,
    durationMs,
    address: request.socket.remoteAddress,
    actor: principal?.name ?? null,
  })
}

// What is answered is configuration with secrets: nothing for a cache on disk, and never a page.
const FOR_BROWSERS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }

function isBrowser({ headers }: IncomingMessage): boolean {
  return headers['sec-fetch-site'] !== undefined || headers.origin !== undefined
}

function bytesOf({ body }: Answer): { readonly bytes: Buffer; readonly type: string } | null {
  if (body === null) return null
  return 'json' in body
    ? { bytes: Buffer.from(JSON.stringify(body.json)), type: 'application/json; charset=utf-8' }
    : { bytes: Buffer.from(body.text), type: body.type }
}

function answerAfter(timeoutMs: number): { readonly answer: Promise<Answer>; clear(): void } {
  let timer: NodeJS.Timeout
  const late = new Promise<Answer>((resolve) => {
    timer = setTimeout(() => resolve(answerMessage(504, `No answer within ${timeoutMs} ms`)), timeoutMs)
  })
  return { answer: late, clear: () => clearTimeout(timer) }
}

// Only a certificate that the listener's authorities signed says who somebody is.
function subjectOf(request: IncomingMessage): string | null {
  const socket = request.socket as Partial<TLSSocket>
  if (socket.authorized !== true || socket.getPeerCertificate === undefined) return null
  const name: unknown = socket.getPeerCertificate().subject?.CN
  return typeof name === 'string' ? name : null
}

function targetOf(request: IncomingMessage): { readonly path: string; readonly query: string } {
  const target = request.url ?? '/'
  const at = target.indexOf('?')
  return at < 0 ? { path: target, query: '' } : { path: target.slice(0, at), query: target.slice(at + 1) }
}
