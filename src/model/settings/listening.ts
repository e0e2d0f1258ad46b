import { listeners } from './listener.ts'
import { pemSource, tlsVersions } from './composites.ts'
import { choice, duration, flag, integer, list, text } from './scalars.ts'
import { portMaps } from './networks.ts'
import { setting } from './setting.ts'

/** Where clients, operators and monitoring connect. */
export const listenerSettings = {
  proxy_listen: setting(
    listeners,
    "Addresses on which requests are proxied. Flags: `ssl`, `http2` (with `ssl` when the client asks for it, else for clients that begin with it), `reuseport`, `backlog=N`, `ipv6only=on|off`; `proxy_protocol` (each connection begins with that header; `real_ip_header = proxy_protocol` takes the client's address from it); `off` closes the proxy.",
    { default: '0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384' },
  ),
  admin_listen: setting(
    listeners,
    'Addresses of the Admin API. On addresses other than loopback every request needs a token or a client certificate.',
    { default: '127.0.0.1:8001' },
  ),
  status_listen: setting(
    listeners,
    'Addresses of `/status`, `/status/ready` and `/metrics`, which answer without a token.',
    {
      default: '127.0.0.1:8007',
    },
  ),
  stream_listen: setting(
    listeners,
    'Addresses for routes of `tcp`, `tls`, `tls_passthrough` and `udp`: `IP:PORT`, with `ssl` for TLS, `udp` for datagrams, `proxy_protocol` for connections that begin with that header. `off` for none.',
    { default: 'off' },
  ),
  port_maps: setting(
    portMaps,
    'Ports as clients see them, when something in front maps them to the ports of `proxy_listen`: used for `X-Forwarded-Port` and redirects.',
    { default: '' },
  ),
} as const

/** The certificates and versions of TLS towards clients. */
export const tlsSettings = {
  ssl_cert: setting(
    list(pemSource),
    'Certificate chains for clients whose server name no configured certificate has. When unset, the gateway makes one of its own.',
    { default: '', reloadable: true },
  ),
  ssl_cert_key: setting(list(pemSource), 'Private keys of `ssl_cert`, in the same order.', {
    default: '',
    reloadable: true,
    secret: true,
  }),
  ssl_cipher_suite: setting(
    choice(['modern', 'intermediate', 'old', 'fips', 'custom']),
    "Mozilla's cipher sets. `modern` is TLS 1.3 alone; `old` adds CBC ciphers for TLS 1.2; `custom` takes `ssl_ciphers`.",
    { default: 'intermediate' },
  ),
  ssl_ciphers: setting(
    text('OpenSSL cipher list', /^[A-Za-z0-9:@!+=_-]+$/, 'an OpenSSL cipher list'),
    'Ciphers of TLS 1.2 for `ssl_cipher_suite = custom`.',
    {
      default: null,
    },
  ),
  ssl_protocols: setting(tlsVersions, 'TLS versions that are served.', {
    default: 'TLSv1.2 TLSv1.3',
    aliases: ['nginx_http_ssl_protocols', 'nginx_proxy_ssl_protocols'],
  }),
  ssl_verify_client: setting(
    choice(['off', 'optional_no_ca', 'optional', 'on']),
    'Whether clients of `proxy_listen` are asked for a certificate: `optional` verifies one that is shown, `on` lets nobody in without one that is verified, `optional_no_ca` leaves that to plugins. Plugins such as mtls-auth ask by themselves.',
    { default: 'off', aliases: ['nginx_http_ssl_verify_client', 'nginx_proxy_ssl_verify_client'] },
  ),
  ssl_client_certificate: setting(
    pemSource,
    "Authorities that clients' certificates are verified against. Their names are sent in the handshake.",
    { default: null, aliases: ['nginx_http_ssl_client_certificate', 'nginx_proxy_ssl_client_certificate'] },
  ),
  ssl_verify_depth: setting(
    integer(0, 64),
    "Most intermediate certificates between a client's and the authority's in `ssl_client_certificate`.",
    { default: '1', aliases: ['nginx_http_ssl_verify_depth', 'nginx_proxy_ssl_verify_depth'] },
  ),
  ssl_stapling: setting(
    flag,
    "Whether clients of TLS get the state of the gateway's certificate with it (OCSP stapling), for certificates that name a responder and come with their issuer's. The gateway asks the responder, over HTTP.",
    { default: 'off', aliases: ['nginx_http_ssl_stapling', 'nginx_proxy_ssl_stapling'] },
  ),
  ssl_prefer_server_ciphers: setting(flag, "Whether the gateway's order of ciphers wins over the client's.", {
    default: 'on',
    aliases: ['nginx_http_ssl_prefer_server_ciphers', 'nginx_proxy_ssl_prefer_server_ciphers'],
  }),
  ssl_session_tickets: setting(
    flag,
    'Whether clients can resume TLS sessions by tickets; all workers share the keys.',
    {
      default: 'on',
      aliases: ['nginx_http_ssl_session_tickets', 'nginx_proxy_ssl_session_tickets'],
    },
  ),
  ssl_session_timeout: setting(duration(1000, 604_800_000), 'How long a TLS session can be resumed.', {
    default: '1d',
    aliases: ['nginx_http_ssl_session_timeout', 'nginx_proxy_ssl_session_timeout'],
  }),
  ssl_handshake_timeout: setting(duration(100, 600_000), 'How long a TLS handshake with a client may take.', {
    default: '10s',
  }),
  admin_ssl_cert: setting(
    list(pemSource),
    'Certificate chains of `admin_listen` with `ssl`; when unset, those of `ssl_cert`, or the self-made one.',
    { default: '', reloadable: true },
  ),
  admin_ssl_cert_key: setting(list(pemSource), 'Private keys of `admin_ssl_cert`, in the same order.', {
    default: '',
    reloadable: true,
    secret: true,
  }),
  status_ssl_cert: setting(
    list(pemSource),
    'Certificate chains of `status_listen` with `ssl`; when unset, those of `ssl_cert`, or the self-made one.',
    { default: '', reloadable: true },
  ),
  status_ssl_cert_key: setting(list(pemSource), 'Private keys of `status_ssl_cert`, in the same order.', {
    default: '',
    reloadable: true,
    secret: true,
  }),
} as const
