/**
 * The nodes of the cluster, by the rows that each writes of itself again and again in its data center's partition. Whether another
 * one is up is judged by this node's own monotonic clock alone: its row has changed within the last seconds, as seen from here.
 * What clocks of other machines say is never compared.
 *
 * Nothing here throws into the gateway: a cluster that can't be asked is a state (`failure`), told once.
 */
import type { Logger } from '#telemetry/logger.ts'
import {
  conditionOf,
  parseNodeState,
  type ClusterView,
  type NodeState,
  type NodeStatus,
  type NodeView,
} from '../cluster-view.ts'
import { CassandraFailure, type CassandraPort, type TableRow } from './port.ts'
import { NODES } from './tables.ts'

export interface MembershipOptions {
  readonly port: CassandraPort
  readonly nodeId: string
  readonly dataCenter: string
  /** All that hold the configuration (`cassandra_data_centers`); the node's own is always among them. */
  readonly dataCenters: readonly string[]
  /** What this node says of itself now. Must not throw. */
  readonly state: () => NodeState
  readonly log: Pick<Logger, 'info' | 'warn'>
  /** Milliseconds that only go forward. */
  readonly monotonicMs: () => number
  /** Unix ms; may be wrong, and may jump. */
  readonly nowMs: () => number
  /** Resolves after the time; may reject as soon as the signal says that nobody waits for it any more. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<unknown>
  /** 0 to 1. */
  readonly random: () => number
}

const BEAT_MS = 2_000
/** Between two rounds that somebody asked for. */
const SHORTEST_MS = 500
/** A row that has not changed for so long, five rounds of its node, is that of a node which is down. */
export const UP_MS = 10_000
/** A pause between two reads of a data center after which silence before it says nothing of its nodes. */
const GAP_MS = 5_000
/** A node that has ended is still shown as down for so long. */
const TTL_SECONDS = 600
/** For each statement. The driver ends it for good at its own time-out; until then a few may be under way. */
const STATEMENT_MS = 1_500
/** Rows of a data center that are read. */
const NODES_LIMIT = 1_000

interface Seen {
  beat: number
  state: NodeState
  /** On this node's monotonic clock. */
  changedAtMs: number
  /** Whether it has changed before these eyes, and did not only stand there. */
  hasChanged: boolean
}

interface DataCenter {
  readonly nodes: Map<string, Seen>
  readAtMs: number | null
}

export class Membership implements ClusterView {
  readonly dataCenters: readonly string[]
  readonly #options: MembershipOptions
  readonly #seen: ReadonlyMap<string, DataCenter>
  #running: Promise<void> = Promise.resolve()
  #isClosed = false
  #isWoken = false
  #wake = () => {}
  /** The number of this node's last heartbeat. */
  #beat = 0
  #hasReadOwn = false
  #hasWritten = false
  #hasToldOfDouble = false
  /** Why the rows can't be read or written now; null while they can. */
  failure: Error | null = null

  constructor(options: MembershipOptions) {
    this.#options = options
    this.dataCenters = [...new Set([options.dataCenter, ...options.dataCenters])].toSorted()
    this.#seen = new Map(this.dataCenters.map((name) => [name, { nodes: new Map<string, Seen>(), readAtMs: null }]))
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Writes and reads soon: what this node serves has changed, or somebody waits for others. */
  wake(): void {
    this.#isWoken = true
    this.#wake()
  }

  /** Ends with a last row that says so, where the cluster can be asked. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.wake()
    await this.#running
    if (!this.#hasWritten) return
    try {
      await this.#write({ ...this.#options.state(), ready: false, stopped: true })
    } catch (error) {
      // Then the others find out by its silence.
      this.#fail(error)
    }
  }

  nodes(): readonly NodeView[] {
    const { nodeId, dataCenter, state } = this.#options
    const self: NodeView = { ...state(), node_id: nodeId, data_center: dataCenter, is_self: true, status: 'up' }
    const nodes = [self]
    for (const [name, { nodes: seen, readAtMs }] of this.#seen) {
      for (const [id, node] of seen) {
        if (id === nodeId && name === dataCenter) continue
        const status = this.#statusOf(node, readAtMs)
        nodes.push({ ...node.state, node_id: id, data_center: name, is_self: false, status })
      }
    }
    return nodes.toSorted(byPlace)
  }

  /**
   * The node that projects for this data center: of those that take traffic and follow the latest epoch the one with the lowest id;
   * alone or in doubt this one. (Who still waits for the state of that epoch could not, and perhaps it is the one here that has it.)
   */
  get projector(): string {
    const { nodeId, dataCenter } = this.#options
    return this.failure === null ? (this.#projectorOf(dataCenter)?.id ?? nodeId) : nodeId
  }

  /** Whether this is the one that projects for all data centers: the projector of the first whose one could. In doubt none is. */
  get isFirstProjector(): boolean {
    if (this.failure !== null) return false
    const projectors = this.dataCenters.map((name) => this.#projectorOf(name))
    const epoch = Math.max(...projectors.map((projector) => projector?.epoch ?? -1))
    const first = projectors.findIndex((projector) => projector?.epoch === epoch)
    const { dataCenter, nodeId } = this.#options
    return this.dataCenters[first] === dataCenter && projectors[first]?.id === nodeId
  }

  #projectorOf(dataCenter: string): { readonly id: string; readonly epoch: number } | undefined {
    const { nodeId, dataCenter: own, state } = this.#options
    const { nodes = new Map<string, Seen>(), readAtMs = null } = this.#seen.get(dataCenter) ?? {}
    const isSelf = (id: string) => dataCenter === own && id === nodeId
    const isFit = (node: Seen) =>
      node.hasChanged && conditionOf({ ...node.state, status: this.#statusOf(node, readAtMs) }) === 'ready'
    const others = [...nodes].filter(([id, node]) => !isSelf(id) && isFit(node))
    const candidates = others.map(([id, node]) => ({ id, epoch: node.state.epoch }))
    const { draining, epoch } = state()
    if (dataCenter === own && !draining) candidates.push({ id: nodeId, epoch })
    return candidates.toSorted((a, b) => b.epoch - a.epoch || (a.id < b.id ? -1 : 1))[0]
  }

  /** The newest revision that another node which is up says it holds; -1 when there is none. An epoch may have begun before it. */
  get newestRevision(): number {
    const { nodeId, dataCenter } = this.#options
    let newest = -1
    for (const [name, { nodes, readAtMs }] of this.#seen) {
      for (const [id, node] of nodes) {
        if ((id === nodeId && name === dataCenter) || this.#statusOf(node, readAtMs) !== 'up') continue
        newest = Math.max(newest, node.state.applied_revision)
      }
    }
    return newest
  }

  #statusOf({ state, changedAtMs }: Seen, readAtMs: number | null): NodeStatus {
    if (state.stopped) return 'down'
    const nowMs = this.#options.monotonicMs()
    if (nowMs - changedAtMs <= UP_MS) return 'up'
    return readAtMs === null || nowMs - readAtMs > GAP_MS ? 'unknown' : 'down'
  }

  async #run(): Promise<void> {
    const { monotonicMs, random } = this.#options
    while (!this.#isClosed) {
      const startedAtMs = monotonicMs()
      this.#isWoken = false
      await this.#round()
      if (!this.#isWoken) await this.#sleep(BEAT_MS * (0.9 + random() / 5), () => this.#isWoken)
      // However often somebody asks, a node writes its row only so often.
      const leftMs = startedAtMs + SHORTEST_MS - monotonicMs()
      if (leftMs > 0) await this.#sleep(leftMs, () => false)
    }
  }

  async #round(): Promise<void> {
    try {
      const reads = await Promise.allSettled(this.dataCenters.map((name) => this.#read(name)))
      // Before its own row was read, a node does not know what number its heartbeat has to exceed.
      if (this.#hasReadOwn) await this.#write(this.#options.state())
      for (const read of reads) if (read.status === 'rejected') throw read.reason
      this.#recover()
    } catch (error) {
      this.#fail(error)
    }
  }

  /**
   * The heartbeat's number is the write's timestamp too, and goes up even when the node's clock is set back: else the row would keep
   * an older state until the clock is there again, and the node would count as down.
   */
  async #write(state: NodeState): Promise<void> {
    const { port, nodeId, dataCenter, nowMs } = this.#options
    this.#beat = Math.max(this.#beat + 1, Math.floor(nowMs()))
    const row = { data_center: dataCenter, node_id: nodeId, state: JSON.stringify(state), heartbeat_ms: this.#beat }
    await this.#inTime(
      port.insert(NODES, row, {
        consistency: 'LOCAL_QUORUM',
        timestamp: this.#beat * 1000,
        ttlSeconds: TTL_SECONDS,
      }),
    )
    this.#hasWritten = true
  }

  async #read(dataCenter: string): Promise<void> {
    const { port, monotonicMs } = this.#options
    const rows = await this.#inTime(
      port.select(NODES, {
        partition: { data_center: dataCenter },
        limit: NODES_LIMIT,
        consistency: 'LOCAL_QUORUM',
      }),
    )
    const place = this.#seen.get(dataCenter)!
    const nowMs = monotonicMs()
    if (place.readAtMs !== null && nowMs - place.readAtMs > GAP_MS) forgiveSilence(place, place.readAtMs, nowMs)
    place.readAtMs = nowMs
    const ids = new Set(rows.map((row) => String(row['node_id'])))
    for (const id of place.nodes.keys()) if (!ids.has(id)) place.nodes.delete(id)
    for (const row of rows) this.#take(place, String(row['node_id']), row, nowMs)
    if (dataCenter !== this.#options.dataCenter) return
    this.#hasReadOwn = true
    this.#lookAtOwn(place)
  }

  #take({ nodes }: DataCenter, id: string, row: TableRow, nowMs: number): void {
    const beat = Number(row['heartbeat_ms'] ?? 0)
    const known = nodes.get(id)
    if (known && known.beat >= beat) return
    const state = parseNodeState(String(row['state'] ?? ''))
    // One that is seen for the first time counts as up until it is silent: to wait for a dead node is the smaller mistake.
    nodes.set(id, { beat, state, changedAtMs: nowMs, hasChanged: known !== undefined })
  }

  #lookAtOwn({ nodes }: DataCenter): void {
    const { nodeId, state, log } = this.#options
    const own = nodes.get(nodeId)
    if (own === undefined) return
    this.#beat = Math.max(this.#beat, own.beat)
    if (!this.#hasWritten || this.#hasToldOfDouble || own.state.incarnation === state().incarnation) return
    this.#hasToldOfDouble = true
    log.warn(
      { node_id: nodeId, hostname: own.state.hostname },
      'another node runs with the id of this one; each needs its own (setting node_id, or the file node-id in the prefix)',
    )
  }

  async #inTime<T>(statement: Promise<T>): Promise<T> {
    const timer = new AbortController()
    const late = this.#options.delay(STATEMENT_MS, timer.signal).then(
      () => {
        throw new CassandraFailure('timeout', `no answer within ${STATEMENT_MS} ms`, false)
      },
      // Nobody waits any more.
      () => new Promise<never>(() => {}),
    )
    try {
      return await Promise.race([statement, late])
    } finally {
      timer.abort()
      // When it was late: what comes of it then is told by the next one.
      statement.catch(() => undefined)
      late.catch(() => undefined)
    }
  }

  #fail(error: unknown): void {
    if (this.failure === null)
      this.#options.log.warn(
        { err: error },
        'the rows of the nodes can not be read or written, the others are not known',
      )
    this.failure = error instanceof Error ? error : new Error(String(error))
  }

  #recover(): void {
    if (this.failure === null) return
    this.failure = null
    this.#options.log.info('the rows of the nodes are read and written again')
  }

  /** For the time, or until a wake after which it is enough; never once this is closed. */
  async #sleep(ms: number, isEnough: () => boolean): Promise<void> {
    if (this.#isClosed) return
    const timer = new AbortController()
    const woken = new Promise<void>((resolve) => {
      this.#wake = () => {
        if (this.#isClosed || isEnough()) resolve()
      }
    })
    try {
      // A timer that is given up rejects, which nobody waits for.
      await Promise.race([woken, this.#options.delay(ms, timer.signal).catch(() => undefined)])
    } finally {
      timer.abort()
      this.#wake = () => {}
    }
  }
}

/** Nobody looked, or the nodes could not write: who was up before has not been silent in that time. */
function forgiveSilence({ nodes }: DataCenter, readAtMs: number, nowMs: number): void {
  for (const node of nodes.values()) if (readAtMs - node.changedAtMs <= UP_MS) node.changedAtMs = nowMs
}

function byPlace(a: NodeView, b: NodeView): number {
  if (a.data_center !== b.data_center) return a.data_center < b.data_center ? -1 : 1
  return a.node_id < b.node_id ? -1 : a.node_id > b.node_id ? 1 : 0
}
