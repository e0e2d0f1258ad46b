/** What is measured and what it is compared with: the gateway, nginx as a proxy, and the upstream behind both. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { generate } from 'selfsigned'
import type { Program } from '../../test/support/debian-part.ts'
import { startGateway, type GatewayOptions } from '../../test/support/gateway.ts'
import { startNginx, type Nginx } from '../../test/support/nginx.ts'
import { MEASURED_CORE, OTHER_CORE } from './machine.ts'

export const SMALL_BODY = 'Hello from the upstream, in a few words.\n'
export const LARGE_BODY = '0123456789abcdef'.repeat(4_096)
/** Of the file `/huge`: 1 GiB of zeros, which take no room on the disk. */
export const HUGE_BYTES = 2 ** 30
/** A connection is never closed for its age during a measurement. */
const MANY_REQUESTS = 100_000_000

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** For `localhost`, on the curve that public authorities use by default. */
export async function createCertificate(): Promise<Certificate> {
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  })
  return { cert: made.cert, key: made.private }
}

/** A proxy under measurement: its process, and where its plain and its TLS listener are. */
export interface Subject {
  readonly name: string
  readonly pid: number
  readonly port: number
  readonly tlsPort: number
  readonly stop: () => Promise<unknown>
}

/** nginx on the other core: `/large` is 64 KB, `/huge` 1 GiB, everything else a few words; `/stub_status` counts its connections. */
export async function startBackend(nginx: Program, wrapper: readonly string[] = OTHER_CORE): Promise<Nginx> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-large-'))
  writeFileSync(path.join(folder, 'large'), LARGE_BODY)
  writeFileSync(path.join(folder, 'huge'), '')
  truncateSync(path.join(folder, 'huge'), HUGE_BYTES)
  const backend = await startNginx(nginx, {
    wrapper,
    connections: 16_384,
    main: 'worker_rlimit_nofile 32768;',
    http: ([port]) => `
  keepalive_requests ${MANY_REQUESTS};
  open_file_cache max=10 inactive=1h;
  sendfile on;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${port} backlog=8192;
    location / { return 200 ${JSON.stringify(SMALL_BODY)}; }
    location /large { root ${folder}; }
    location /huge { root ${folder}; }
    location /stub_status { stub_status; }
  }`,
  })
  const stop = backend.stop.bind(backend)
  backend.stop = async () => {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return backend
}

export interface ReferenceOptions {
  /** The content of the server blocks behind their `listen` lines; by default everything is passed on. */
  readonly servers?: readonly string[]
  /** More lines of the http block, given nginx's folder. */
  readonly http?: (prefix: string) => string
  readonly certificate: Certificate
}

export const PASS = 'proxy_pass http://backend;'

/**
 * nginx's proxy_pass with one worker and kept-alive upstream connections. Buffers hold a whole 64 KB response, so that
 * nothing goes by way of the disk.
 */
export async function startReference(nginx: Program, backendPort: number, options: ReferenceOptions): Promise<Subject> {
  const started = await startNginx(nginx, {
    ports: 2,
    wrapper: MEASURED_CORE,
    connections: 32_768,
    main: 'worker_rlimit_nofile 65536;',
    http: ([port, tlsPort], prefix) => {
      writeFileSync(path.join(prefix, 'cert.pem'), options.certificate.cert)
      writeFileSync(path.join(prefix, 'key.pem'), options.certificate.key)
      const servers = options.servers ?? [`location / { ${PASS} }`]
      return `
  upstream backend {
    server 127.0.0.1:${backendPort};
    keepalive 128;
    keepalive_requests ${MANY_REQUESTS};
  }
  keepalive_requests ${MANY_REQUESTS};
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffers 16 8k;
  ssl_certificate ${prefix}/cert.pem;
  ssl_certificate_key ${prefix}/key.pem;
  ssl_protocols TLSv1.3;
  server_names_hash_bucket_size 128;
  ${options.http?.(prefix) ?? ''}
${servers.map((body, n) => serverBlock(body, port, tlsPort, n === 0)).join('\n')}`
    },
  })
  const [port = 0, tlsPort = 0] = started.ports
  return { name: 'nginx', pid: started.child.pid, port, tlsPort, stop: () => started.stop() }
}

/** Options of a listening socket may stand in one server only. */
function serverBlock(body: string, port = 0, tlsPort = 0, isFirst = false): string {
  const backlog = isFirst ? ' backlog=8192' : ''
  return `  server {
    listen 127.0.0.1:${port}${backlog};
    listen 127.0.0.1:${tlsPort} ssl${backlog};
    ${body}
  }`
}

/** The gateway from its sources with one worker and default settings but for the access log. */
export async function startMeasuredGateway(
  declarative: object,
  options: Pick<GatewayOptions, 'nodeOptions' | 'settings' | 'workers'> = {},
): Promise<Subject> {
  const gateway = await startGateway({ declarative, wrapper: MEASURED_CORE, ...options })
  const { proxyPort: port, tlsPort } = gateway
  return { name: 'meridian', pid: gateway.child.pid, port, tlsPort, stop: () => gateway.stop() }
}
