/** An Envoy with one worker on loopback that takes HTTP/2 without TLS and passes everything on to one server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Program } from './debian-part.ts'
import { freePort } from './free-port.ts'
import { isListening, startChild, type Child } from './process.ts'

export interface EnvoyOptions {
  readonly backendPort: number
  /** What the server behind speaks. */
  readonly backendSpeaks: 'http1' | 'http2'
  /** Streams that a client may have open on one connection. */
  readonly maxStreams: number
  /** Put before the command, such as `['taskset', '-c', '1']`. */
  readonly wrapper?: readonly string[]
}

export class Envoy {
  readonly child: Child
  readonly port: number
  readonly #folder: string

  private constructor(child: Child, port: number, folder: string) {
    this.child = child
    this.port = port
    this.#folder = folder
  }

  static async start(program: Program, options: EnvoyOptions): Promise<Envoy> {
    const folder = mkdtempSync(path.join(tmpdir(), 'meridian-envoy-'))
    const port = await freePort()
    const file = path.join(folder, 'envoy.json')
    writeFileSync(file, JSON.stringify(bootstrap(options, port)))
    const [command, ...args] = [...(options.wrapper ?? []), program.command, '-c', file]
    const child = await startChild({
      command,
      args: [...args, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warn'],
      env: { ...process.env, ...program.env },
      name: 'envoy',
    })
    const envoy = new Envoy(child, port, folder)
    try {
      await child.waitUntil(`listening on ${port}`, () => isListening(port))
    } catch (error) {
      await envoy.stop()
      throw error
    }
    return envoy
  }

  async stop(): Promise<void> {
    await this.child.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

const EXTENSIONS = 'type.googleapis.com/envoy.extensions'

/** No admin listener, no access log; all else as Envoy has it by default. */
function bootstrap({ backendPort, backendSpeaks, maxStreams }: EnvoyOptions, port: number): object {
  const addressOf = (at: number) => ({ socket_address: { address: '127.0.0.1', port_value: at } })
  const manager = {
    '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'in',
    codec_type: 'HTTP2',
    http2_protocol_options: { max_concurrent_streams: maxStreams },
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'backend' } }] },
      ],
    },
    http_filters: [
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` } },
    ],
  }
  const spoken = backendSpeaks === 'http2' ? { http2_protocol_options: {} } : { http_protocol_options: {} }
  return {
    static_resources: {
      listeners: [
        {
          address: addressOf(port),
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
      clusters: [
        {
          name: 'backend',
          type: 'STATIC',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`,
              explicit_http_config: spoken,
            },
          },
          load_assignment: {
            cluster_name: 'backend',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(backendPort) } }] }],
          },
        },
      ],
    },
  }
}
