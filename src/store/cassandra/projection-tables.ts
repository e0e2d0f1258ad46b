/**
 * The projection in Cassandra: the state of every entity, for nodes that start without a copy. Written only here, with the revision
 * as timestamp of its cells, so that any order and any number of times ends in the same rows. (One write with the clock as
 * timestamp would beat every revision for good.)
 */
import { createHash } from 'node:crypto'
import type { Change, Document } from '#model/document.ts'
import { canonicalJson } from '../canonical.ts'
import type { LogEntry } from '../contract.ts'
import type { StoredRow } from '../digest.ts'
import type { CassandraPort, ReadConsistency, Table, TableRow, WriteConsistency } from './port.ts'
import { ENTITIES, ENTITY_KEYS, LOG_STATE } from './tables.ts'

export interface Watermark {
  readonly revision: number
  readonly hash: string
}

/** A row as read: deleted ones have no document. */
export type ProjectedRow = Omit<StoredRow, 'sealed'> & { readonly sealed: string | null }

/** Partitions read at once. */
const READS_AT_ONCE = 32
/** Batches written at once: few, because appends to the log stand in the same queues, and nobody waits for a projection. */
const WRITES_AT_ONCE = 8
/** The largest limit that CQL takes: all of a partition. */
const MAX_ROWS = 2 ** 31 - 1
/** Rows that are collected before they are written: those of one partition are then one write. */
const ROWS_TOGETHER = 20_000
/** Of documents in one batch, which has to fit into a segment of the commit log many times. */
const BATCH_CHARS = 256 * 1024
/** The name of the row that says that the state of an epoch's beginning is written. */
const BASE = 'projected base'

/** For which data centers a projection is written: what it costs is the same. */
export type ProjectionScope =
  /** The local one, which needs nothing of the others. */
  | 'own'
  /** All, while all of them can be reached. */
  | 'all'

export interface ProjectionOptions {
  readonly port: CassandraPort
  readonly dataCenter: string
  /** All of the cluster that are known here. */
  readonly dataCenters?: readonly string[]
  readonly bucketsOf: (kind: string) => number
  /** Whether rows of the kind are looked up here by nodes whose copy is not whole: then their names are written too. */
  readonly isNamed?: (kind: string) => boolean
  /** The names of a row (sealed); see `LocalCopy`. */
  readonly entriesOf: (change: Change) => readonly string[]
}

/** That an entity has a name, or had it. */
export interface ProjectedName {
  readonly id: string
  readonly revision: number
  readonly isDeleted: boolean
}

interface NameRow extends ProjectedName {
  readonly kind: string
  readonly entry: string
}

export class ProjectionTables {
  readonly #port: CassandraPort
  readonly #dataCenter: string
  readonly #dataCenters: readonly string[]
  readonly bucketsOf: (kind: string) => number
  readonly #isNamed: (kind: string) => boolean
  readonly #entriesOf: (change: Change) => readonly string[]

  /** `bucketsOf` has to be the same on all nodes, for good: it says in which partition a row is. */
  constructor({ port, dataCenter, dataCenters = [], bucketsOf, isNamed = () => false, entriesOf }: ProjectionOptions) {
    this.#port = port
    this.#dataCenter = dataCenter
    this.#dataCenters = [...new Set([dataCenter, ...dataCenters])]
    this.bucketsOf = bucketsOf
    this.#isNamed = isNamed
    this.#entriesOf = entriesOf
  }

  /**
   * Up to where LOCAL_QUORUM reads in this data center show the whole projection; undefined before the first. Of all data centers the
   * lowest, as far as it is known here.
   */
  async watermark(epoch: number, scope: ProjectionScope = 'own'): Promise<Watermark | undefined> {
    const names = scope === 'own' ? [this.#dataCenter] : this.#dataCenters
    const marks = await Promise.all(names.map((name) => this.#watermarkOf(epoch, name)))
    return marks.reduce((lowest, mark) => lowest && mark && (mark.revision < lowest.revision ? mark : lowest))
  }

  async #watermarkOf(epoch: number, dataCenter: string): Promise<Watermark | undefined> {
    const partition = { epoch, name: watermarkName(dataCenter) }
    const [row] = await this.#port.select(LOG_STATE, { partition, limit: 1, consistency: 'LOCAL_QUORUM' })
    return row && { revision: row.revision as number, hash: row.hash as string }
  }

  /** Whether a data center has the whole state that the epoch begins with: reads of all data centers then show it. */
  async base(epoch: number): Promise<Watermark | undefined> {
    const [row] = await this.#port.select(LOG_STATE, {
      partition: { epoch, name: BASE },
      limit: 1,
      consistency: 'EACH_QUORUM',
    })
    return row && { revision: row.revision as number, hash: row.hash as string }
  }

  /**
   * Tells the other data centers that the whole state is written that the epoch begins with, and moves the watermark there. In this
   * order: with the watermark nobody comes back to this, also when the process dies in between.
   */
  async markBase(epoch: number, base: Watermark): Promise<void> {
    await this.#mark(epoch, BASE, base, 'LOCAL_QUORUM')
    await this.#mark(epoch, watermarkName(this.#dataCenter), base, 'LOCAL_QUORUM')
  }

  /**
   * Writes what entries that follow each other leave, and then moves the watermarks to the last: of this data center, or of all. A
   * watermark vouches for the rows, so each has its acknowledgement before.
   */
  async project(epoch: number, entries: readonly LogEntry[], scope: ProjectionScope): Promise<void> {
    const last = entries.at(-1)
    if (!last) return
    const consistency = scope === 'own' ? 'LOCAL_QUORUM' : 'EACH_QUORUM'
    let rows = new Map<string, ProjectedRow>()
    let names = new Map<string, NameRow>()
    for (const entry of entries) {
      for (const { kind, workspace, id, document } of entry.effects) {
        const sealed = document && canonicalJson(document)
        // Of several writes of a row only the last would stay.
        rows.set(`${kind}\0${workspace}\0${id}`, { kind, workspace, id, revision: entry.revision, sealed })
      }
      for (const name of this.#namesOf(entry)) names.set(`${name.kind}\0${name.entry}\0${name.id}`, name)
      if (rows.size < ROWS_TOGETHER) continue
      await this.#write(epoch, rows.values(), names.values(), consistency)
      rows = new Map()
      names = new Map()
    }
    await this.#write(epoch, rows.values(), names.values(), consistency)
    const places = scope === 'own' ? [this.#dataCenter] : this.#dataCenters
    await Promise.all(places.map((name) => this.#mark(epoch, watermarkName(name), last, consistency)))
  }

  async #mark(
    epoch: number,
    name: string,
    { revision, hash }: Watermark,
    consistency: WriteConsistency,
  ): Promise<void> {
    await this.#port.insert(LOG_STATE, { epoch, name, revision, hash }, { consistency, timestamp: revision })
  }

  /**
   * Writes a whole state: what an epoch begins with. Rows that another writer put for a later state than this one are newer and
   * stay; those that this one no longer has are the business of the entries that deleted them.
   */
  async projectState(epoch: number, rows: AsyncIterable<StoredRow>): Promise<void> {
    let some: ProjectedRow[] = []
    let names: NameRow[] = []
    for await (const row of rows) {
      const { kind, workspace, id, revision, sealed } = row
      some.push(row)
      if (this.#isNamed(kind)) {
        const document = JSON.parse(sealed) as Document
        const entries = this.#entriesOf({ kind, workspace, id, document })
        names.push(...entries.map((entry) => ({ kind, entry, id, revision, isDeleted: false })))
      }
      if (some.length < ROWS_TOGETHER) continue
      await this.#write(epoch, some, names, 'LOCAL_QUORUM')
      some = []
      names = []
    }
    await this.#write(epoch, some, names, 'LOCAL_QUORUM')
  }

  /** The names that rows have after the entry, and those that they no longer have. */
  *#namesOf({ revision, effects, before }: LogEntry): Generator<NameRow> {
    const named = effects.map((effect, index) => ({ effect, document: before[index] ?? null }))
    // An entity that moves to another workspace keeps some: those that it has come last.
    for (const { effect, document } of named)
      for (const entry of this.#entriesIn({ ...effect, document }))
        yield { kind: effect.kind, entry, id: effect.id, revision, isDeleted: true }
    for (const { effect } of named)
      for (const entry of this.#entriesIn(effect))
        yield { kind: effect.kind, entry, id: effect.id, revision, isDeleted: false }
  }

  #entriesIn(change: Change): readonly string[] {
    return this.#isNamed(change.kind) ? this.#entriesOf(change) : []
  }

  /** Rows of one partition go together, whatever their revisions. Names come before the rows that have them: nobody misses what is there. */
  async #write(
    epoch: number,
    rows: Iterable<ProjectedRow>,
    names: Iterable<NameRow>,
    consistency: WriteConsistency,
  ): Promise<void> {
    const place = (kind: string, text: string) => ({ epoch, kind, bucket: this.bucketOf(kind, text) })
    const named = [...names].map(({ kind, entry, id, revision, isDeleted }) => ({
      row: { ...place(kind, entry), entry, id, revision, deleted: isDeleted },
      chars: entry.length,
    }))
    await this.#writeAll(ENTITY_KEYS, named, consistency)
    const cells = [...rows].map(({ kind, workspace, id, revision, sealed }) => ({
      row: { ...place(kind, id), workspace, id, document: sealed, revision, deleted: sealed === null },
      chars: sealed?.length ?? 0,
    }))
    await this.#writeAll(ENTITIES, cells, consistency)
  }

  async #writeAll(table: Table, rows: Iterable<SizedRow>, consistency: WriteConsistency): Promise<void> {
    const partitions = Map.groupBy(rows, ({ row }) => `${row.kind}\0${row.bucket}`)
    const batches = partitions.values().flatMap((partition) => batchesOf(partition))
    await inParallel(batches, WRITES_AT_ONCE, (batch) =>
      this.#port.insertAll(table, batch, { consistency, timestamp: 'revision' }),
    )
  }

  /** Everything that has, or once had, this name. */
  async named(epoch: number, kind: string, entry: string): Promise<readonly ProjectedName[]> {
    const rows = await this.#port.select(ENTITY_KEYS, {
      partition: { epoch, kind, bucket: this.bucketOf(kind, entry) },
      equals: { entry },
      limit: MAX_ROWS,
      consistency: 'LOCAL_QUORUM',
    })
    return rows.map(({ id, revision, deleted }) => ({
      id: id as string,
      revision: revision as number,
      isDeleted: deleted === true,
    }))
  }

  /** The rows of a kind in one of its partitions; one may be newer than the watermark. */
  part(epoch: number, kind: string, bucket: number, consistency: ReadConsistency): Promise<readonly ProjectedRow[]> {
    return this.#partition({ epoch, kind, bucket }, consistency)
  }

  /** One row; undefined when there is none in that workspace. It may be newer than the watermark. */
  async row(epoch: number, kind: string, workspace: string, id: string): Promise<ProjectedRow | undefined> {
    const [row] = await this.#port.select(ENTITIES, {
      partition: { epoch, kind, bucket: this.bucketOf(kind, id) },
      equals: { workspace, id },
      limit: 1,
      consistency: 'LOCAL_QUORUM',
    })
    return row && projectedRow(kind, row)
  }

  /** Every row of the kinds, in no order. A row may be newer than the watermark. */
  async *rows(epoch: number, kinds: readonly string[], consistency: ReadConsistency): AsyncIterable<ProjectedRow> {
    const partitions = kinds.flatMap((kind) =>
      Array.from({ length: this.bucketsOf(kind) }, (_, bucket) => ({ epoch, kind, bucket })),
    )
    for (let start = 0; start < partitions.length; start += READS_AT_ONCE) {
      const some = partitions.slice(start, start + READS_AT_ONCE)
      for (const rows of await Promise.all(some.map((partition) => this.#partition(partition, consistency))))
        yield* rows
    }
  }

  async #partition(partition: TableRow, consistency: ReadConsistency): Promise<readonly ProjectedRow[]> {
    const rows = await this.#port.select(ENTITIES, { partition, limit: MAX_ROWS, consistency })
    return rows.map((row) => projectedRow(partition.kind as string, row))
  }

  /** The partition of a row, or of a name. */
  bucketOf(kind: string, text: string): number {
    return createHash('sha256').update(text).digest().readUInt32BE(0) % this.bucketsOf(kind)
  }
}

function projectedRow(kind: string, { workspace, id, revision, deleted, document }: TableRow): ProjectedRow {
  return {
    kind,
    workspace: workspace as string,
    id: id as string,
    revision: revision as number,
    sealed: deleted === true ? null : (document as string),
  }
}

/** The name of the row of `log_state` that says how far the projection of a data center is. */
export function watermarkName(dataCenter: string): string {
  return `projected ${dataCenter}`
}

interface SizedRow {
  readonly row: TableRow
  readonly chars: number
}

function* batchesOf(rows: readonly SizedRow[]): Generator<readonly TableRow[]> {
  let batch: TableRow[] = []
  let chars = 0
  for (const { row, chars: own } of rows) {
    batch.push(row)
    chars += own
    if (chars < BATCH_CHARS) continue
    yield batch
    batch = []
    chars = 0
  }
  if (batch.length > 0) yield batch
}

/** After a failure nothing more is begun; it rejects when what was under way has ended. */
async function inParallel<T>(items: Iterable<T>, width: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]()
  let failure: { readonly error: unknown } | null = null
  const lane = async () => {
    for (let next = rest.next(); !next.done && failure === null; next = rest.next()) {
      try {
        await work(next.value)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: width }, lane))
  if (failure !== null) throw (failure as { readonly error: unknown }).error
}
