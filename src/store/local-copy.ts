/**
 * The copy that a node keeps of a configuration that is decided elsewhere (Cassandra, later a peer): a store that also takes over
 * entries as they are. What it has taken is durable before the node reports it, so a restart never goes back.
 */
import type { Change } from '#model/document.ts'
import type { AppendResult, ConfigStore, Head, LogEntry, Transaction } from './contract.ts'
import type { StoredRow } from './digest.ts'
import type { SealedEffect } from './entry.ts'
import type { Filling } from './filling.ts'

/** A transaction as it would stand in the log, or why it would not. */
export type Prepared =
  | { readonly outcome: 'prepared'; readonly entry: LogEntry; readonly effects: readonly SealedEffect[] }
  | AppendResult

/** A state that was read elsewhere, with the entries that lead from it to a revision whose digests are known. */
export interface CopiedState {
  /** Where `rows` stand; single rows may be newer, up to the last of `entries`. */
  readonly checkpoint: Head
  readonly rows: AsyncIterable<StoredRow>
  /** The entries after the checkpoint, in order; read when the rows have been. */
  readonly entries: AsyncIterable<LogEntry>
}

export interface LocalCopy extends ConfigStore {
  /** The entry that an append would write at `expectedRevision + 1`, without writing it. */
  prepare(transaction: Transaction, expectedRevision: number): Promise<Prepared>
  /**
   * Takes over the entries that follow the head, all or none. Rejects with `COPY_DIVERGED`, and changes nothing, when they do not
   * follow it (hash chain) or when the rows would not be those that the entries say (digests).
   */
  adopt(entries: readonly LogEntry[]): Promise<void>
  /**
   * Puts a state in place of all there is, or rejects with `COPY_DIVERGED` and keeps what there was. Of the kinds that come later the
   * state has no rows: the copy is `filling` from then on.
   */
  replace(state: CopiedState, later?: readonly string[]): Promise<Head>
  /**
   * While it lacks rows of some kinds; null when it is whole. Until then what asks for those kinds, also in `prepare`, rejects with
   * `STORE_UNAVAILABLE`. It outlives the process.
   */
  readonly filling: Filling | null
  /** The names under which a row (sealed) can be found elsewhere, by its unique keys and its references. */
  entriesOf(change: Change): readonly string[]
  uniqueEntry(kind: string, field: string, value: unknown, workspace: string): string | undefined
  /** Every row as it is stored, and the head that they belong to: one consistent state. */
  stored(): Promise<{ readonly head: Head; readonly rows: AsyncIterable<StoredRow> }>
  /** A short note that belongs to the copy, such as where it comes from; null when there is none. */
  note(name: string): string | null
  setNote(name: string, value: string): Promise<void>
}
