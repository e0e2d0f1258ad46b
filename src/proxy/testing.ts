/** Heads as they come over the wire, and the settings and connection that the heads which are written depend on. */
import assert from 'node:assert/strict'
import { RequestHead, parseRequestHead } from '#http/request-head.ts'
import { ResponseHead, parseResponseHead } from '#http/response-head.ts'
import type { ClientSide } from '#http/client-side.ts'
import type { Exchange } from '#pdk/exchange.ts'
import { createClientTrust } from './client-trust.ts'
import { newExchange } from './read-request.ts'
import { AbsentBody } from './request-body.ts'
import type { ProxySettings } from './settings.ts'
import type { WorkerContext } from './worker-context.ts'

export const REQUEST_ID = '0123456789abcdef0123456789abcdef'

/** Kong's defaults, with these changes. */
export function someSettings(changes: Partial<ProxySettings['headers']> = {}): ProxySettings {
  return {
    headers: {
      via: true,
      server: true,
      proxyLatency: true,
      upstreamLatency: true,
      responseLatency: true,
      upstreamStatus: false,
      requestId: true,
      requestIdUpstream: true,
      ...changes,
    },
    portMaps: new Map([[8000, 80]]),
    product: 'meridian/1',
    viaLines: ['Via: 1.0 meridian/1\r\n', 'Via: 1.1 meridian/1\r\n'],
    allowDebugHeader: false,
  } as Partial<ProxySettings> as ProxySettings
}

export function someConnection(): ClientSide {
  return {
    isTls: false,
    sni: null,
    tls: null,
    peerIp: '10.0.0.9',
    peerPort: 50000,
    serverPort: 8000,
    serial: 1,
    proxied: null,
    requests: 1,
    note: null,
    hostOf: (text: string) => ({ host: text.split(':')[0]!, port: Number(text.split(':')[1] ?? 0) }),
  } as Partial<ClientSide> as ClientSide
}

/** A request with these lines after the request line. */
export function requestHead(line: string, ...fields: string[]): RequestHead {
  const bytes = Buffer.from([line, ...fields, '', ''].join('\r\n'), 'latin1')
  const limits = { requestLineBytes: 8192, headBytes: 32768, fields: 100 }
  const head = parseRequestHead(bytes, 0, bytes.length, limits)
  assert.ok(head instanceof RequestHead, JSON.stringify(head))
  return head
}

/** A response with these lines after the status line. */
export function responseHead(line: string, ...fields: string[]): ResponseHead {
  const bytes = Buffer.from([line, ...fields, '', ''].join('\r\n'), 'latin1')
  const head = parseResponseHead(bytes, 0, bytes.length, 'GET', 100)
  assert.ok(head instanceof ResponseHead, JSON.stringify(head))
  return head
}

/** The exchange that such a request begins. `isTrusted`: the peer is in `trusted_ips`. */
export function exchangeOf(head: RequestHead, connection: ClientSide, isTrusted = false): Exchange {
  const worker = {
    settings: someSettings(),
    trust: createClientTrust({
      trustedIps: isTrusted ? ['10.0.0.0/8'] : [],
      realIpHeader: 'X-Real-IP',
      realIpRecursive: false,
    }),
    newRequestId: () => REQUEST_ID,
  } as Partial<WorkerContext> as WorkerContext
  const exchange = newExchange(worker, connection, head, new AbsentBody(), 0)
  exchange.upstream.path = head.rawPath
  return exchange
}
