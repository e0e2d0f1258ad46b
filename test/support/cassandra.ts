/** A real Cassandra cluster over several data centers, on loopback addresses of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  FIRST_ROLE,
  nodeArguments,
  nodetoolArguments,
  PORT,
  probeOf,
  writeNodeFiles,
  type CassandraProgram,
  type NodePlan,
  type NodeTls,
} from './cassandra-node.ts'
import { planNodes, type ClusterPlan } from './cassandra-plan.ts'
import { makeCertificate, type TestCertificate } from './certificates.ts'
import { knownPeers } from './cql-probe.ts'
import { freePort } from './free-port.ts'
import { locatePart } from './parts.ts'
import { runChild, startChild, type Child } from './process.ts'

export interface CassandraOptions extends ClusterPlan {
  /** Clients need TLS; with `requireClientCertificate` also a certificate of their own. Both are `cluster.tls`. */
  readonly tls?: boolean | { readonly requireClientCertificate?: boolean }
  /** Clients log in, at first with `cluster.credentials`. */
  readonly auth?: boolean
}

/** What clients need to know of a cluster; can be told to another process. */
export interface CassandraAddress {
  readonly port: number
  /** Addresses of the nodes by data center. */
  readonly dataCenters: Readonly<Record<string, readonly string[]>>
}

/** A first start on a busy machine, beside other nodes. */
const READY_MS = 180_000
/** SIGTERM took up to 7 s. */
const STOP_MS = 30_000
const NODETOOL_MS = 60_000

export class CassandraNode {
  readonly plan: NodePlan
  readonly #program: CassandraProgram
  readonly #cluster: CassandraCluster
  #child: Child | null = null
  #jmxPort = 0

  constructor(plan: NodePlan, program: CassandraProgram, cluster: CassandraCluster) {
    this.plan = plan
    this.#program = program
    this.#cluster = cluster
  }

  readonly port = PORT

  get address(): string {
    return this.plan.address
  }

  get dataCenter(): string {
    return this.plan.dataCenter
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exit === null
  }

  /** Only while it runs. */
  get pid(): number {
    return this.#running().pid
  }

  /** What it has printed since it was last started, the last megabyte. */
  get output(): string {
    return this.#child?.output ?? ''
  }

  /**
   * Starts the process on what is in its folder; resolves when it answers clients and, unless `isAlone`, sees every other
   * running node, and is seen by each: statements that need several replicas can fail before.
   */
  async start({ isAlone = false } = {}): Promise<void> {
    if (this.isRunning) throw new Error(`${this.address} runs already`)
    const others = isAlone ? [] : this.#cluster.nodes.filter((node) => node !== this && node.isRunning)
    const seen = others.map((node) => node.#awaitUp(this))
    const launched = this.#launch()
    // Whatever fails first is told; the rest must not go unheard.
    await Promise.all([launched.then(() => this.#whenReady(others)), ...seen])
  }

  /** All of a new cluster at once. */
  static async startAll(nodes: readonly CassandraNode[]): Promise<void> {
    await Promise.all(nodes.map((node) => node.#launch()))
    await Promise.all(nodes.map((node) => node.#whenReady(nodes.filter((other) => other !== node))))
  }

  /** SIGKILL, as a crash; its data stays. */
  async kill(): Promise<void> {
    this.#child?.signal('SIGKILL')
    await this.#child?.exited
  }

  /** In order, which tells the others; its data stays. */
  async stop(): Promise<void> {
    // One that is paused would not hear of it.
    this.#child?.signal('SIGCONT')
    await this.#child?.stop('SIGTERM', STOP_MS)
  }

  /** Stops it if it runs, and starts it again on its data. */
  async restart(options: { readonly isAlone?: boolean } = {}): Promise<void> {
    await this.stop()
    await this.start(options)
  }

  /** Stands still with its connections open: to others like a long pause, or a network that drops everything. */
  pause(): void {
    this.#running().signal('SIGSTOP')
  }

  resume(): void {
    this.#running().signal('SIGCONT')
  }

  async nodetool(...command: string[]): Promise<string> {
    const { code, output } = await runChild({
      command: this.#program.command,
      args: nodetoolArguments(this.#program.jars, this.#jmxPort, this.plan.folder, command),
      timeoutMs: NODETOOL_MS,
    })
    if (code !== 0) throw new Error(`nodetool ${command.join(' ')} ended with exit code ${code}\n${output}`)
    return output
  }

  #running(): Child {
    if (this.#child === null || this.#child.exit !== null) throw new Error(`${this.address} does not run`)
    return this.#child
  }

  async #launch(): Promise<void> {
    // A new one each time: while the node was down, another process may have been given the old one.
    this.#jmxPort = await freePort()
    this.#child = await startChild({
      command: this.#program.command,
      args: nodeArguments(this.plan, this.#program, this.#jmxPort),
      cwd: this.plan.folder,
      name: `cassandra ${this.address}`,
      endsWithParent: true,
    })
  }

  async #whenReady(others: readonly CassandraNode[]): Promise<void> {
    const child = this.#running()
    const isReady = async () => {
      const peers = await knownPeers(probeOf(this.plan))
      return peers !== null && others.every(({ address }) => peers.includes(address))
    }
    await child.waitUntil('answering clients and knowing the others', isReady, READY_MS)
    await Promise.all(others.map((other) => child.waitForOutput(isUp(other), READY_MS)))
  }

  /** Resolves when this node has seen `other` come up from now on. */
  async #awaitUp(other: CassandraNode): Promise<void> {
    const child = this.#running()
    await child.waitForOutput(isUp(other), READY_MS, child.outputLength)
  }
}

/** What the gossiper prints. */
function isUp({ address }: CassandraNode): RegExp {
  return new RegExp(`InetAddress /${address.replaceAll('.', '\\.')}:\\d+ is now UP`)
}

export interface ClusterTls {
  readonly ca: string
  /** For clients that are asked for one. */
  readonly client: TestCertificate
}

export class CassandraCluster {
  readonly nodes: readonly CassandraNode[]
  readonly folder: string
  /** Null without TLS. */
  readonly tls: ClusterTls | null
  /** Of the first role, which may do everything; null where nobody has to log in. */
  readonly credentials: typeof FIRST_ROLE | null
  readonly port = PORT

  constructor(folder: string, plans: readonly NodePlan[], program: CassandraProgram, tls: ClusterTls | null) {
    this.folder = folder
    this.nodes = plans.map((plan) => new CassandraNode(plan, program, this))
    this.tls = tls
    this.credentials = plans.some(({ auth }) => auth === true) ? { username: 'cassandra', password: 'cassandra' } : null
  }

  of(dataCenter: string): readonly CassandraNode[] {
    return this.nodes.filter((node) => node.dataCenter === dataCenter)
  }

  contactPoints(dataCenter: string): string[] {
    return this.of(dataCenter).map(({ address }) => address)
  }

  get address(): CassandraAddress {
    const names = [...new Set(this.nodes.map(({ dataCenter }) => dataCenter))]
    return { port: this.port, dataCenters: Object.fromEntries(names.map((name) => [name, this.contactPoints(name)])) }
  }

  /** Ends all nodes at once and deletes their data. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    rmSync(this.folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/**
 * Starts a cluster; resolves when every node answers and sees the others, and rejects with the output of one that does
 * not. About 8 s for two nodes, and 300 MiB for each.
 */
export async function startCassandra(options: CassandraOptions): Promise<CassandraCluster> {
  const program = await locatePart('cassandra')
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-cassandra-'))
  // The nodes of a process that ends without `stop` end with it.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const { auth = false, tls = false } = options
  const planned = await planNodes(folder, options)
  const addresses = planned.map(({ address }) => address)
  const made = tls === false ? null : await makeTls(addresses, tls !== true && tls.requireClientCertificate === true)
  const plans = planned.map((plan) => ({ ...plan, auth, ...(made !== null && { tls: made.nodes }) }))
  for (const plan of plans) writeNodeFiles(plan)
  const cluster = new CassandraCluster(folder, plans, program, made?.cluster ?? null)
  try {
    await CassandraNode.startAll(cluster.nodes)
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

/** One certificate for all nodes, with their addresses: clients know the nodes by these. */
async function makeTls(
  addresses: readonly string[],
  isClientAsked: boolean,
): Promise<{ readonly nodes: NodeTls; readonly cluster: ClusterTls }> {
  const authority = await makeCertificate(['Cassandra test authority'], { isAuthority: true })
  const node = await makeCertificate(['cassandra', ...addresses], { issuer: authority })
  const client = await makeCertificate(['client'], { issuer: authority })
  return { nodes: { ca: authority.cert, node, isClientAsked }, cluster: { ca: authority.cert, client } }
}
