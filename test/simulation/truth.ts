/**
 * What the cluster has decided, as nobody in it can see it: the log in the order of its decisions, and the state after each revision
 * by the naive rules. The judge of what nodes report, and of what the projection in each data center vouches for.
 */
import type { Row } from '#model/document.ts'
import { entryOfRow, partsOfRow } from '#store/cassandra/entry-rows.ts'
import type { TableRow } from '#store/cassandra/port.ts'
import { CONFIG_LOG, CONFIG_PAYLOAD, ENTITIES, LOG_STATE } from '#store/cassandra/tables.ts'
import { canonicalJson } from '#store/canonical.ts'
import type { LogEntry, Operation } from '#store/contract.ts'
import { NaiveState } from '../contract/naive-state.ts'
import { definitions } from '../contract/store-fixture.ts'
import { visibleRow, type Mutation } from './cells.ts'
import type { Replica } from './replica.ts'
import { majority } from './replication.ts'
import type { SimulatedCassandra } from './simulated-cassandra.ts'

interface Version {
  readonly revision: number
  readonly document: string | null
}

interface Entity {
  readonly kind: string
  readonly workspace: string
  readonly id: string
  readonly versions: Version[]
}

export class Truth {
  readonly #cluster: SimulatedCassandra
  readonly #bucketOf: (kind: string, id: string) => number
  readonly #operationsOf: (txid: string) => readonly Operation[]
  readonly #violation: (text: string) => void
  readonly #naive = new NaiveState(definitions.entities)
  readonly #states = new Map<number, readonly Row[]>()
  readonly #entities = new Map<string, Entity>()
  /** Up to where the projection of each data center was found right. */
  readonly #checked = new Map<string, number>()
  readonly entries = new Map<number, LogEntry>()
  readonly base: number
  head: number

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
    this.base = this.head = this.#naive.revision = base
    this.#states.set(base, [])
    cluster.onDecided = (mutation) => this.#decided(mutation)
    cluster.onWrite = (mutation) => this.#written(mutation)
  }

  stateAt(revision: number): readonly Row[] | undefined {
    return this.#states.get(revision)
  }

  /** Compares what every local quorum of the data center reads with the log at its watermark. */
  checkProjection(dataCenter: string, watermark: number): void {
    const replicas = this.#cluster.replication.in(dataCenter)
    const from = this.#checked.get(dataCenter) ?? this.base
    for (const entity of this.#entities.values()) {
      const wanted = entity.versions.findLast(({ revision }) => revision <= watermark)
      if (wanted && wanted.revision > from) this.#checkRow(dataCenter, replicas, entity, wanted, watermark)
    }
    this.#checked.set(dataCenter, Math.max(from, watermark))
  }

  /** The same for everything, also what was found right before. */
  checkAgain(dataCenter: string, watermark: number): void {
    this.#checked.delete(dataCenter)
    this.checkProjection(dataCenter, watermark)
  }

  watermark(dataCenter: string): number {
    const [row] = this.#cluster.peek(
      LOG_STATE,
      { partition: { epoch: 1, name: `projected ${dataCenter}` }, limit: 1 },
      this.#cluster.replication.in(dataCenter),
    )
    return (row?.revision as number | undefined) ?? this.base
  }

  #checkRow(
    dataCenter: string,
    replicas: readonly Replica[],
    entity: Entity,
    wanted: Version,
    watermark: number,
  ): void {
    const { kind, workspace, id } = entity
    const selection = {
      partition: { epoch: 1, kind, bucket: this.#bucketOf(kind, id) },
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
    if (table !== CONFIG_LOG) return
    for (const cells of rows.values()) {
      const row = visibleRow(table, cells, this.#cluster.network.time.nowMs)
      // A second decision of one slot: who was told of it will contradict the first.
      if (row && !this.entries.has(row.revision as number)) this.#enter(row)
    }
  }

  #enter(row: TableRow): void {
    const entry = entryOfRow(
      row,
      partsOfRow(row).map((hash) => this.#part(hash)),
    )
    const { revision, txid, members } = entry
    this.entries.set(revision, entry)
    if (revision !== this.head + 1)
      return this.#violation(`log: revision ${revision} was decided where ${this.head + 1} comes next`)
    this.head = revision
    for (const [index, { kind, workspace, id }] of entry.effects.entries()) {
      const place = `${kind}\0${workspace}\0${id}`
      const document = entry.effects[index]?.document ?? null
      let entity = this.#entities.get(place)
      if (!entity) this.#entities.set(place, (entity = { kind, workspace, id, versions: [] }))
      entity.versions.push({ revision, document: document && canonicalJson(document) })
    }
    const operations = (members ?? [{ txid }]).flatMap((member) => this.#operationsOf(member.txid))
    if (!this.#naive.apply(operations))
      this.#violation(`log: revision ${revision} breaks a rule: ${JSON.stringify(operations)}`)
    this.#states.set(revision, this.#naive.rows)
  }

  #part(hash: string): string {
    const [row] = this.#cluster.peek(CONFIG_PAYLOAD, { partition: { hash }, limit: 1 })
    if (!row) this.#violation(`log: an entry was decided before its part ${hash} was there`)
    return (row?.content as string | undefined) ?? '[]'
  }

  #written({ table, rows }: Mutation): void {
    if (table !== LOG_STATE) return
    for (const { key, cells } of rows.values()) {
      const revision = cells[1]?.value as number
      const [, dataCenter] = String(key.name).split('projected ')
      if (this.entries.get(revision)?.hash !== cells[2]?.value && revision !== this.base)
        this.#violation(`projection: the watermark ${revision} of ${dataCenter} has the hash of no entry`)
      if (dataCenter) this.checkProjection(dataCenter, revision)
    }
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
