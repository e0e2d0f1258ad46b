/**
 * Keeps web pages away. An Admin API on loopback is reachable by every page that a browser on the same machine has open:
 * a form POST needs no CORS, and a name that resolves to 127.0.0.1 (DNS rebinding) makes a page same-origin. So a request is
 * refused when it says that it comes from a page (`Origin`, `Sec-Fetch-Site`) that is not configured, or when it was sent to
 * a host name that is not ours. Programs such as curl and decK send none of these.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

export interface GuardSettings {
  /** Origins of `admin_gui_url`: pages that may call. */
  readonly origins: readonly string[]
  /** Names besides loopback and the listener's own address by which the Admin API is reached (`admin_hosts`). */
  readonly hosts: readonly string[]
}

export interface Arrival {
  readonly headers: IncomingHttpHeaders
  /** The address on our side of the connection; undefined on a Unix socket. */
  readonly localAddress: string | undefined
  readonly isTls: boolean
}

export type Verdict =
  /** `corsOrigin`: the page that may read the answer. */
  { readonly ok: true; readonly corsOrigin: string | null } | { readonly ok: false; readonly message: string }

export function checkArrival({ headers, localAddress, isTls }: Arrival, { origins, hosts }: GuardSettings): Verdict {
  const host = headers.host
  const name = host === undefined ? null : hostName(host)
  // HTTP/1.0 without Host is no browser; node:http refuses 1.1 without it.
  if (name === '' || (name !== null && !isOurs(name, localAddress, hosts))) {
    return refused(`the Host header names neither loopback nor a name of admin_hosts: '${(host ?? '').slice(0, 200)}'`)
  }
  const origin = headers.origin
  if (origin !== undefined) {
    const isAllowed = origins.includes(origin) || isSameLoopback(origin, host, name, isTls)
    if (!isAllowed)
      return refused(`the Origin header names a page that is not in admin_gui_url: '${origin.slice(0, 200)}'`)
    return { ok: true, corsOrigin: origin }
  }
  if (headers['sec-fetch-site'] === 'cross-site')
    return refused('the request comes from a page of another site (Sec-Fetch-Site: cross-site)')
  return { ok: true, corsOrigin: null }
}

/** Whether an address is reached from this machine only; a Unix socket has none. */
export function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return true
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'))
}

/** The name in a Host header, lower-case, without port and brackets; '' when it is malformed. */
export function hostName(host: string): string {
  const bracketed = /^\[([0-9a-fA-F:.]+)\](?::\d{1,5})?$/.exec(host)
  if (bracketed !== null) return isIP(bracketed[1]!) === 6 ? bracketed[1]!.toLowerCase() : ''
  const plain = /^([A-Za-z0-9._-]+)(?::\d{1,5})?$/.exec(host)
  return plain === null ? '' : plain[1]!.toLowerCase().replace(/\.$/, '')
}

function isOurs(name: string, localAddress: string | undefined, hosts: readonly string[]): boolean {
  return isLoopbackName(name) || hosts.includes(name) || name === plainAddress(localAddress)
}

function isLoopbackName(name: string): boolean {
  return name === 'localhost' || (isIP(name) !== 0 && isLoopbackAddress(name))
}

// A page that this very listener served (same scheme, name and port) may call, but only under a loopback name: that one can't be rebound.
function isSameLoopback(origin: string, host: string | undefined, name: string | null, isTls: boolean): boolean {
  return name !== null && isLoopbackName(name) && origin === `${isTls ? 'https' : 'http'}://${host}`
}

function plainAddress(address: string | undefined): string | undefined {
  return address?.startsWith('::ffff:') === true ? address.slice(7) : address
}

function refused(reason: string): Verdict {
  return { ok: false, message: `Forbidden: ${reason}` }
}
