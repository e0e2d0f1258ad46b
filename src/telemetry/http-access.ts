/** Access-log lines for servers of `node:http`: the Admin API and the status listener. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { AccessLog } from './access-log.ts'
import type { LoggedExchange, LoggedHeaders } from './logged-exchange.ts'

export interface HttpAccess {
  readonly log: AccessLog
  readonly newRequestId: () => string
  /** Unix time, ms. */
  readonly now: () => number
}

/** Writes a line when the response has ended or the client has gone. Call it before anything is answered. */
export function logAccess(access: HttpAccess, request: IncomingMessage, response: ServerResponse): void {
  const startedAtMs = access.now()
  const { socket } = request
  // The socket forgets its addresses when it is closed.
  const ends = {
    clientIp: socket.remoteAddress,
    clientPort: socket.remotePort,
    serverIp: socket.localAddress,
    serverPort: socket.localPort,
  }
  const [bytesRead, bytesWritten] = [socket.bytesRead, socket.bytesWritten]
  response.once('close', () => {
    const [rawPath, query] = splitOnce(request.url ?? '')
    const host = request.headers.host ?? ''
    access.log.write({
      ...UNROUTED,
      id: access.newRequestId(),
      startedAtMs,
      totalLatencyMs: Math.max(0, access.now() - startedAtMs),
      request: {
        method: request.method ?? '',
        rawPath,
        query,
        httpVersion: request.httpVersion,
        scheme: isTls(socket) ? 'https' : 'http',
        host: host.replace(/:\d*$/, ''),
        port: ends.serverPort ?? 0,
        clientIp: ends.clientIp ?? 'unix:',
        clientPort: ends.clientPort ?? 0,
        serverIp: ends.serverIp ?? '',
        serverPort: ends.serverPort ?? 0,
        headers: plainHeaders(request.headers),
        bytesReceived: Math.max(0, socket.bytesRead - bytesRead),
        tls: isTls(socket)
          ? { version: socket.getProtocol() ?? '', cipher: socket.getCipher()?.name ?? '', clientVerify: 'NONE' }
          : null,
      },
      response: {
        // 499 as nginx: the client left before there was an answer.
        status: response.headersSent ? response.statusCode : 499,
        headers: plainHeaders(response.getHeaders()),
        source: 'exit',
        bytesSent: Math.max(0, socket.bytesWritten - bytesWritten),
        headBytes: 0,
      },
    })
  })
}

/** A request to the Admin API as it says itself: the path without the query, and who asked. */
export interface AnsweredFacts {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly status: number
  readonly durationMs: number
  readonly address: string | undefined
  readonly actor: string | null
}

/** What the access log of the Admin API writes; the actor stands where traffic has the consumer. */
export function answeredEntry(facts: AnsweredFacts, endedAtMs: number): LoggedExchange {
  const nothing = plainHeaders({})
  return {
    ...UNROUTED,
    id: facts.id,
    startedAtMs: endedAtMs - facts.durationMs,
    totalLatencyMs: facts.durationMs,
    consumer: facts.actor === null ? null : { id: facts.actor },
    request: {
      method: facts.method,
      rawPath: facts.path,
      query: null,
      httpVersion: '1.1',
      scheme: 'http',
      host: '',
      port: 0,
      clientIp: facts.address ?? 'unix:',
      clientPort: 0,
      serverIp: '',
      serverPort: 0,
      headers: nothing,
      bytesReceived: 0,
      tls: null,
    },
    response: { status: facts.status, headers: nothing, source: 'exit', bytesSent: 0, headBytes: 0 },
  }
}

const UNROUTED = {
  upstream: { path: '' },
  upstreamStatus: 0,
  tries: [],
  proxyLatencyMs: -1,
  upstreamLatencyMs: -1,
  route: null,
  service: null,
  workspace: null,
  consumer: null,
  credential: null,
  error: null,
  logFields: null,
} as const satisfies Partial<LoggedExchange>

function isTls(socket: IncomingMessage['socket']): socket is TLSSocket {
  return 'getCipher' in socket
}

function splitOnce(target: string): [path: string, query: string | null] {
  const at = target.indexOf('?')
  return at < 0 ? [target, null] : [target.slice(0, at), target.slice(at + 1)]
}

function plainHeaders(
  headers: Readonly<Record<string, number | string | readonly string[] | undefined>>,
): LoggedHeaders {
  const entries = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, typeof value === 'number' ? String(value) : value] as const],
  )
  return {
    get(name) {
      const value = headers[name]
      return value === undefined ? null : typeof value === 'object' ? (value[0] ?? null) : String(value)
    },
    toObject: () => Object.fromEntries(entries),
  }
}
