/** How plugins reach HTTP servers of their own: connections that are kept, bounded in number and time, with names and authorities of the gateway. */
import type { LookupFunction } from 'node:net'
import type { Agent } from 'undici'

export interface HttpAgentOptions {
  /** For the head of an answer, and for each wait within its body. */
  readonly timeoutMs: number
  /** For a connection with its TLS. */
  readonly connectTimeoutMs: number
  /** To one server. */
  readonly connections: number
  /** How long a connection may idle. */
  readonly keepaliveMs: number
  readonly isVerified: boolean
  /** PEM of authorities; null for Node's own list. */
  readonly trusted: string | null
  readonly lookup: LookupFunction
}

export function tlsOptions({ isVerified, trusted }: Pick<HttpAgentOptions, 'isVerified' | 'trusted'>) {
  return { rejectUnauthorized: isVerified, ...(trusted !== null && { ca: trusted }) }
}

export function agentOptions(options: HttpAgentOptions): Agent.Options {
  const { timeoutMs, connectTimeoutMs, connections, lookup } = options
  const keepaliveMs = Math.max(1, options.keepaliveMs)
  return {
    connections,
    pipelining: 1,
    keepAliveTimeout: keepaliveMs,
    keepAliveMaxTimeout: keepaliveMs,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: connectTimeoutMs, lookup, ...tlsOptions(options) },
  }
}

/** Why a request failed, without anything of it: it may have secrets. */
export function requestFailure(error: unknown): string {
  const { code, name, message } = error as { code?: unknown; name: string; message: string }
  if (name === 'TimeoutError' || name === 'AbortError') return 'no answer in time'
  return typeof code === 'string' ? code : message
}
