import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePorts } from './free-port.ts'
import { startChild, type Child, type ChildExit } from './process.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
const LOOPBACK = '127.0.0.1'
/** A start on a loaded machine with cold caches; one that takes longer is stuck. */
const READY_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 15_000

export interface GatewayOptions {
  /** A declarative configuration, as an object or the path of a file; without it the gateway starts empty. */
  readonly declarative?: object | string
  /** By default `off`. */
  readonly database?: 'off' | 'sqlite' | 'cassandra'
  /** By default 1, as the corpus wants it: counters and balancing are then compared exactly. */
  readonly workers?: number
  /** More settings by their key in the file, such as `{ trusted_ips: '127.0.0.1' }`; they win over those above. */
  readonly settings?: Readonly<Record<string, string>>
  /** The data folder. By default a new one, which `stop` removes; one that is given stays. */
  readonly prefix?: string
  /** Ports to listen on; by default free ones. */
  readonly ports?: GatewayPorts
  /** The address to listen on, by default that of loopback. */
  readonly host?: string
  /** How long it may take until it is ready. */
  readonly readyMs?: number
  /** Options of Node itself, before the script. */
  readonly nodeOptions?: readonly string[]
  /** Put before the command, such as `['taskset', '-c', '0']`. */
  readonly wrapper?: readonly string[]
  /** The script and its arguments. By default the sources: `src/main.ts start`. */
  readonly script?: readonly string[]
}

export class Gateway {
  readonly child: Child
  readonly prefix: string
  readonly proxyPort: number
  readonly tlsPort: number
  readonly adminPort: number
  readonly statusPort: number
  readonly #host: string
  readonly #isPrefixOurs: boolean

  constructor(child: Child, ports: GatewayPorts, host: string, prefix: string, isPrefixOurs: boolean) {
    this.child = child
    this.prefix = prefix
    this.proxyPort = ports.proxy
    this.tlsPort = ports.tls
    this.adminPort = ports.admin
    this.statusPort = ports.status
    this.#host = host
    this.#isPrefixOurs = isPrefixOurs
  }

  get proxyUrl(): string {
    return `http://${this.#host}:${this.proxyPort}`
  }
  get tlsUrl(): string {
    return `https://${this.#host}:${this.tlsPort}`
  }
  get adminUrl(): string {
    return `http://${this.#host}:${this.adminPort}`
  }
  get statusUrl(): string {
    return `http://${this.#host}:${this.statusPort}`
  }

  /** Whether `/status/ready` says so now. */
  async isReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.statusUrl}/status/ready`, { signal: AbortSignal.timeout(1_000) })
      await response.arrayBuffer()
      return response.status === 200
    } catch {
      // Not listening yet, or too busy to answer: both are 'not ready'.
      return false
    }
  }

  /** Ends it in order by SIGTERM, after 15 s by SIGKILL, and removes its data unless the folder was given. */
  async stop(): Promise<ChildExit> {
    const exit = await this.child.stop('SIGTERM', STOP_TIMEOUT_MS)
    if (this.#isPrefixOurs) rmSync(this.prefix, { recursive: true, force: true })
    return exit
  }

  /** SIGKILL, as a crash would; the data stays. */
  async kill(): Promise<ChildExit> {
    this.child.killGroup()
    return await this.child.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

export interface GatewayPorts {
  readonly proxy: number
  readonly tls: number
  readonly admin: number
  readonly status: number
}

export async function freeGatewayPorts(): Promise<GatewayPorts> {
  const [proxy = 0, tls = 0, admin = 0, status = 0] = await freePorts(4)
  return { proxy, tls, admin, status }
}

/** Starts the gateway from its sources on ports of its own, on loopback; resolves when it is ready. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const ports = options.ports ?? (await freeGatewayPorts())
  const prefix = options.prefix ?? mkdtempSync(path.join(tmpdir(), 'meridian-'))
  const [command = '', ...args] = [
    ...(options.wrapper ?? []),
    process.execPath,
    ...(options.nodeOptions ?? []),
    ...(options.script ?? [path.join(ROOT, 'src', 'main.ts'), 'start']),
  ]
  const child = await startChild({
    command,
    args,
    cwd: ROOT,
    env: { ...inheritedEnvironment(), ...environment(settingsOf(options, ports, prefix)) },
    name: 'gateway',
  })
  const gateway = new Gateway(child, ports, options.host ?? LOOPBACK, prefix, options.prefix === undefined)
  try {
    await child.waitUntil('ready', () => gateway.isReady(), options.readyMs ?? READY_TIMEOUT_MS)
  } catch (error) {
    await gateway.stop()
    throw error
  }
  return gateway
}

function settingsOf(options: GatewayOptions, ports: GatewayPorts, prefix: string): Record<string, string> {
  const { host = LOOPBACK } = options
  return {
    prefix,
    proxy_listen: `${host}:${ports.proxy}, ${host}:${ports.tls} ssl`,
    admin_listen: `${host}:${ports.admin}`,
    status_listen: `${host}:${ports.status}`,
    database: options.database ?? 'off',
    workers: String(options.workers ?? 1),
    proxy_access_log: 'off',
    admin_access_log: 'off',
    // No load balancer has to be given the time to turn away.
    drain_delay: '0',
    shutdown_timeout: '2s',
    ...(options.declarative !== undefined && { declarative_config: declarativeFile(options.declarative, prefix) }),
    ...options.settings,
  }
}

function declarativeFile(declarative: object | string, prefix: string): string {
  if (typeof declarative === 'string') return declarative
  const file = path.join(prefix, 'declarative.json')
  writeFileSync(file, JSON.stringify(declarative))
  return file
}

const environment = (settings: Record<string, string>) =>
  Object.fromEntries(Object.entries(settings).map(([key, value]) => [`MERIDIAN_${key.toUpperCase()}`, value]))

/** Without settings of the person who runs the tests, and without the test runner's own variables. */
function inheritedEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(MERIDIAN_|KONG_|NODE_TEST|NODE_OPTIONS$)/.test(name)),
  )
}
