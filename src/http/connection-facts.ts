/** What a client's connection is given when it is accepted. */
import type { X509Certificate } from 'node:crypto'
import type { ProxiedAddresses } from './proxy-header.ts'
import type { HeadLimits } from './request-head.ts'

export interface ServerLimits extends HeadLimits {
  /** Time for a whole head, from its first byte. */
  readonly headTimeoutMs: number
  /** Time between two reads of a body. */
  readonly bodyTimeoutMs: number
  /** Time between two successful writes to a client that does not read. */
  readonly sendTimeoutMs: number
  /** Time that an idle connection is kept. */
  readonly idleTimeoutMs: number
  /** Requests after which a connection is closed (bounds what one connection can pin). */
  readonly requestsPerConnection: number
}

export interface ClientLimits extends ServerLimits {
  /** Requests that a client may have under way on one connection of HTTP/2. */
  readonly concurrentStreams: number
}

/** What is known about a connection when it is accepted. */
export interface ConnectionFacts {
  readonly isTls: boolean
  readonly sni: string | null
  readonly tls: TlsFacts | null
  readonly serverPort: number
  readonly serial: number
  /** What the PROXY protocol says; null where it says nothing or is not spoken. */
  readonly proxied: ProxiedAddresses | null
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

/** IPv4 addresses that a dual-stack socket shows as ::ffff:a.b.c.d, in their plain form. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
