/**
 * The projection in Cassandra: the state of every entity, for nodes that start without a copy. Written only here, with the revision
 * as timestamp of its cells, so that any order and any number of times ends in the same rows. (One write with the clock as
 * timestamp would beat every revision for good.)
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../canonical.ts'
import type { LogEntry } from '../contract.ts'
import type { StoredRow } from '../digest.ts'
import type { CassandraPort, ReadConsistency, TableRow, WriteConsistency } from './port.ts'
import { ENTITIES, LOG_STATE } from './tables.ts'

export interface Watermark {
  readonly revision: number
  readonly hash: string
}

/** A row as read: deleted ones have no document. */
export type ProjectedRow = Omit<StoredRow, 'sealed'> & { readonly sealed: string | null }

/** Partitions read at once. */
const READS_AT_ONCE = 32
/** Batches written at once: few, because appends to the log stand in the same queues, and nobody waits for a projection. */
const WRITES_AT_ONCE = 16
/** The largest limit that CQL takes: all of a partition. */
const MAX_ROWS = 2 ** 31 - 1
/** Rows that are collected before they are written: those of one partition are then one write. */
const ROWS_TOGETHER = 5_000
/** Of documents in one batch, which has to fit into a segment of the commit log many times. */
const BATCH_CHARS = 256 * 1024
/** The name of the row that says that the state of an epoch's beginning is written. */
const BASE = 'base'

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
}

export class ProjectionTables {
  readonly #port: CassandraPort
  readonly #dataCenter: string
  readonly #dataCenters: readonly string[]
  readonly #bucketsOf: (kind: string) => number

  /** `bucketsOf` has to be the same on all nodes, for good: it says in which partition a row is. */
  constructor({ port, dataCenter, dataCenters = [], bucketsOf }: ProjectionOptions) {
    this.#port = port
    this.#dataCenter = dataCenter
    this.#dataCenters = [...new Set([dataCenter, ...dataCenters])]
    this.#bucketsOf = bucketsOf
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
    const partition = { epoch, name: nameOf(dataCenter) }
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

  /** Moves the watermark to where the epoch begins, after its whole state was written, and tells so to the other data centers. */
  async markBase(epoch: number, base: Watermark): Promise<void> {
    await this.#mark(epoch, nameOf(this.#dataCenter), base, 'LOCAL_QUORUM')
    await this.#mark(epoch, BASE, base, 'LOCAL_QUORUM')
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
    for (const { revision, effects } of entries) {
      for (const { kind, workspace, id, document } of effects) {
        const sealed = document && canonicalJson(document)
        // Of several writes of a row only the last would stay.
        rows.set(`${kind}\0${workspace}\0${id}`, { kind, workspace, id, revision, sealed })
      }
      if (rows.size < ROWS_TOGETHER) continue
      await this.#write(epoch, rows.values(), consistency)
      rows = new Map()
    }
    await this.#write(epoch, rows.values(), consistency)
    const names = scope === 'own' ? [this.#dataCenter] : this.#dataCenters
    await Promise.all(names.map((name) => this.#mark(epoch, nameOf(name), last, consistency)))
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
    for await (const row of rows) {
      some.push(row)
      if (some.length < ROWS_TOGETHER) continue
      await this.#write(epoch, some, 'LOCAL_QUORUM')
      some = []
    }
    await this.#write(epoch, some, 'LOCAL_QUORUM')
  }

  /** Rows of one partition go together, whatever their revisions. */
  async #write(epoch: number, rows: Iterable<ProjectedRow>, consistency: WriteConsistency): Promise<void> {
    const partitions = Map.groupBy(rows, ({ kind, id }) => `${kind}\0${this.#bucketOf(kind, id)}`)
    const batches = partitions.values().flatMap((partition) => batchesOf(partition))
    await inParallel(batches, WRITES_AT_ONCE, async (batch) => {
      const cells = batch.map(({ kind, workspace, id, revision, sealed }) => ({
        epoch,
        kind,
        bucket: this.#bucketOf(kind, id),
        workspace,
        id,
        document: sealed,
        revision,
        deleted: sealed === null,
      }))
      await this.#port.insertAll(ENTITIES, cells, { consistency, timestamp: 'revision' })
    })
  }

  /** Every row of the kinds, in no order. A row may be newer than the watermark. */
  async *rows(epoch: number, kinds: readonly string[], consistency: ReadConsistency): AsyncIterable<ProjectedRow> {
    const partitions = kinds.flatMap((kind) =>
      Array.from({ length: this.#bucketsOf(kind) }, (_, bucket) => ({ epoch, kind, bucket })),
    )
    for (let start = 0; start < partitions.length; start += READS_AT_ONCE) {
      const some = partitions.slice(start, start + READS_AT_ONCE)
      for (const rows of await Promise.all(some.map((partition) => this.#partition(partition, consistency))))
        yield* rows
    }
  }

  async #partition(partition: TableRow, consistency: ReadConsistency): Promise<readonly ProjectedRow[]> {
    const rows = await this.#port.select(ENTITIES, { partition, limit: MAX_ROWS, consistency })
    return rows.map((row) => ({
      kind: partition.kind as string,
      workspace: row.workspace as string,
      id: row.id as string,
      revision: row.revision as number,
      sealed: row.deleted === true ? null : (row.document as string),
    }))
  }

  #bucketOf(kind: string, id: string): number {
    const buckets = this.#bucketsOf(kind)
    return createHash('sha256').update(id).digest().readUInt32BE(0) % buckets
  }
}

function nameOf(dataCenter: string): string {
  return `watermark ${dataCenter}`
}

function* batchesOf(rows: readonly ProjectedRow[]): Generator<readonly ProjectedRow[]> {
  let batch: ProjectedRow[] = []
  let chars = 0
  for (const row of rows) {
    batch.push(row)
    chars += row.sealed?.length ?? 0
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
