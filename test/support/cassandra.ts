/** A real Cassandra cluster over several data centers, on addresses of its own, for tests, benchmarks and developers. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  FIRST_ROLE,
  nodeCommand,
  nodetoolCommand,
  probeOf,
  writeNodeFiles,
  type CassandraProgram,
  type NodePlan,
  type NodeTls,
} from './cassandra-node.ts'
import { planNodes } from './cassandra-plan.ts'
import { makeCertificate, type TestCertificate } from './certificates.ts'
import { knownPeers } from './cql-probe.ts'
import type { Network } from './network.ts'
import { locatePart } from './parts.ts'
import { runChild, startChild, type Child } from './process.ts'

export interface CassandraOptions {
  /** `dc1:1,dc2:1`: data centers with their number of nodes. */
  readonly topology: string
  readonly heapMb?: number
  /** Further settings of cassandra.yaml, for all nodes. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Clients need TLS; with `requireClientCertificate` also a certificate. Both are `cluster.tls`. */
  readonly tls?: boolean | { readonly requireClientCertificate: boolean }
  /** Clients log in, at first with `cluster.credentials`. */
  readonly auth?: boolean
  /** Where the nodes' files go, to be kept; by default a temporary folder that is deleted with the cluster. */
  readonly folder?: string
  /** Puts the nodes of each data center into the site of its name; by default all are on loopback. */
  readonly network?: Network
}

/** What of a cluster its clients need; it can be given to another process. */
export interface CassandraAddress {
  readonly port: number
  /** Addresses of the nodes by data center. */
  readonly dataCenters: Readonly<Record<string, readonly string[]>>
}

/** A first start on a busy machine, with several nodes beside it. */
const READY_MS = 180_000
/** SIGTERM took up to 7 s. */
const STOP_MS = 30_000
const NODETOOL_MS = 60_000

export class CassandraNode {
  readonly plan: NodePlan
  readonly #program: CassandraProgram
  /** All nodes of its cluster. */
  readonly #all: readonly CassandraNode[]
  #child: Child | null = null

  /** `all` may grow until it is started. */
  constructor(plan: NodePlan, program: CassandraProgram, all: readonly CassandraNode[]) {
    this.plan = plan
    this.#program = program
    this.#all = all
  }

  get address(): string {
    return this.plan.address
  }

  get port(): number {
    return this.plan.port
  }

  get dataCenter(): string {
    return this.plan.dataCenter
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exit === null
  }

  get pid(): number {
    if (this.#child === null) throw new Error(`${this.address} does not run`)
    return this.#child.pid
  }

  get output(): string {
    return this.#child?.output ?? ''
  }

  /** Starts the process; `whenReady` waits for it. */
  async start(): Promise<void> {
    if (this.isRunning) throw new Error(`${this.address} runs already`)
    this.#child = await startChild({
      ...nodeCommand(this.plan, this.#program),
      cwd: this.plan.folder,
      name: `cassandra ${this.address}`,
      endsWithParent: true,
    })
  }

  /**
   * Resolves when it answers clients, has placed every other node in its ring (before, it takes their data centers for
   * unknown), and, unless `isAlone`, sees those that run: before, it takes them for dead.
   */
  async whenReady({ isAlone = false } = {}): Promise<void> {
    const child = this.#child
    if (child === null) throw new Error(`${this.address} was not started`)
    const isAnswering = async () => {
      const peers = await knownPeers(probeOf(this.plan))
      return peers !== null && this.plan.seeds.every((seed) => seed === this.address || peers.includes(seed))
    }
    await child.waitUntil('answering clients and knowing the others', isAnswering, READY_MS)
    if (!isAlone) await Promise.all(this.#runningOthers().map((other) => child.waitForOutput(isUp(other), READY_MS)))
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    this.#child?.signal('SIGKILL')
    await this.#child?.exited
    this.#child = null
  }

  /** In order: the others are told. */
  async stop(): Promise<void> {
    // One that is paused would not hear of it.
    this.#child?.signal('SIGCONT')
    await this.#child?.stop('SIGTERM', STOP_MS)
    this.#child = null
  }

  /**
   * Stops it if it runs, and starts it on its data. Resolves when it is ready and, unless `isAlone`, those that run see it
   * again.
   */
  async restart({ isAlone = false } = {}): Promise<void> {
    await this.stop()
    const seen = isAlone ? [] : this.#runningOthers().map((other) => other.#whenSeeing(this))
    await Promise.all([this.start().then(() => this.whenReady({ isAlone })), ...seen])
  }

  /** Stands still, with its connections open: what a long pause or a partition looks like to the others. */
  pause(): void {
    this.#child?.signal('SIGSTOP')
  }

  resume(): void {
    this.#child?.signal('SIGCONT')
  }

  async nodetool(...command: string[]): Promise<string> {
    const { code, output } = await runChild({
      ...nodetoolCommand(this.plan, this.#program, command),
      timeoutMs: NODETOOL_MS,
    })
    if (code !== 0) throw new Error(`nodetool ${command.join(' ')} ended with exit code ${code}\n${output}`)
    return output
  }

  #runningOthers(): CassandraNode[] {
    return this.#all.filter((node) => node !== this && node.isRunning)
  }

  /** Resolves when it has seen `other` come up from now on. */
  async #whenSeeing(other: CassandraNode): Promise<void> {
    await this.#child?.waitForOutput(isUp(other), READY_MS, this.#child.outputLength)
  }
}

/** What a node prints of another one. */
function isUp({ address }: CassandraNode): RegExp {
  return new RegExp(`InetAddress /${address.replaceAll('.', '\\.')}:\\d+ is now UP`)
}

export interface ClusterTls {
  /** PEM. */
  readonly ca: string
  /** For clients that are asked for one. */
  readonly client: TestCertificate
}

export class CassandraCluster {
  readonly nodes: readonly CassandraNode[]
  /** Null without TLS. */
  readonly tls: ClusterTls | null
  readonly #folder: string | null

  constructor(nodes: readonly CassandraNode[], tls: ClusterTls | null, temporaryFolder: string | null) {
    this.nodes = nodes
    this.tls = tls
    this.#folder = temporaryFolder
  }

  /** Of the first role, which may do everything; null where nobody has to log in. */
  get credentials(): typeof FIRST_ROLE | null {
    return this.nodes.some(({ plan }) => plan.auth === true) ? FIRST_ROLE : null
  }

  get port(): number {
    return this.nodes[0]?.plan.port ?? 0
  }

  get address(): CassandraAddress {
    const dataCenters: Record<string, string[]> = {}
    for (const { dataCenter, address } of this.nodes) (dataCenters[dataCenter] ??= []).push(address)
    return { port: this.port, dataCenters }
  }

  of(dataCenter: string): readonly CassandraNode[] {
    return this.nodes.filter((node) => node.dataCenter === dataCenter)
  }

  contactPoints(dataCenter: string): string[] {
    return this.of(dataCenter).map(({ address }) => address)
  }

  async stop(): Promise<void> {
    // Nothing of a temporary cluster is needed any more, so it need not end in order.
    await Promise.all(this.nodes.map((node) => (this.#folder === null ? node.stop() : node.kill())))
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/**
 * Starts a cluster and waits until every node answers and sees the others; rejects with the output of one that does not.
 * Two nodes take about 8 s, and 300 MiB each.
 */
export async function startCassandra(options: CassandraOptions): Promise<CassandraCluster> {
  const program = await locatePart('cassandra')
  const folder = options.folder ?? temporaryFolder()
  const { auth = false, tls = false } = options
  const planned = await planNodes(folder, options)
  const addresses = planned.map(({ address }) => address)
  const made = tls === false ? null : await makeTls(addresses, tls !== true && tls.requireClientCertificate)
  const nodes: CassandraNode[] = []
  for (const place of planned) {
    const plan = { ...place, auth, ...(made !== null && { tls: made.nodes }) }
    writeNodeFiles(plan)
    nodes.push(new CassandraNode(plan, program, nodes))
  }
  const cluster = new CassandraCluster(nodes, made?.cluster ?? null, options.folder === undefined ? folder : null)
  try {
    await Promise.all(nodes.map((node) => node.start()))
    await Promise.all(nodes.map((node) => node.whenReady()))
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

/** Deleted also by a process that ends without `stop`: its nodes have ended then. */
function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-cassandra-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/** One certificate for all nodes, with their addresses: clients know them by these. */
async function makeTls(
  addresses: readonly string[],
  isClientAsked: boolean,
): Promise<{ readonly nodes: NodeTls; readonly cluster: ClusterTls }> {
  const authority = await makeCertificate(['Cassandra test authority'], { isAuthority: true })
  const node = await makeCertificate(['cassandra', ...addresses], { issuer: authority })
  const client = await makeCertificate(['client'], { issuer: authority })
  return { nodes: { ca: authority.cert, node, isClientAsked }, cluster: { ca: authority.cert, client } }
}
