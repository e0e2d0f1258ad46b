/** A real Cassandra cluster over several data centers, on addresses of its own, for tests, benchmarks and developers. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { nodeCommand, nodetoolCommand, writeNodeFiles, type NodePlan } from './cassandra-node.ts'
import { planNodes } from './cassandra-plan.ts'
import type { Network } from './network.ts'
import { locatePart } from './parts.ts'
import { runChild, startChild, type Child } from './process.ts'

export interface CassandraOptions {
  /** `dc1:1,dc2:1`: data centers with their number of nodes. */
  readonly topology: string
  readonly heapMb?: number
  /** Further settings of cassandra.yaml, for all nodes. */
  readonly settings?: Readonly<Record<string, unknown>>
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
const NODETOOL_MS = 60_000

export class CassandraNode {
  readonly plan: NodePlan
  readonly #java: string
  readonly #jars: string
  #child: Child | null = null

  constructor(plan: NodePlan, java: string, jars: string) {
    this.plan = plan
    this.#java = java
    this.#jars = jars
  }

  get address(): string {
    return this.plan.address
  }

  get dataCenter(): string {
    return this.plan.dataCenter
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
    this.#child = await startChild({
      ...nodeCommand(this.plan, this.#java, this.#jars),
      cwd: this.plan.folder,
      name: `cassandra ${this.address}`,
    })
  }

  /** Resolves when clients are answered. */
  async whenReady(): Promise<void> {
    if (this.#child === null) throw new Error(`${this.address} was not started`)
    const { address, port } = this.plan
    await this.#child.waitUntil('answering clients', () => answersOptions(address, port), READY_MS)
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    this.#child?.signal('SIGKILL')
    await this.#child?.exited
    this.#child = null
  }

  /** In order: the others are told. */
  async stop(): Promise<void> {
    await this.#child?.stop('SIGTERM', 30_000)
    this.#child = null
  }

  async restart(): Promise<void> {
    await this.start()
    await this.whenReady()
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
      ...nodetoolCommand(this.plan, this.#java, this.#jars, command),
      timeoutMs: NODETOOL_MS,
    })
    if (code !== 0) throw new Error(`nodetool ${command.join(' ')} ended with exit code ${code}\n${output}`)
    return output
  }
}

export class CassandraCluster {
  readonly nodes: readonly CassandraNode[]
  readonly #folder: string | null

  constructor(nodes: readonly CassandraNode[], temporaryFolder: string | null) {
    this.nodes = nodes
    this.#folder = temporaryFolder
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

  async stop(): Promise<void> {
    // Nothing of a temporary cluster is needed any more, so it need not end in order.
    await Promise.all(this.nodes.map((node) => (this.#folder === null ? node.stop() : node.kill())))
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** Starts a cluster and waits until every node answers; rejects with the output of a node that does not. */
export async function startCassandra(options: CassandraOptions): Promise<CassandraCluster> {
  const { command, jars } = await locatePart('cassandra')
  const folder = options.folder ?? mkdtempSync(path.join(tmpdir(), 'meridian-cassandra-'))
  const plans = await planNodes(folder, options)
  for (const plan of plans) writeNodeFiles(plan)
  const cluster = new CassandraCluster(
    plans.map((plan) => new CassandraNode(plan, command, jars)),
    options.folder === undefined ? folder : null,
  )
  try {
    await Promise.all(cluster.nodes.map((node) => node.start()))
    await Promise.all(cluster.nodes.map((node) => node.whenReady()))
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

/** Whether OPTIONS of the native protocol (version 4) is answered with SUPPORTED. */
export function answersOptions(host: string, port: number): Promise<boolean> {
  const OPTIONS = Buffer.from([0x04, 0, 0, 0, 0x05, 0, 0, 0, 0])
  const SUPPORTED = 0x06
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 })
    const finish = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => socket.write(OPTIONS))
    socket.once('data', (bytes) => finish(bytes[4] === SUPPORTED))
    for (const event of ['timeout', 'error', 'end'] as const) socket.once(event, () => finish(false))
  })
}
