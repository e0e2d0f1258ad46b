/** The kinds of work that are measured: what is sent, what has to come back, and how both proxies are set up for it. */
import type { LimitId } from '../limits.ts'
import { LARGE_BODY, PASS, SMALL_BODY, type Certificate } from '../support/subjects.ts'
import type { LoadRequest } from '../support/wrk.ts'

export interface Work {
  readonly id: LimitId
  /** In one round. */
  readonly requests: number
  readonly request: LoadRequest
  readonly expectedBody: string
  readonly isTls?: boolean
  /** Whether each request has a connection of its own. */
  readonly isConnectionEach?: boolean
  /** Server blocks of the reference; by default it passes everything on. */
  readonly servers?: readonly string[]
  /** Lines of the reference's http block, given its folder. */
  readonly reference?: (prefix: string) => string
  /** Whether answers come from the gateway's memory after the first. */
  readonly isStored?: boolean
  /** What the gateway has besides a service for the upstream: routes (by default one for all) and plugins. */
  readonly routes?: readonly object[]
  readonly plugins?: readonly object[]
  readonly consumers?: readonly object[]
}

const get = (path = '/', headers: Record<string, string> = {}): LoadRequest => ({
  method: 'GET',
  headers,
  targets: [{ path }],
})

const HOSTS = 10
const ROUTES = 1_000
const hostOf = (n: number) => `host-${n % HOSTS}.example.test`
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

const KEY = 'a-key-of-usual-length-0123456789'
const consumers = [{ username: 'somebody', keyauth_credentials: [{ key: KEY }], acls: [{ group: 'readers' }] }]
const keyAuth = { name: 'key-auth', config: { hide_credentials: true } }
/** High enough that nothing is refused, so that every request is counted and proxied. */
const rateLimiting = { name: 'rate-limiting', config: { policy: 'local', minute: 1_000_000_000 } }

export const works: readonly Work[] = [
  { id: 'plain', requests: 80_000, request: get(), expectedBody: SMALL_BODY },
  {
    id: 'routes',
    requests: 80_000,
    request: {
      method: 'GET',
      headers: {},
      targets: numbers(ROUTES).map((n) => ({ host: hostOf(n), path: `/route-${n}/thing` })),
    },
    expectedBody: SMALL_BODY,
    servers: numbers(HOSTS).map((host) => {
      const own = numbers(ROUTES).filter((n) => n % HOSTS === host)
      return `server_name ${hostOf(host)};\n${own.map((n) => `    location /route-${n}/ { ${PASS} }`).join('\n')}`
    }),
    routes: numbers(ROUTES).map((n) => ({
      name: `route-${n}`,
      hosts: [hostOf(n)],
      paths: [`/route-${n}/`],
      strip_path: false,
    })),
  },
  {
    id: 'auth',
    requests: 80_000,
    request: get('/', { apikey: KEY }),
    expectedBody: SMALL_BODY,
    plugins: [keyAuth, rateLimiting],
    consumers,
  },
  {
    id: 'plugins',
    requests: 80_000,
    request: get('/', { apikey: KEY, Origin: 'https://page.example.test' }),
    expectedBody: SMALL_BODY,
    plugins: [
      keyAuth,
      rateLimiting,
      { name: 'acl', config: { allow: ['readers'] } },
      { name: 'cors', config: { origins: ['https://page.example.test'] } },
      {
        name: 'request-transformer',
        config: { add: { headers: ['X-Added: yes'] }, remove: { headers: ['X-Removed'] } },
      },
    ],
    consumers,
  },
  {
    id: 'post',
    requests: 80_000,
    request: {
      method: 'POST',
      headers: { 'Content-Type': 'text/plain' },
      body: 'x'.repeat(1_024),
      targets: [{ path: '/' }],
    },
    expectedBody: SMALL_BODY,
  },
  { id: 'large', requests: 40_000, request: get('/large'), expectedBody: LARGE_BODY },
  {
    id: 'cache',
    requests: 120_000,
    request: get(),
    expectedBody: SMALL_BODY,
    servers: [`location / { proxy_cache hits; proxy_cache_valid 200 1h; ${PASS} }`],
    reference: (prefix) =>
      `proxy_cache_path ${prefix}/hits levels=1:2 keys_zone=hits:10m inactive=1h max_size=100m use_temp_path=off;`,
    isStored: true,
    plugins: [{ name: 'proxy-cache', config: { strategy: 'memory', cache_ttl: 3600 } }],
  },
  { id: 'tls', requests: 80_000, request: get(), expectedBody: SMALL_BODY, isTls: true },
  { id: 'handshake', requests: 6_000, request: get(), expectedBody: SMALL_BODY, isTls: true, isConnectionEach: true },
  { id: 'connection', requests: 30_000, request: get(), expectedBody: SMALL_BODY, isConnectionEach: true },
]

/** The gateway's configuration for a work: metrics on, as in production. */
export function declarativeFor(
  work: Pick<Work, 'routes' | 'plugins' | 'consumers'>,
  backendPort: number,
  certificate?: Certificate,
): object {
  const metrics = {
    status_code_metrics: true,
    latency_metrics: true,
    bandwidth_metrics: true,
    upstream_health_metrics: true,
  }
  return {
    _format_version: '3.0',
    services: [
      {
        name: 'backend',
        url: `http://127.0.0.1:${backendPort}`,
        routes: work.routes ?? [{ name: 'all', paths: ['/'], strip_path: false }],
      },
    ],
    plugins: [{ name: 'prometheus', config: metrics }, ...(work.plugins ?? [])],
    ...(work.consumers && { consumers: work.consumers }),
    ...(certificate && { certificates: [{ ...certificate, snis: [{ name: 'localhost' }] }] }),
  }
}
