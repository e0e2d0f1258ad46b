/** Real redis-server processes on free loopback ports: alone, with TLS and users, as Sentinel with fail-over, as Cluster. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Redis } from 'ioredis'
import type { RedisEndpoint } from '#cluster/redis-endpoint.ts'
import type { TestCertificate } from './certificates.ts'
import type { Program } from './debian-part.ts'
import { freePort, isFreeRange } from './free-port.ts'
import { startChild, type Child } from './process.ts'
import { waitUntil } from './wait.ts'

const LOOPBACK = '127.0.0.1'
const START_MS = 20_000

export interface RedisServerOptions {
  readonly port?: number
  /** An address of this machine; 127.0.0.1 by default. */
  readonly host?: string
  /** Lines of redis.conf. */
  readonly lines?: readonly string[]
  readonly isSentinel?: boolean
  /** Serves TLS only. */
  readonly tls?: TestCertificate & { readonly ca: string }
  /** Of the user by whom the tests themselves ask. */
  readonly password?: string
}

export class RedisServer {
  readonly port: number
  readonly host: string
  readonly folder: string
  readonly #program: Program
  readonly #options: RedisServerOptions
  #child: Child | null = null
  #client: Redis | null = null

  constructor(program: Program, port: number, options: RedisServerOptions) {
    this.#program = program
    this.#options = options
    this.host = options.host ?? LOOPBACK
    this.port = port
    this.folder = mkdtempSync(path.join(tmpdir(), 'meridian-redis-'))
    // The server, Sentinel and the tools are one program, which goes by the name that it is called by.
    symlinkSync(program.command, path.join(this.folder, 'redis-server'))
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** A connection of the test's own, past everything that is tested. */
  get client(): Redis {
    this.#client ??= new Redis({
      host: this.host,
      port: this.port,
      maxRetriesPerRequest: 50,
      retryStrategy: () => 50,
      ...(this.#options.password !== undefined && { password: this.#options.password }),
      ...(this.#options.tls && { tls: { ca: this.#options.tls.ca, servername: 'redis.test' } }),
    }).on('error', () => {
      // A server that is down is what some tests are about; a command that needs it fails by itself.
    })
    return this.#client
  }

  async start(): Promise<void> {
    const { lines = [], isSentinel = false, tls } = this.#options
    const file = path.join(this.folder, 'redis.conf')
    const data = path.join(this.folder, 'data')
    mkdirSync(data, { recursive: true })
    if (tls !== undefined) {
      writeFileSync(path.join(this.folder, 'server.crt'), tls.cert)
      writeFileSync(path.join(this.folder, 'server.key'), tls.key)
      writeFileSync(path.join(this.folder, 'ca.crt'), tls.ca)
    }
    writeFileSync(
      file,
      [
        `bind ${this.host}`,
        // Without a password it would answer nobody but the loopback.
        'protected-mode no',
        ...(tls === undefined
          ? [`port ${this.port}`]
          : [
              'port 0',
              `tls-port ${this.port}`,
              `tls-cert-file ${this.folder}/server.crt`,
              `tls-key-file ${this.folder}/server.key`,
              `tls-ca-cert-file ${this.folder}/ca.crt`,
              'tls-auth-clients no',
            ]),
        `dir ${data}`,
        'daemonize no',
        ...(isSentinel ? [] : ['save ""', 'appendonly no', 'enable-debug-command yes']),
        ...lines,
        '',
      ].join('\n'),
    )
    const child = await startChild({
      command: path.join(this.folder, 'redis-server'),
      args: [file, ...(isSentinel ? ['--sentinel'] : [])],
      env: { ...process.env, ...this.#program.env },
      name: isSentinel ? 'redis-sentinel' : 'redis-server',
      endsWithParent: true,
    })
    this.#child = child
    await child.waitForOutput(/Ready to accept connections|monitor master|Sentinel ID is/, START_MS)
  }

  /** As a crash: nothing is kept, since nothing is written to disk. */
  async kill(): Promise<void> {
    this.#child?.killGroup()
    await this.#child?.exited
    this.#child = null
  }

  /** Stops the process where it is: connections stay, and nothing answers. */
  freeze(): void {
    this.#child?.signal('SIGSTOP')
  }

  thaw(): void {
    this.#child?.signal('SIGCONT')
  }

  /** Comes back empty. */
  async restartEmpty(): Promise<void> {
    await this.kill()
    await this.start()
  }

  /** Keys without a time to live, which there never are to be. */
  async keysForGood(): Promise<string[]> {
    const found: string[] = []
    let cursor = '0'
    do {
      const [next, keys] = await this.client.scan(cursor, 'COUNT', 1000)
      for (const key of keys) if ((await this.client.pttl(key)) === -1) found.push(key)
      cursor = next
    } while (cursor !== '0')
    return found
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.disconnect()
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** One server, without user, password and TLS. */
export function standaloneEndpoint(
  name: string,
  address: { readonly host: string; readonly port: number },
  timeoutMs: number,
): RedisEndpoint {
  return {
    name,
    kind: 'standalone',
    addresses: [address],
    master: null,
    username: null,
    password: null,
    sentinelPassword: null,
    database: 0,
    tls: null,
    timeoutMs,
  }
}

export async function startRedis(program: Program, options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = new RedisServer(program, options.port ?? (await freePort()), options)
  try {
    await server.start()
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
  return server
}

/** Several that end together. */
class Group {
  readonly servers: RedisServer[] = []

  async add(program: Program, options: RedisServerOptions): Promise<RedisServer> {
    const server = await startRedis(program, options)
    this.servers.push(server)
    return server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()))
  }
}

/** A master, a replica and three Sentinels that take over within about a second. */
export class SentinelBed extends Group {
  readonly name = 'limits'

  get data(): readonly RedisServer[] {
    return this.servers.slice(0, 2)
  }

  get sentinels(): readonly RedisServer[] {
    return this.servers.slice(2)
  }

  /** The server that Sentinel calls the master. */
  async master(): Promise<RedisServer> {
    const answer = (await this.sentinels[0]!.client.call('SENTINEL', 'get-master-addr-by-name', this.name)) as string[]
    const found = this.data.find(({ port }) => port === Number(answer[1]))
    if (found === undefined) throw new Error(`Sentinel names ${answer.join(':')}, which is none of the test's servers`)
    return found
  }

  /** With `replicatesBy` the replica hears of the master by that port. */
  static async start(
    program: Program,
    replicatesBy: (master: RedisServer) => Promise<number> = ({ port }) => Promise.resolve(port),
  ): Promise<SentinelBed> {
    const bed = new SentinelBed()
    try {
      const master = await bed.add(program, {})
      const port = await replicatesBy(master)
      await bed.add(program, { lines: [`replicaof ${LOOPBACK} ${port}`, 'repl-diskless-sync-delay 0'] })
      const lines = [
        `sentinel monitor ${bed.name} ${LOOPBACK} ${master.port} 2`,
        `sentinel down-after-milliseconds ${bed.name} 600`,
        `sentinel failover-timeout ${bed.name} 2000`,
      ]
      for (let i = 0; i < 3; i++) await bed.add(program, { lines, isSentinel: true })
      await waitUntil('the Sentinels know each other and the replica', async () => {
        const seen = await Promise.all(
          bed.sentinels.map(async ({ client }) => {
            const told = (await client.call('SENTINEL', 'master', bed.name)) as string[]
            const value = (key: string) => Number(told[told.indexOf(key) + 1])
            return value('num-slaves') >= 1 && value('num-other-sentinels') >= 2
          }),
        )
        return seen.every(Boolean)
      })
    } catch (error) {
      await bed[Symbol.asyncDispose]()
      throw error
    }
    return bed
  }
}

const SLOTS = 16_384
/** A node's second port is this much above the first. */
const BUS = 10_000

/** Three masters without replicas, each with a third of the slots. */
export class ClusterBed extends Group {
  static async start(program: Program): Promise<ClusterBed> {
    const bed = new ClusterBed()
    try {
      for (let i = 0; i < 3; i++) {
        let port = await freePort()
        while (!(await isFreeRange(port + BUS, 1))) port = await freePort()
        await bed.add(program, {
          port,
          lines: ['cluster-enabled yes', 'cluster-node-timeout 1000', 'cluster-require-full-coverage no'],
        })
      }
      const [first, ...others] = bed.servers as [RedisServer, ...RedisServer[]]
      for (const [index, server] of bed.servers.entries()) {
        const from = Math.floor((SLOTS * index) / bed.servers.length)
        const to = Math.floor((SLOTS * (index + 1)) / bed.servers.length) - 1
        await server.client.call('CLUSTER', 'ADDSLOTSRANGE', from, to)
        await server.client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
      }
      for (const { port } of others) await first.client.call('CLUSTER', 'MEET', LOOPBACK, port)
      await waitUntil('the nodes know each other and all slots', async () => {
        const states = await Promise.all(bed.servers.map(({ client }) => client.call('CLUSTER', 'INFO')))
        return states.every(
          (state) => /cluster_slots_ok:16384/.test(String(state)) && /cluster_state:ok/.test(String(state)),
        )
      })
    } catch (error) {
      await bed[Symbol.asyncDispose]()
      throw error
    }
    return bed
  }
}
