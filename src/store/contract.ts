/**
 * The contract of the configuration store: one ordered log of transactions, and the entities that follow from it.
 * Documents that go in and come out are plain; what is kept (log, rows, disk, peers) has its secrets sealed, see `secrets.ts`.
 */
import type { Change, Document, Row } from '#model/document.ts'

export type Operation =
  /** Inserts or replaces one entity. `document` is complete and validated against its definition. `insert`: it must be new. */
  | {
      readonly op: 'put'
      readonly kind: string
      readonly workspace: string
      readonly document: Document
      readonly insert?: boolean
    }
  /** Deletes one entity and what its definition says goes with it. Deleting what is not there is no error. */
  | { readonly op: 'delete'; readonly kind: string; readonly workspace: string; readonly id: string }

/** Who asked for a transaction, for the audit trail. Never holds a secret. */
export interface Origin {
  readonly actor: string
  /** 'admin', 'declarative', 'rollback', ... */
  readonly via: string
  readonly requestId?: string
  readonly address?: string
}

/** One of several requests that were committed as one transaction; they stand in the order of their operations. */
export interface Member {
  readonly txid: string
  readonly origin: Origin
  /** How many of the transaction's operations are its own. */
  readonly operations: number
}

export interface Transaction {
  /** Names the transaction: appending it again, after an open outcome, finds it done instead of doing it twice. */
  readonly txid: string
  readonly operations: readonly Operation[]
  readonly origin: Origin
  readonly atMs: number
  /** Present when several requests were committed together: `origin` is then that of the group. */
  readonly members?: readonly Member[]
}

/** SHA-256 (hex) of the sealed documents after and before an effect; null where there is none. */
export interface PayloadDigests {
  readonly after: string | null
  readonly before: string | null
}

export interface LogEntry {
  readonly revision: number
  readonly txid: string
  readonly origin: Origin
  readonly atMs: number
  readonly members?: readonly Member[]
  /** SHA-256 (hex) over the previous entry's hash and this entry, with the digests of its sealed documents: `chain.ts`. */
  readonly previousHash: string
  readonly hash: string
  /** Net effects in order, with cascades; documents are sealed. */
  readonly effects: readonly Change[]
  /** What each effect replaced (sealed), null where there was nothing: projecting, comparing and going back need no other state. */
  readonly before: readonly (Document | null)[]
  readonly payloads: readonly PayloadDigests[]
  /** Per kind, the order-independent sum over the hashes of its rows (with their revisions) after this entry. */
  readonly digests: Readonly<Record<string, string>>
}

/** Why a transaction can't be applied to the state at its expected revision. */
export type Violation =
  | {
      readonly type: 'unique'
      readonly kind: string
      readonly fields: Readonly<Record<string, unknown>>
      readonly existingId: string
    }
  | { readonly type: 'primary_key'; readonly kind: string; readonly id: string }
  | {
      readonly type: 'foreign'
      readonly kind: string
      readonly field: string
      readonly reference: string
      readonly id: string
    }
  | { readonly type: 'restrict'; readonly kind: string; readonly id: string; readonly referencedBy: string }
  | { readonly type: 'too_large'; readonly bytes: number; readonly limitBytes: number }

export type AppendResult =
  | { readonly outcome: 'appended'; readonly entry: LogEntry }
  /** Another transaction took the next revision: look at the changes, validate again, retry. */
  | { readonly outcome: 'conflict'; readonly head: number }
  | { readonly outcome: 'refused'; readonly violation: Violation }
  /** The store could not tell in time whether it was committed; it may still be (`GET /log/tx/{txid}`). */
  | { readonly outcome: 'open'; readonly txid: string }

export interface Page {
  /** Number of rows at most, 1 to 1000. */
  readonly size: number
  /** `offset` of the page before; absent for the first. */
  readonly offset?: string
}
export interface Filter {
  readonly workspace?: string
  /** Rows whose foreign field points to this id. */
  readonly reference?: { readonly field: string; readonly id: string }
  /** Rows with all of these tags, or with any of them. */
  readonly tags?: { readonly match: 'all' | 'any'; readonly values: readonly string[] }
  /** Rows whose unique field has this value (Kong's `?custom_id=`). */
  readonly equals?: { readonly field: string; readonly value: unknown }
}
export interface PageOfRows {
  readonly rows: readonly Row[]
  /** Present when there is a next page. */
  readonly offset?: string
}

export interface Head {
  readonly revision: number
  readonly hash: string
  readonly digests: Readonly<Record<string, string>>
}

/** The state of the entities at one revision, as validation and the Admin API read it. Rows whose time to live is over are not there. */
export interface StateReader {
  get(kind: string, id: string): Promise<Row | undefined>
  /**
   * By a unique field; or by the fields that are unique together, with field `cache_key` and a record of them as value.
   * Secret fields are looked up by their HMAC, never by value. `workspace` is ignored by fields unique across workspaces.
   */
  lookup(kind: string, field: string, value: unknown, workspace: string): Promise<Row | undefined>
  /**
   * Ordered by id, stable between pages: every row that exists throughout is returned exactly once.
   * Fails with `INVALID_OFFSET` for an offset that no page gave.
   */
  list(kind: string, filter: Filter, page: Page): Promise<PageOfRows>
}

/** What of the log is kept: so many revisions or so much time, whichever is more, and everything after `neededAfter`. */
export interface Retention {
  readonly revisions: number
  readonly ageMs: number
  readonly nowMs: number
  /** A revision that a live node has not passed yet. */
  readonly neededAfter?: number
}

export interface ConfigStore extends StateReader {
  head(): Promise<Head>
  /** Commits the transaction as revision `expectedRevision + 1`, wholly and durably, or not at all. */
  append(transaction: Transaction, expectedRevision: number): Promise<AppendResult>
  /** Entries after a revision, in order, at most `limit`; fails with `LOG_TRUNCATED` when retention has cut them. */
  changes(after: number, limit: number): Promise<readonly LogEntry[]>
  /** By the id of a transaction only those after `logStart` are found. */
  entry(revisionOrTxid: number | string): Promise<LogEntry | undefined>
  /** The revision that the log here starts after: 0, or where it was cut, or where a copy began. */
  logStart(): Promise<number>
  /** Every row of the kinds (opened), and the head that they belong to: one consistent state. */
  load(kinds: readonly string[]): Promise<{ readonly head: Head; readonly rows: AsyncIterable<Row> }>
  /** The document with its secrets opened, for followers that got it sealed from the log. */
  open(change: Change): Change
  /** Rows whose time to live is over at this moment, for the transaction that deletes them; `limit` at most. */
  expired(
    atMs: number,
    limit: number,
  ): Promise<readonly { readonly kind: string; readonly workspace: string; readonly id: string }[]>
  /** Cuts the log by a checkpoint as far as the retention allows, and returns the revision that the log now starts after. */
  truncate(retention: Retention): Promise<number>
  /** Calls the listener soon after the head moved, also when another process moved it. */
  watch(listener: () => void): () => void
  close(): Promise<void>
}

/**
 * Short-lived values that are not configuration: tokens, sessions, challenges, jobs. Keys are kept hashed, values sealed;
 * expiry makes no log entry. A value that has expired is never returned.
 */
export interface RuntimeStore {
  put(space: string, key: string, value: unknown, ttlMs: number): Promise<void>
  /** Like put, but false when a live value is there. */
  putIfAbsent(space: string, key: string, value: unknown, ttlMs: number): Promise<boolean>
  get(space: string, key: string): Promise<unknown>
  /** Returns the value and removes it; of two at once only one gets it. */
  take(space: string, key: string): Promise<unknown>
  delete(space: string, key: string): Promise<void>
  close(): Promise<void>
}
