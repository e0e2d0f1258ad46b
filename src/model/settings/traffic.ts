import { headerBuffers, pemSource, trustSource } from './composites.ts'
import type { Kind } from './kind.ts'
import { nameServer, network } from './networks.ts'
import { choice, duration, flag, integer, integerOrAuto, list, operatorPath, size, text } from './scalars.ts'
import { setting } from './setting.ts'

const headerName = text('header name', /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'the name of a header')
const TEN_YEARS_MS = 315_360_000_000

const idleTime = duration(0, 86_400_000)

/** nginx takes a second time, for the Keep-Alive response header, which nothing sends here. */
const keepaliveTimeout: Kind<number> = {
  ...idleTime,
  parse(value, surroundings) {
    const [first = '', second, ...rest] = value.split(/\s+/)
    const isPair = second !== undefined && rest.length === 0 && idleTime.parse(second, surroundings).ok
    return idleTime.parse(isPair ? first : value, surroundings)
  },
}

/** What a client may send, and how long it may take: each limit answers with the status that is named. */
export const limitSettings = {
  worker_connections: setting(
    integerOrAuto(16, 1_048_576, 16_384),
    'Client connections that one worker holds, `auto` is 16384; further ones are answered with 503 and closed.',
    { default: 'auto', aliases: ['nginx_events_worker_connections'] },
  ),
  worker_max_requests: setting(
    integer(0, 1_048_576),
    'Requests that one worker proxies at a time; further ones get 503 at once. 0 is no limit.',
    { default: '16384' },
  ),
  overload_delay: setting(
    duration(0, 60_000),
    'When the event loop of a worker is late by more than this, new requests get 503 until it has caught up. 0 turns this off.',
    { default: '500ms' },
  ),
  large_client_header_buffers: setting(
    headerBuffers,
    'Longest request line (the size, else 414) and longest header in all (number times size, else 400), in the form of nginx.',
    { default: '4 8k', aliases: ['nginx_http_large_client_header_buffers', 'nginx_proxy_large_client_header_buffers'] },
  ),
  client_max_headers: setting(integer(10, 10_000), 'Most header fields of a request (else 400).', {
    default: '1000',
  }),
  client_header_timeout: setting(
    duration(100, 3_600_000),
    'How long a client may take to send a whole request header (else 408).',
    {
      default: '60s',
      aliases: ['nginx_http_client_header_timeout', 'nginx_proxy_client_header_timeout'],
    },
  ),
  client_max_body_size: setting(size(), 'Longest request body (else 413); 0 is no limit.', {
    default: '0',
    aliases: ['nginx_http_client_max_body_size', 'nginx_proxy_client_max_body_size'],
  }),
  client_body_timeout: setting(
    duration(100, 3_600_000),
    'How long a client may be silent within a request body (else 408).',
    {
      default: '60s',
      aliases: ['nginx_http_client_body_timeout', 'nginx_proxy_client_body_timeout'],
    },
  ),
  client_body_buffer_size: setting(
    size(1024, 1024 ** 3),
    'Longest request body that plugins can have whole; bodies that no plugin asks for are streamed and need no buffer.',
    { default: '1m', aliases: ['nginx_http_client_body_buffer_size', 'nginx_proxy_client_body_buffer_size'] },
  ),
  send_timeout: setting(
    duration(100, 3_600_000),
    'How long a client may take no byte of a response before the connection is closed.',
    {
      default: '60s',
      aliases: ['nginx_http_send_timeout', 'nginx_proxy_send_timeout'],
    },
  ),
  keepalive_timeout: setting(
    keepaliveTimeout,
    'How long an idle client connection stays open; 0 closes after each response.',
    {
      default: '75s',
      aliases: ['nginx_http_keepalive_timeout', 'nginx_proxy_keepalive_timeout'],
    },
  ),
  http2_max_concurrent_streams: setting(
    integer(1, 10_000),
    'Requests that a client may have under way on one HTTP/2 connection; further ones are refused until one ends.',
    {
      default: '128',
      aliases: ['nginx_http_http2_max_concurrent_streams', 'nginx_proxy_http2_max_concurrent_streams'],
    },
  ),
  http2_flood_connection_rate: setting(
    integer(0, 1_000_000),
    'New connections in a second that a worker takes from an address (IPv6: /64) from which a client was ended for a flood over HTTP/2 in the last ten seconds; further ones are closed. Addresses in `trusted_ips` are not counted. 0 is no limit.',
    { default: '10' },
  ),
  keepalive_requests: setting(integer(1, 1_000_000_000), 'Requests that a client connection may carry.', {
    default: '10000',
    aliases: ['nginx_http_keepalive_requests', 'nginx_proxy_keepalive_requests'],
  }),
} as const

/** Who the client is, and what is added to requests and responses. */
export const forwardingSettings = {
  trusted_ips: setting(
    list(network),
    'Peers whose `X-Forwarded-*` and `real_ip_header` are believed. `0.0.0.0/0,::/0` believes everyone.',
    { default: '' },
  ),
  real_ip_header: setting(
    headerName,
    "Header with the client's address, believed from `trusted_ips`; `proxy_protocol` takes it from that protocol's header.",
    {
      default: 'X-Real-IP',
      aliases: ['nginx_proxy_real_ip_header', 'nginx_http_real_ip_header'],
    },
  ),
  real_ip_recursive: setting(
    flag,
    'Whether trusted addresses at the end of `real_ip_header` are skipped until one is not trusted.',
    {
      default: 'off',
      aliases: ['nginx_proxy_real_ip_recursive', 'nginx_http_real_ip_recursive'],
    },
  ),
  headers: setting(
    list(
      choice([
        'server_tokens',
        'latency_tokens',
        'Server',
        'Via',
        'X-Kong-Proxy-Latency',
        'X-Kong-Response-Latency',
        'X-Kong-Admin-Latency',
        'X-Kong-Upstream-Latency',
        'X-Kong-Upstream-Status',
        'X-Kong-Request-Id',
      ]),
      { off: true, form: 'list of header names, `server_tokens`, `latency_tokens`, or off' },
    ),
    'Headers that the gateway adds to responses. `server_tokens` is Server and Via, `latency_tokens` the four of latency.',
    { default: 'server_tokens, latency_tokens, X-Kong-Request-Id' },
  ),
  headers_upstream: setting(
    list(choice(['X-Kong-Request-Id']), { off: true, form: '`X-Kong-Request-Id` | off' }),
    'Headers that the gateway adds to requests to upstreams, besides those for forwarding.',
    { default: 'X-Kong-Request-Id' },
  ),
  error_default_type: setting(
    choice(['text/plain', 'application/json', 'application/xml', 'text/html', 'application/problem+json']),
    'Form of error bodies for clients that send no `Accept`; `application/problem+json` is RFC 9457.',
    { default: 'text/plain' },
  ),
  allow_debug_header: setting(
    flag,
    'Whether `Kong-Debug: 1` in a request makes the answer name its route and service.',
    {
      default: 'off',
    },
  ),
  router_flavor: setting(
    choice(['traditional_compatible', 'traditional'], {
      expressions: 'routes with expressions are not available yet',
    }),
    'How routes match: `traditional` also honours `path_handling = v1`.',
    { default: 'traditional_compatible' },
  ),
} as const

/** Connections to upstreams. */
export const upstreamSettings = {
  upstream_keepalive_pool_size: setting(
    integer(0, 1_000_000),
    'Idle connections that a worker keeps for one target; 0 keeps none.',
    {
      default: '512',
    },
  ),
  upstream_keepalive_max_requests: setting(
    integer(0, 1_000_000_000),
    'Requests that an upstream connection carries; 0 is no limit.',
    {
      default: '10000',
    },
  ),
  upstream_keepalive_idle_timeout: setting(
    duration(0),
    'How long an idle upstream connection is kept; 0 is no limit.',
    {
      default: '60',
    },
  ),
  upstream_max_header_size: setting(size(1024, 16 * 1024 ** 2), 'Longest header of an upstream response (else 502).', {
    default: '64k',
    aliases: ['nginx_http_proxy_buffer_size', 'nginx_proxy_proxy_buffer_size'],
  }),
  upstream_tls_verify: setting(
    flag,
    'Whether certificates of upstreams are verified where the service does not say (`tls_verify`).',
    {
      default: 'off',
      aliases: ['nginx_proxy_proxy_ssl_verify', 'nginx_http_proxy_ssl_verify'],
    },
  ),
  lua_ssl_trusted_certificate: setting(
    list(trustSource),
    'Certificate authorities that upstreams and other servers are verified against.',
    { default: 'system' },
  ),
  client_ssl: setting(
    flag,
    'Whether upstreams are shown the certificate `client_ssl_cert` where the service names none.',
    {
      default: 'off',
    },
  ),
  client_ssl_cert: setting(pemSource, 'Certificate chain for `client_ssl`.', { default: null }),
  client_ssl_cert_key: setting(pemSource, 'Private key of `client_ssl_cert`.', { default: null, secret: true }),
} as const

/** How the names of upstreams become addresses. */
export const dnsSettings = {
  dns_resolver: setting(list(nameServer), 'Name servers; when unset, those of /etc/resolv.conf.', {
    default: '',
    aliases: ['resolver_address'],
  }),
  dns_hostsfile: setting(operatorPath, 'File of fixed addresses, read at start.', {
    default: '/etc/hosts',
    aliases: ['resolver_hosts_file'],
  }),
  dns_order: setting(
    list(choice(['LAST', 'SRV', 'A', 'AAAA', 'CNAME'])),
    'Record types that are asked for, in this order; `LAST` is the type that answered last. `CNAME` is followed by the name server and needs no question.',
    { default: 'LAST,SRV,A,CNAME' },
  ),
  dns_timeout: setting(
    duration(50, 60_000),
    'How long one question to one name server may take; when unset, `timeout` of /etc/resolv.conf counts, else 2s.',
    { default: null },
  ),
  dns_valid_ttl: setting(
    duration(0, TEN_YEARS_MS),
    'How long answers hold, whatever their TTL; when unset, the TTL counts.',
    {
      default: null,
      aliases: ['resolver_valid_ttl'],
    },
  ),
  dns_stale_ttl: setting(duration(0, TEN_YEARS_MS), 'How long an expired answer is used while it is asked for anew.', {
    default: '3600',
    aliases: ['resolver_stale_ttl'],
  }),
  dns_not_found_ttl: setting(
    duration(0, TEN_YEARS_MS),
    "How long 'no such name' is remembered when the answer carries no time of its own.",
    {
      default: '30',
    },
  ),
  dns_error_ttl: setting(duration(0, TEN_YEARS_MS), 'How long another failure is remembered.', {
    default: '1',
    aliases: ['resolver_error_ttl'],
  }),
  dns_cache_size: setting(integer(100, 10_000_000), 'Names that a worker remembers.', {
    default: '10000',
    aliases: ['resolver_lru_cache_size'],
  }),
} as const
