/**
 * The projection in Cassandra: the state of every entity, for nodes that start without a copy. Written only here, with the revision
 * as timestamp of its cells, so that any order and any number of times ends in the same rows. (One write with the clock as
 * timestamp would beat every revision for good.)
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../canonical.ts'
import type { LogEntry } from '../contract.ts'
import type { StoredRow } from '../digest.ts'
import type { CassandraPort, ReadConsistency, TableRow } from './port.ts'
import { ENTITIES, LOG_STATE } from './tables.ts'

export interface Watermark {
  readonly revision: number
  readonly hash: string
}

/** A row as read: deleted ones have no document. */
export type ProjectedRow = Omit<StoredRow, 'sealed'> & { readonly sealed: string | null }

/** Partitions written or read at once. */
const AT_ONCE = 32
/** The largest limit that CQL takes: all of a partition. */
const MAX_ROWS = 2 ** 31 - 1
/** Rows of a whole state that are collected before they are written. */
const STATE_BATCH = 2000
/** The name of the row that says that the state of an epoch's beginning is written. */
const BASE = 'base'

export class ProjectionTables {
  readonly #port: CassandraPort
  readonly #dataCenter: string
  readonly #bucketsOf: (kind: string) => number

  /** `bucketsOf` has to be the same on all nodes, for good: it says in which partition a row is. */
  constructor(port: CassandraPort, dataCenter: string, bucketsOf: (kind: string) => number) {
    this.#port = port
    this.#dataCenter = dataCenter
    this.#bucketsOf = bucketsOf
  }

  /** Up to where LOCAL_QUORUM reads in this data center show the whole projection; undefined before the first. */
  async watermark(epoch: number): Promise<Watermark | undefined> {
    const partition = { epoch, name: this.#name() }
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
    await this.#mark(epoch, BASE, base)
    await this.mark(epoch, base)
  }

  /** Writes the rows of entries that follow each other, and then moves the watermark to the last. */
  async project(epoch: number, entries: readonly LogEntry[]): Promise<void> {
    const last = entries.at(-1)
    if (!last) return
    for (const entry of entries) await this.#projectEntry(epoch, entry)
    await this.mark(epoch, last)
  }

  /** Moves the watermark; only after every row has its acknowledgement, because it vouches for them. */
  mark(epoch: number, watermark: Watermark): Promise<void> {
    return this.#mark(epoch, this.#name(), watermark)
  }

  async #mark(epoch: number, name: string, { revision, hash }: Watermark): Promise<void> {
    const row = { epoch, name, revision, hash }
    await this.#port.insert(LOG_STATE, row, { consistency: 'LOCAL_QUORUM', timestamp: revision })
  }

  /**
   * Writes a whole state: what an epoch begins with. Rows that another writer put for a later state than this one are newer and
   * stay; those that this one no longer has are the business of the entries that deleted them.
   */
  async projectState(epoch: number, rows: AsyncIterable<StoredRow>): Promise<void> {
    let batch: ProjectedRow[] = []
    for await (const row of rows) {
      batch.push(row)
      if (batch.length < STATE_BATCH) continue
      await this.#write(epoch, batch)
      batch = []
    }
    await this.#write(epoch, batch)
  }

  async #projectEntry(epoch: number, { revision, effects }: LogEntry): Promise<void> {
    const rows = effects.map(({ kind, workspace, id, document }) => ({
      kind,
      workspace,
      id,
      revision,
      sealed: document && canonicalJson(document),
    }))
    await this.#write(epoch, rows)
  }

  /** Rows of one partition and revision go together. */
  async #write(epoch: number, rows: readonly ProjectedRow[]): Promise<void> {
    const batches = Map.groupBy(rows, ({ kind, id, revision }) => `${kind}\0${this.#bucketOf(kind, id)}\0${revision}`)
    await inParallel([...batches.values()], async (batch) => {
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
      const timestamp = batch[0]?.revision ?? 0
      await this.#port.insertAll(ENTITIES, cells, { consistency: 'LOCAL_QUORUM', timestamp })
    })
  }

  /** Every row of the kinds, in no order. A row may be newer than the watermark. */
  async *rows(epoch: number, kinds: readonly string[], consistency: ReadConsistency): AsyncIterable<ProjectedRow> {
    const partitions = kinds.flatMap((kind) =>
      Array.from({ length: this.#bucketsOf(kind) }, (_, bucket) => ({ epoch, kind, bucket })),
    )
    for (let start = 0; start < partitions.length; start += AT_ONCE) {
      const some = partitions.slice(start, start + AT_ONCE)
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

  #name(): string {
    return `watermark ${this.#dataCenter}`
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += AT_ONCE)
    await Promise.all(items.slice(start, start + AT_ONCE).map(work))
}
