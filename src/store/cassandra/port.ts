/**
 * What the store needs of Cassandra, and no more: rows of fixed tables, read by full partition key. The protocol (log, projector,
 * loader) is written against this; `driver-port.ts` does it with a real cluster, the simulation with replicas in memory.
 */

/** Read levels. SERIAL also finishes a lightweight transaction whose coordinator died after it was decided. */
export type ReadConsistency = 'LOCAL_ONE' | 'LOCAL_QUORUM' | 'QUORUM' | 'EACH_QUORUM' | 'SERIAL' | 'LOCAL_SERIAL'
export type WriteConsistency = 'LOCAL_ONE' | 'LOCAL_QUORUM' | 'QUORUM' | 'EACH_QUORUM'
export type SerialConsistency = 'SERIAL' | 'LOCAL_SERIAL'

export type ColumnType = 'text' | 'int' | 'bigint' | 'boolean'
/** `bigint` columns are numbers up to 2^53 here. */
export type Value = string | number | boolean | null
export type TableRow = Readonly<Record<string, Value>>

/** A table of `cql/`: its columns by role, in the order of the key. */
export interface Table {
  readonly name: string
  readonly partition: Readonly<Record<string, ColumnType>>
  readonly clustering: Readonly<Record<string, ColumnType>>
  readonly columns: Readonly<Record<string, ColumnType>>
}

export interface Selection {
  /** Every column of the partition key. */
  readonly partition: TableRow
  /** The first clustering columns by value, as many as wanted; for one row all of them. */
  readonly equals?: TableRow
  /** Rows after this value of the clustering column that follows those of `equals`. */
  readonly after?: { readonly column: string; readonly value: Value }
  /** Rows at most; in clustering order. */
  readonly limit: number
  readonly consistency: ReadConsistency
}

export interface WriteOptions {
  readonly consistency: WriteConsistency
  /**
   * What decides between two writes of a cell, the cluster's clock by default. 'revision': for each row the value of its column of
   * that name, as in projections.
   */
  readonly timestamp?: number | 'revision'
  readonly ttlSeconds?: number
}

export interface ConditionalOptions {
  readonly serial: SerialConsistency
  /** How many replicas have the decision before it is told. */
  readonly commit: WriteConsistency
}

/** Outcome of a lightweight transaction. `row`: what stands there instead; null when nothing does. */
export type Conditional = { readonly isApplied: true } | { readonly isApplied: false; readonly row: TableRow | null }

/** Every method rejects with a `CassandraFailure`. */
export interface CassandraPort {
  select(table: Table, selection: Selection): Promise<readonly TableRow[]>
  /** Writes every column of the row (a column that is left out would keep an older cell). */
  insert(table: Table, row: TableRow, options: WriteOptions): Promise<void>
  /** Rows of one partition, as one unlogged batch: all or, after a failure, any of them are written. */
  insertAll(table: Table, rows: readonly TableRow[], options: WriteOptions): Promise<void>
  insertIfAbsent(
    table: Table,
    row: TableRow,
    options: ConditionalOptions & { readonly ttlSeconds?: number },
  ): Promise<Conditional>
  /** Writes the row where the named columns have these values. */
  replaceIf(
    table: Table,
    row: TableRow,
    expected: TableRow,
    options: ConditionalOptions & { readonly ttlSeconds?: number },
  ): Promise<Conditional>
  /** Deletes the row (by its full key) if it is there. */
  deleteIfPresent(table: Table, key: TableRow, options: ConditionalOptions): Promise<boolean>
}

/**
 * A statement that failed. `isSettled`: it certainly had no effect and won't have one (refused before it was tried). Otherwise its
 * outcome is open: it may have been applied, or may still be, later.
 */
export class CassandraFailure extends Error {
  override readonly name = 'CassandraFailure'
  readonly isSettled: boolean
  readonly reason: FailureReason

  constructor(reason: FailureReason, message: string, isSettled: boolean, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
    this.isSettled = isSettled
  }
}

export type FailureReason = 'unreachable' | 'unavailable' | 'timeout' | 'overloaded' | 'refused' | 'invalid'
