/**
 * What the cluster has decided, as nobody in it can see it: the log in the order of its decisions, and the state after each revision
 * by the naive rules. The judge of what nodes report, and of what the projection in each data center vouches for.
 */
import { entryOfRow, partsOfRow } from '#store/cassandra/entry-rows.ts'
import type { TableRow } from '#store/cassandra/port.ts'
import { CONFIG_LOG, CONFIG_PAYLOAD, ENTITIES, EPOCHS, LOG_STATE } from '#store/cassandra/tables.ts'
import { GENESIS_HASH } from '#store/chain.ts'
import type { Head, Operation } from '#store/contract.ts'
import { visibleRow, type CellRow, type Mutation } from './cells.ts'
import type { Replica } from './replica.ts'
import { majority } from './replication.ts'
import type { SimulatedCassandra } from './simulated-cassandra.ts'
import { Timeline, type Entity, type Version } from './timeline.ts'

/** Of what stands before a log that does not begin at 0. */
export const SEEDED_HASH = 'b'.repeat(64)

export class Truth {
  readonly #cluster: SimulatedCassandra
  readonly #bucketOf: (kind: string, id: string) => number
  readonly #operationsOf: (txid: string) => readonly Operation[]
  readonly #violation: (text: string) => void
  /** Up to where the projection of each data center was found right, by epoch and data center. */
  readonly #checked = new Map<string, number>()
  /** By the number of the epoch. */
  readonly timelines = new Map<number, Timeline>()
  /** The process that began the epoch that counts; null for the first. */
  maker: string | null = null
  readonly base: number

  constructor(
    cluster: SimulatedCassandra,
    base: number,
    bucketOf: (kind: string, id: string) => number,
    operationsOf: (txid: string) => readonly Operation[],
    violation: (text: string) => void,
  ) {
    this.#cluster = cluster
    this.#bucketOf = bucketOf
    this.#operationsOf = operationsOf
    this.#violation = violation
    this.base = base
    const hash = base === 0 ? GENESIS_HASH : SEEDED_HASH
    this.timelines.set(1, new Timeline(1, { revision: base, hash }, null))
    cluster.onDecided = (mutation) => this.#decided(mutation)
    cluster.onWrite = (mutation) => this.#written(mutation)
  }

  /** The one that counts: of the last epoch that was decided. */
  get current(): Timeline {
    return this.timelines.get(Math.max(...this.timelines.keys()))!
  }

  get head(): number {
    return this.current.head
  }

  /** Every one that a node with this head may be on, the latest first. */
  leadingOver(head: Pick<Head, 'revision' | 'hash'>): readonly Timeline[] {
    return [...this.timelines.values()]
      .filter((timeline) => timeline.leadsOver(head))
      .toSorted((a, b) => b.epoch - a.epoch)
  }

  /** Compares what every local quorum of the data center reads with the log at its watermark. */
  checkProjection(dataCenter: string, watermark: number, timeline = this.current): void {
    const replicas = this.#cluster.replication.in(dataCenter)
    const place = `${timeline.epoch} ${dataCenter}`
    const from = this.#checked.get(place) ?? -1
    for (const entity of timeline.entities.values()) {
      const wanted = entity.versions.findLast(({ revision }) => revision <= watermark)
      if (wanted && wanted.revision > from)
        this.#checkRow(dataCenter, replicas, entity, wanted, watermark, timeline.epoch)
    }
    this.#checked.set(place, Math.max(from, watermark))
  }

  /** The same for everything, also what was found right before. */
  checkAgain(dataCenter: string, watermark: number): void {
    this.#checked.delete(`${this.current.epoch} ${dataCenter}`)
    this.checkProjection(dataCenter, watermark)
  }

  /** Null before the first of the epoch. */
  watermark(dataCenter: string): number | null {
    return (
      this.#mark(`projected ${dataCenter}`, this.#cluster.replication.in(dataCenter)) ??
      (this.current.epoch === 1 ? this.base : null)
    )
  }

  /** Whether some data center has the state that the epoch began with. */
  get isBaseWritten(): boolean {
    return this.current.base === 0 || this.#mark('projected base') !== null
  }

  #mark(name: string, replicas?: readonly Replica[]): number | null {
    const partition = { epoch: this.current.epoch, name }
    const [row] = this.#cluster.peek(LOG_STATE, { partition, limit: 1 }, replicas)
    return (row?.revision as number | undefined) ?? null
  }

  #checkRow(
    dataCenter: string,
    replicas: readonly Replica[],
    entity: Entity,
    wanted: Version,
    watermark: number,
    epoch: number,
  ): void {
    const { kind, workspace, id } = entity
    const selection = {
      partition: { epoch, kind, bucket: this.#bucketOf(kind, id) },
      equals: { workspace, id },
      limit: 1,
    }
    for (const quorum of quorums(replicas)) {
      const [row] = this.#cluster.peek(ENTITIES, selection, quorum)
      if (isAsWritten(row, entity, wanted)) continue
      const readers = quorum.map(({ name }) => name).join(' and ')
      const seen = row ? `revision ${row.revision}${row.deleted ? ', deleted' : ''}` : 'nothing'
      this.#violation(
        `projection: ${dataCenter} vouches for revision ${watermark}, where ${kind} ${id} is of ${wanted.revision}; ${readers} have ${seen}`,
      )
    }
  }

  #decided({ table, rows }: Mutation): void {
    if (table !== CONFIG_LOG && table !== EPOCHS) return
    for (const cells of rows.values()) {
      const row = visibleRow(table, cells, this.#cluster.network.time.nowMs)
      if (row && table === EPOCHS) this.#begin(row)
      else if (row) this.#enter(row)
    }
  }

  #begin(row: TableRow): void {
    const epoch = row.epoch as number
    const base = { revision: row.base_revision as number, hash: row.base_hash as string }
    // The first of a cluster is made by its first node.
    if (epoch === 1) return
    const [parent] = this.leadingOver(base)
    if (!parent) return this.#violation(`epoch: ${epoch} begins at revision ${base.revision} with the hash of no entry`)
    if (this.timelines.has(epoch)) return this.#violation(`epoch: ${epoch} was begun twice`)
    if (epoch > this.current.epoch) this.maker = row.made_by as string
    this.timelines.set(epoch, new Timeline(epoch, base, parent))
  }

  #enter(row: TableRow): void {
    const timeline = this.timelines.get(row.epoch as number)
    if (!timeline) return this.#violation(`log: an entry of epoch ${String(row.epoch)}, which was not begun`)
    // A second decision of one slot: who was told of it will contradict the first.
    if (timeline.entries.has(row.revision as number)) return
    const entry = entryOfRow(
      row,
      partsOfRow(row).map((hash) => this.#part(hash)),
    )
    const operations = (entry.members ?? [entry]).flatMap(({ txid }) => this.#operationsOf(txid))
    const wrong = timeline.enter(entry, operations)
    if (wrong !== null) this.#violation(`log: ${wrong}`)
  }

  #part(hash: string): string {
    const [row] = this.#cluster.peek(CONFIG_PAYLOAD, { partition: { hash }, limit: 1 })
    if (!row) this.#violation(`log: an entry was decided before its part ${hash} was there`)
    return (row?.content as string | undefined) ?? '[]'
  }

  #written({ table, rows }: Mutation): void {
    for (const row of rows.values()) {
      if (table === ENTITIES) this.#projected(row)
      else if (table === LOG_STATE) this.#vouched(row)
    }
  }

  /** A row is written into the keys of its own epoch only, also when that is over: a node that lags still loads it. */
  #projected(cells: CellRow): void {
    const row = visibleRow(ENTITIES, cells, this.#cluster.network.time.nowMs)
    if (!row) return
    const { epoch, kind, workspace, id, revision } = row as { epoch: number } & Record<string, string | number>
    const entity = this.timelines.get(epoch)?.entities.get(`${kind}\0${workspace}\0${id}`)
    if (!entity?.versions.some((version) => version.revision === revision))
      this.#violation(`projection: ${kind} ${id} of revision ${revision} was written, which is none of epoch ${epoch}`)
  }

  #vouched({ key, cells }: CellRow): void {
    const revision = cells[1]?.value as number
    const [, dataCenter] = String(key.name).split('projected ')
    const timeline = this.timelines.get(key.epoch as number)
    if (!timeline?.leadsOver({ revision, hash: cells[2]?.value as string }))
      this.#violation(`projection: the watermark ${revision} of ${dataCenter} has the hash of no entry`)
    if (dataCenter && timeline) this.checkProjection(dataCenter, revision, timeline)
  }
}

/** Each choice of as many replicas as make a quorum. */
function quorums(replicas: readonly Replica[]): readonly (readonly Replica[])[] {
  const size = majority(replicas.length)
  const choose = (from: readonly Replica[], count: number): (readonly Replica[])[] => {
    const [first, ...rest] = from
    if (count === 0 || !first) return count === 0 ? [[]] : []
    return [...choose(rest, count - 1).map((others) => [first, ...others]), ...choose(rest, count)]
  }
  return choose(replicas, size)
}

/** As it is at the watermark, or as a later entry wrote it. What is deleted may also not be there at all. */
function isAsWritten(row: TableRow | undefined, { versions }: Entity, wanted: Version): boolean {
  if (!row) return versions.some(({ revision, document }) => revision >= wanted.revision && document === null)
  if ((row.revision as number) < wanted.revision) return false
  const version = versions.find(({ revision }) => revision === row.revision)
  return version !== undefined && row.document === version.document && row.deleted === (version.document === null)
}
