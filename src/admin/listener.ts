/** Opens the sockets of the Admin API: plain or TLS, with the limits that node:http enforces by itself. */
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { isLoopbackAddress } from './guard.ts'
import type { AccessList } from './tokens.ts'

export interface AdminListener {
  /** An IP address with its port (0: any free one), or the path of a Unix socket. */
  readonly address: { readonly ip: string; readonly port: number } | { readonly path: string }
  readonly tls: AdminTls | null
}

export interface AdminTls {
  /** PEM: certificate chains, and their keys in the same order. */
  readonly cert: readonly string[]
  readonly key: readonly string[]
  /** PEM of the authorities that may sign client certificates (`admin_client_ca`); null asks clients for none. */
  readonly clientCa: string | null
}

export interface AdminLimits {
  /** Of a request body. A declarative file is one; so is the largest transaction of the store. */
  readonly bodyBytes: number
  readonly headerTimeoutMs: number
  readonly bodyTimeoutMs: number
  /** An endpoint that has not answered by then is given up with 504; longer than any `timeout` that an endpoint takes. */
  readonly answerTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly connections: number
}

export const DEFAULT_LIMITS: AdminLimits = {
  bodyBytes: 64 * 1024 * 1024,
  headerTimeoutMs: 10_000,
  bodyTimeoutMs: 60_000,
  answerTimeoutMs: 330_000,
  idleTimeoutMs: 75_000,
  connections: 1024,
}

/** Whether only this machine reaches it. */
export function isLoopbackListener({ address }: AdminListener): boolean {
  return 'path' in address || isLoopbackAddress(address.ip)
}

/** What keeps a listener from being opened, or null: beyond loopback somebody must be told apart from everybody. */
export function refusalOf(listener: AdminListener, access: AccessList): string | null {
  if (isLoopbackListener(listener) || access.hasTokens) return null
  if (listener.tls?.clientCa != null && access.hasSubjects) return null
  return `admin_listen ${nameOf(listener)}: bound beyond loopback it needs tokens (admin_token_file), or ssl with admin_client_ca and entries for client certificates in admin_token_file`
}

/** Listens; fails with the system's error (EADDRINUSE, EACCES ...). */
export async function listen(
  listener: AdminListener,
  limits: AdminLimits,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server> {
  const server = createNodeServer(listener, limits)
  server.on('request', onRequest)
  // The answer to `Expect: 100-continue` is the request's own: it may be a refusal.
  server.on('checkContinue', onRequest)
  server.maxConnections = limits.connections
  server.keepAliveTimeout = limits.idleTimeoutMs
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    const { address } = listener
    server.listen('path' in address ? { path: address.path } : { host: address.ip, port: address.port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return server
}

/** Throws when the certificates can't be used together. */
export function checkTls(tls: AdminTls): void {
  createSecureContext(secureOptions(tls))
}

/** Takes other certificates into use for the handshakes to come; whether clients are asked for one stays as it is. */
export function renewTls(server: Server, tls: AdminTls): void {
  if (server instanceof HttpsServer) server.setSecureContext(secureOptions(tls))
}

/** Stops listening, lets requests finish, and ends after the time what is left. */
export async function closeListener(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}

function createNodeServer({ tls }: AdminListener, limits: AdminLimits): Server {
  const http = {
    maxHeaderSize: 32 * 1024,
    headersTimeout: limits.headerTimeoutMs,
    // Header and body together.
    requestTimeout: limits.headerTimeoutMs + limits.bodyTimeoutMs,
    connectionsCheckingInterval: 5000,
    insecureHTTPParser: false,
  }
  if (tls === null) return createHttpServer(http)
  return createHttpsServer({
    ...http,
    ...secureOptions(tls),
    // A client without certificate may still have a token.
    ...(tls.clientCa === null ? {} : { requestCert: true, rejectUnauthorized: false }),
  })
}

function secureOptions({ cert, key, clientCa }: AdminTls): SecureContextOptions {
  return {
    cert: [...cert],
    key: [...key],
    minVersion: 'TLSv1.2',
    ...(clientCa === null ? {} : { ca: clientCa }),
  }
}

function nameOf({ address }: AdminListener): string {
  return 'path' in address
    ? `unix:${address.path}`
    : `${address.ip.includes(':') ? `[${address.ip}]` : address.ip}:${address.port}`
}
