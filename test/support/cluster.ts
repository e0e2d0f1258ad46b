/** Gateways of several data centers on a real Cassandra, with an upstream behind them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ask, type Question, type Reply } from './ask.ts'
import type { CassandraAddress } from './cassandra.ts'
import { freeGatewayPorts, startGateway, type Gateway, type GatewayPorts } from './gateway.ts'
import { runChild } from './process.ts'
import { startUpstream, type Upstream } from './upstream-server.ts'
import { waitUntil } from './wait.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
/** A first start, while others use the machine too, loads everything from Cassandra. */
const READY_MS = 120_000
const COMMAND_MS = 180_000
/** Until every node serves a change: nothing here is measured, so a busy machine must not fail it. */
export const SERVED_MS = 60_000

export interface BedOptions {
  readonly address: CassandraAddress
  readonly keyspace: string
  /** For all nodes, over those of the bed. */
  readonly settings?: Readonly<Record<string, string>>
}

/** How a node's process is started: options of Node itself, and what is put before the command. */
export interface ClusterProcess {
  readonly nodeOptions?: readonly string[]
  readonly wrapper?: readonly string[]
}

export class ClusterNode {
  readonly name: string
  readonly dataCenter: string
  readonly prefix: string
  readonly #ports: GatewayPorts
  readonly #settings: Readonly<Record<string, string>>
  readonly #process: ClusterProcess
  #gateway: Gateway | null = null
  #id = ''

  constructor(
    name: string,
    dataCenter: string,
    prefix: string,
    ports: GatewayPorts,
    settings: Readonly<Record<string, string>>,
    process: ClusterProcess,
  ) {
    this.name = name
    this.dataCenter = dataCenter
    this.prefix = prefix
    this.#ports = ports
    this.#settings = settings
    this.#process = process
  }

  /** As the cluster names it; known after the first start. */
  get id(): string {
    return this.#id
  }

  get gateway(): Gateway {
    if (this.#gateway === null) throw new Error(`${this.name} does not run`)
    return this.#gateway
  }

  get adminUrl(): string {
    return `http://127.0.0.1:${this.#ports.admin}`
  }

  /** Resolves when it is ready; also again, with the copy that it left. */
  async start(): Promise<void> {
    this.#gateway = await startGateway({
      database: 'cassandra',
      prefix: this.prefix,
      ports: this.#ports,
      settings: this.#settings,
      readyMs: READY_MS,
      ...this.#process,
    })
    this.#id = (await this.admin('GET', '/')).json.node_id
  }

  /** SIGKILL to all of it. */
  async kill(): Promise<void> {
    await this.#gateway?.kill()
    this.#gateway = null
  }

  async stop(): Promise<void> {
    await this.#gateway?.stop()
    this.#gateway = null
  }

  admin(method: string, target: string, body?: unknown, question: Question = {}): Promise<Reply> {
    return ask(this.adminUrl + target, { ...question, method, body })
  }

  /** A change that must succeed; answers its body. */
  // oxlint-disable-next-line typescript/no-explicit-any
  async change(method: string, target: string, body?: unknown): Promise<any> {
    const { status, text, json } = await this.admin(method, target, body)
    assert.ok(status >= 200 && status < 300, `${method} ${target}: ${status} ${text}`)
    return json
  }

  proxy(target: string, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return ask(`http://127.0.0.1:${this.#ports.proxy}${target}`, { headers })
  }

  /** Resolves when every node that is up serves the newest revision that this one knows; answers that revision. */
  async allServe(): Promise<number> {
    const { revision } = (await this.admin('GET', '/cluster/revision')).json as { revision: number }
    const target = `/cluster/revision?wait=${revision}&timeout=${SERVED_MS / 1000}`
    const answer = await this.admin('GET', target, undefined, { timeoutMs: SERVED_MS * 2 })
    assert.equal(answer.status, 200, answer.text)
    return revision
  }

  /** `meridian COMMAND --admin` of this node. */
  async command(...words: string[]): Promise<{ readonly code: number | null; readonly output: string }> {
    return await meridian([...words, '--admin', this.adminUrl])
  }
}

export class ClusterBed {
  readonly upstream: Upstream
  readonly nodes: ClusterNode[] = []
  readonly #folder: string
  readonly #settings: Readonly<Record<string, string>>
  readonly #address: CassandraAddress

  constructor(
    upstream: Upstream,
    folder: string,
    address: CassandraAddress,
    settings: Readonly<Record<string, string>>,
  ) {
    this.upstream = upstream
    this.#folder = folder
    this.#address = address
    this.#settings = settings
  }

  /** A node of a data center, started; `settings` win. */
  async start(
    name: string,
    dataCenter: string,
    settings: Readonly<Record<string, string>> = {},
    process: ClusterProcess = {},
  ): Promise<ClusterNode> {
    const all = {
      ...this.#settings,
      cassandra_contact_points: (this.#address.dataCenters[dataCenter] ?? []).join(','),
      cassandra_local_datacenter: dataCenter,
      ...settings,
    }
    const prefix = path.join(this.#folder, name)
    const node = new ClusterNode(name, dataCenter, prefix, await freeGatewayPorts(), all, process)
    this.nodes.push(node)
    await node.start()
    return node
  }

  /** A service `name` to the upstream, with a route `/name`. */
  async route(node: ClusterNode, name: string): Promise<void> {
    await node.change('POST', '/services', { name, host: '127.0.0.1', port: this.upstream.port })
    await node.change('POST', `/services/${name}/routes`, { name, paths: [`/${name}`] })
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
    await this.upstream.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** Migrated, with a keyring, and no gateway yet. */
export async function startBed({ address, keyspace, settings = {} }: BedOptions): Promise<ClusterBed> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-cluster-'))
  const keyring = path.join(folder, 'keyring')
  const shared = {
    database: 'cassandra',
    cassandra_port: String(address.port),
    cassandra_keyspace: keyspace,
    cassandra_data_centers: Object.entries(address.dataCenters)
      .map(([name, nodes]) => `${name}:${Math.min(3, nodes.length)}`)
      .join(','),
    keyring_file: keyring,
  }
  const [dataCenter = '', contactPoints = []] = Object.entries(address.dataCenters)[0] ?? []
  const conf = path.join(folder, 'meridian.conf')
  const lines = {
    ...shared,
    prefix: path.join(folder, 'none'),
    cassandra_contact_points: contactPoints.join(','),
    cassandra_local_datacenter: dataCenter,
    // Schema changes are slow where several processes share few cores.
    cassandra_timeout: '60000',
    cassandra_schema_consensus_timeout: '60000',
  }
  writeFileSync(
    conf,
    Object.entries(lines)
      .map(([key, value]) => `${key} = ${value}\n`)
      .join(''),
  )
  for (const command of [
    ['keyring', 'create', keyring],
    ['migrations', 'up', '--conf', conf],
  ]) {
    const { code, output } = await meridian(command)
    assert.equal(code, 0, `meridian ${command.join(' ')}\n${output}`)
  }
  return new ClusterBed(await startUpstream(), folder, address, { ...shared, ...settings })
}

async function meridian(words: readonly string[]) {
  return await runChild({
    command: process.execPath,
    args: [path.join(ROOT, 'src', 'main.ts'), ...words],
    cwd: ROOT,
    name: `meridian ${words[0]}`,
    timeoutMs: COMMAND_MS,
  })
}

/** All nodes stand at one revision with one hash; answers both. */
export async function agree(nodes: readonly ClusterNode[]): Promise<{ revision: number; hash: string }> {
  let last: { revision: number; hash: string }[] = []
  await waitUntil(
    'all nodes stand at one revision',
    async () => {
      const answers = await Promise.all(nodes.map((node) => node.admin('GET', '/cluster/revision')))
      last = answers.map(({ json }) => ({ revision: json.revision, hash: json.hash }))
      return new Set(last.map(({ revision }) => revision)).size === 1
    },
    SERVED_MS,
  )
  assert.equal(new Set(last.map(({ hash }) => hash)).size, 1, JSON.stringify(last))
  return last[0]!
}
