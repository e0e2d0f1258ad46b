/**
 * The embedded configuration store: one SQLite file, durable at each commit. Log and rows change in one database transaction,
 * so they agree after any crash. Several processes may have the file open: an append checks the head under the file's lock, and
 * each sees the others' commits. One connection reads and one writes, so that a long commit, which lets other work of the
 * thread go on between its statements, is not seen half done.
 */
import type { DatabaseSync } from 'node:sqlite'
import { GatewayError } from '#core/errors.ts'
import { Turns } from '#core/turns.ts'
import type { Change, Row } from '#model/document.ts'
import type {
  AppendResult,
  ConfigStore,
  Filter,
  Head,
  LogEntry,
  Page,
  PageOfRows,
  Retention,
  Transaction,
} from './contract.ts'
import { effectsOf, type SealedEffect } from './entry.ts'
import { entriesOf, notWhole, uniqueEntry, type Filling, type FillingRecord } from './filling.ts'
import type { Keyring } from './keyring.ts'
import type { CopiedState, LocalCopy, Prepared } from './local-copy.ts'
import { prepareEntry, type PreparingStore } from './prepare-entry.ts'
import { Projection } from './projection.ts'
import { Secrets, type Definitions } from './secrets.ts'
import { diskFailure, errorNumber, openConnection, openFile, SQLITE_IOERR, whenFree } from './sqlite-file.ts'
import { SqliteFilling } from './sqlite-filling.ts'
import { SqliteLog } from './sqlite-log.ts'
import { SqliteRows } from './sqlite-rows.ts'
import { SqliteSnapshots } from './sqlite-snapshots.ts'
import { deriveAnew, takeState, type WrittenFile } from './sqlite-state.ts'
import { CONFIG_FILE, SqliteTables } from './sqlite-tables.ts'
import { SqliteWatch } from './sqlite-watch.ts'

export interface SqliteStoreOptions {
  readonly path: string
  readonly definitions: Definitions
  readonly keyring: Keyring
  readonly nowMs: () => number
  /** How long to wait for the file's lock while another process has it. */
  readonly busyTimeoutMs?: number
  /** How often to look whether another process has committed. */
  readonly watchEveryMs?: number
  /** Pages of the write-ahead log after which a commit also copies them into the file. */
  readonly walPages?: number
  /** Told before each step of an append and a cut: for tests that kill the process there. */
  readonly onStep?: (step: Step) => void
}
export type Step = 'begin' | 'log' | 'rows' | 'head' | 'commit' | 'committed' | 'cut'

/** Rows between two turns of the event loop: about 5 ms. */
const ROWS_PER_TURN = 500
/** Revisions deleted in one commit when the log is cut. */
const CUT_REVISIONS = 500

const BUSY_TIMEOUT_MS = 5000
const WATCH_EVERY_MS = 100

/** Throws `STORE_FORMAT`, `STORE_BUSY`, `KEY_MISSING` or `KEY_WRONG`. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<ConfigStore> {
  return open(options)
}

/** The same file as the copy that a node keeps of a cluster's configuration. Throws like `openSqliteStore`. */
export async function openLocalCopy(options: SqliteStoreOptions): Promise<LocalCopy> {
  return open(options)
}

async function open(options: SqliteStoreOptions): Promise<SqliteStore> {
  const write = await openFile(options.path, CONFIG_FILE, options.busyTimeoutMs ?? BUSY_TIMEOUT_MS)
  write.exec(`PRAGMA wal_autocheckpoint = ${options.walPages ?? 1000}`)
  const store = new SqliteStore(options, openConnection(options.path, 'read'), write)
  try {
    await store.begin()
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

class SqliteStore implements LocalCopy {
  readonly #path: string
  readonly #keyring: Keyring
  readonly #nowMs: () => number
  readonly #busyTimeoutMs: number
  readonly #onStep: (step: Step) => void
  readonly #secrets: Secrets
  readonly #projection: Projection
  readonly #read: DatabaseSync
  readonly #write: DatabaseSync
  readonly #rows: SqliteRows
  /** Sees what the transaction under way has written. */
  readonly #writeRows: SqliteRows
  readonly #log: SqliteLog
  readonly #writeLog: SqliteLog
  readonly #tables: SqliteTables
  readonly #written: WrittenFile
  /** What validation sees: the committed state, with the rows whose time to live is over. */
  readonly #preparing: PreparingStore
  #filling: SqliteFilling | null
  readonly #watched: SqliteWatch
  readonly #snapshots: SqliteSnapshots
  #writing: Promise<unknown> = Promise.resolve()

  constructor(options: SqliteStoreOptions, read: DatabaseSync, write: DatabaseSync) {
    this.#path = options.path
    this.#keyring = options.keyring
    this.#nowMs = options.nowMs
    this.#busyTimeoutMs = options.busyTimeoutMs ?? BUSY_TIMEOUT_MS
    this.#onStep = options.onStep ?? (() => undefined)
    this.#secrets = new Secrets(options.definitions, options.keyring)
    this.#projection = new Projection(options.definitions.entities, this.#secrets)
    this.#read = read
    this.#write = write
    this.#rows = new SqliteRows(read, this.#projection, this.#secrets)
    this.#snapshots = new SqliteSnapshots(this.#path, this.#projection, this.#secrets)
    this.#writeRows = new SqliteRows(write, this.#projection, this.#secrets)
    this.#log = new SqliteLog(read)
    this.#watched = new SqliteWatch(() => this.#log.dataVersion(), options.watchEveryMs ?? WATCH_EVERY_MS)
    this.#writeLog = new SqliteLog(write)
    this.#tables = new SqliteTables(write, this.#projection)
    this.#written = { rows: this.#writeRows, tables: this.#tables, secrets: this.#secrets }
    this.#preparing = {
      projection: this.#projection,
      secrets: this.#secrets,
      head: () => this.#log.head(),
      done: (txid) => {
        const revision = this.#log.revisionOf(txid)
        return revision === undefined ? undefined : this.#log.entry(revision)
      },
      rows: () => ({
        get: (kind, ...how) => this.#whole(kind).get(kind, ...how),
        lookup: (kind, ...how) => this.#whole(kind).lookup(kind, ...how),
        list: (kind, ...how) => this.#whole(kind).list(kind, ...how),
        stored: (kind, id) => this.#rows.stored(kind, id),
      }),
    }
    this.#filling = this.#openFilling()
  }

  /** Checks the keys, and makes the derived rows anew of kinds whose rules are not those that they were made by. */
  async begin(): Promise<void> {
    const outcome = await this.#transact(async () => {
      this.#checkKeys()
      const made = this.#writeLog.state<Record<string, string>>('projection') ?? {}
      const wanted = this.#projection.fingerprints()
      const kinds = Object.keys(wanted).filter((kind) => made[kind] !== wanted[kind])
      if (kinds.length === 0) return
      for (const kind of kinds) await deriveAnew(this.#written, kind)
      this.#tables.setState('projection', { ...made, ...wanted })
    })
    if (outcome === 'open')
      throw new GatewayError('STORE_UNAVAILABLE', `${this.#path}: the disk does not confirm writes`)
  }

  async head(): Promise<Head> {
    return this.#log.head()
  }

  async get(kind: string, id: string): Promise<Row | undefined> {
    return this.#whole(kind).get(kind, id, this.#nowMs())
  }

  async lookup(kind: string, field: string, value: unknown, workspace: string): Promise<Row | undefined> {
    return this.#whole(kind).lookup(kind, field, value, workspace, this.#nowMs())
  }

  async list(kind: string, filter: Filter, page: Page): Promise<PageOfRows> {
    return this.#whole(kind).list(kind, filter, page, this.#nowMs())
  }

  get filling(): Filling | null {
    return this.#filling
  }

  entriesOf(change: Change): readonly string[] {
    return entriesOf(this.#projection, this.open(change))
  }

  uniqueEntry(kind: string, field: string, value: unknown, workspace: string): string | undefined {
    return uniqueEntry(this.#projection, kind, field, value, workspace)
  }

  #whole(kind: string): SqliteRows {
    if (this.#filling?.kinds.has(kind)) throw notWhole(kind)
    return this.#rows
  }

  append(transaction: Transaction, expectedRevision: number): Promise<AppendResult> {
    return this.#exclusively(() => this.#append(transaction, expectedRevision))
  }

  prepare(transaction: Transaction, expectedRevision: number): Promise<Prepared> {
    return prepareEntry(this.#preparing, transaction, expectedRevision)
  }

  async adopt(entries: readonly LogEntry[]): Promise<void> {
    await this.#commit(async () => {
      for (const entry of entries) await this.#adopt(entry)
      this.#filling?.save()
    })
  }

  async replace({ checkpoint, rows, entries }: CopiedState, later: readonly string[] = []): Promise<Head> {
    let filling: SqliteFilling | null = null
    await this.#commit(async () => {
      this.#tables.clear()
      this.#tables.endFilling()
      filling = later.length > 0 ? this.#newFilling({ kinds: later, done: [], rows: 0, digests: {} }) : null
      this.#tables.setState('checkpoint', checkpoint)
      const last = await takeState(this.#written, { checkpoint, rows, entries }, filling)
      filling?.save()
      this.#tables.setState('head', last)
    })
    this.#filling = filling
    return this.#log.head()
  }

  async stored() {
    const [unfilled] = this.#filling?.kinds ?? []
    if (unfilled !== undefined) throw notWhole(unfilled)
    return this.#snapshots.stored()
  }

  note(name: string): string | null {
    return this.#log.state<string>(`note ${name}`) ?? null
  }

  async setNote(name: string, value: string): Promise<void> {
    await this.#commit(async () => this.#tables.setState(`note ${name}`, value))
  }

  async changes(after: number, limit: number): Promise<readonly LogEntry[]> {
    return this.#log.changes(after, limit)
  }

  async entry(revisionOrTxid: number | string): Promise<LogEntry | undefined> {
    const revision = typeof revisionOrTxid === 'number' ? revisionOrTxid : this.#log.revisionOf(revisionOrTxid)
    return revision === undefined ? undefined : this.#log.entry(revision)
  }

  async logStart(): Promise<number> {
    return this.#log.checkpoint().revision
  }

  async load(kinds: readonly string[]): Promise<{ head: Head; rows: AsyncIterable<Row> }> {
    if (kinds.length === 0) return { head: this.#log.head(), rows: noRows() }
    for (const kind of kinds) this.#whole(kind)
    return this.#snapshots.opened(kinds, this.#nowMs())
  }

  open(change: Change): Change {
    return change.document ? { ...change, document: this.#secrets.open(change.kind, change.document) } : change
  }

  async expired(atMs: number, limit: number) {
    const rows = this.#rows.expired(atMs, this.#filling ? -1 : limit)
    return rows.filter(({ kind }) => !this.#filling?.kinds.has(kind)).slice(0, limit)
  }

  async truncate({ revisions, ageMs, nowMs, neededAfter = Infinity }: Retention): Promise<number> {
    const head = this.#log.head().revision
    const old = (this.#log.firstYounger(nowMs - ageMs) ?? head + 1) - 1
    const target = Math.min(old, head - revisions, neededAfter)
    for (let reached = this.#log.checkpoint().revision; reached < target;) {
      const next = Math.min(target, reached + CUT_REVISIONS)
      await this.#exclusively(() => this.#transact(async () => this.#cut(next)))
      reached = next
    }
    return this.#log.checkpoint().revision
  }

  watch(listener: () => void): () => void {
    return this.#watched.watch(listener)
  }

  async close(): Promise<void> {
    this.#watched.close()
    await this.#writing
    this.#snapshots.close()
    this.#read.close()
    this.#write.close()
  }

  async #append(transaction: Transaction, expectedRevision: number): Promise<AppendResult> {
    const prepared = await this.prepare(transaction, expectedRevision)
    if (prepared.outcome !== 'prepared') return prepared
    const { entry, effects } = prepared
    const outcome = await this.#transact(async () => {
      if (this.#writeLog.head().revision !== expectedRevision) return 'conflict'
      await this.#writeEntry(entry, effects)
      return 'written'
    })
    if (outcome === 'conflict') return { outcome: 'conflict', head: this.#log.head().revision }
    if (outcome === 'open') return { outcome: 'open', txid: transaction.txid }
    this.#onStep('committed')
    this.#watched.notify()
    return { outcome: 'appended', entry }
  }

  /** Runs the work in a database transaction of its own, after those before it; rejects when it is open whether it counts. */
  async #commit(work: () => Promise<void>): Promise<void> {
    const outcome = await this.#exclusively(() => this.#transactOrTakeBack(work))
    if (outcome === 'open')
      throw new GatewayError('STORE_UNAVAILABLE', `${this.#path}: the disk does not confirm writes`)
    this.#onStep('committed')
    this.#watched.notify()
  }

  /** What the filling has counted belongs to the transaction. */
  async #transactOrTakeBack(work: () => Promise<void>): Promise<void | 'open'> {
    const takeBack = this.#filling?.savepoint()
    let outcome: void | 'open' = 'open'
    try {
      outcome = await this.#transact(work)
      return outcome
    } finally {
      if (outcome === 'open') takeBack?.()
    }
  }

  /** Goes on with what a process before this one has begun. */
  #openFilling(): SqliteFilling | null {
    const record = this.#writeLog.state<FillingRecord>('filling')
    return record ? this.#newFilling(record) : null
  }

  #newFilling(record: FillingRecord): SqliteFilling {
    return new SqliteFilling(record, {
      partial: {
        get: async (kind, id) => this.#rows.get(kind, id, this.#nowMs()),
        lookup: async (kind, field, value, workspace) =>
          this.#rows.lookup(kind, field, value, workspace, this.#nowMs()),
        list: async (kind, filter, page) => this.#rows.list(kind, filter, page, this.#nowMs()),
      },
      rows: this.#writeRows,
      log: this.#writeLog,
      tables: this.#tables,
      secrets: this.#secrets,
      commit: (work) => this.#commit(work),
      end: () => {
        this.#filling = null
      },
    })
  }

  async #adopt(entry: LogEntry): Promise<void> {
    const stored = (kind: string, id: string) => this.#writeRows.stored(kind, id)
    const effects = effectsOf(this.#writeLog.head(), entry, this.#secrets, stored, this.#filling)
    await this.#writeEntry(entry, effects)
    this.#filling?.noteGone(entry)
  }

  async #writeEntry(entry: LogEntry, effects: readonly SealedEffect[]): Promise<void> {
    const bytes = effects.reduce(
      (sum, { sealed, stored }) => sum + (sealed?.length ?? 0) + (stored?.sealed.length ?? 0),
      0,
    )
    const turns = new Turns(ROWS_PER_TURN)
    this.#onStep('log')
    this.#tables.addEntry(entry, bytes)
    for (const [position, effect] of effects.entries()) {
      this.#tables.addEffect(entry.revision, position, effect, entry.payloads[position] as LogEntry['payloads'][number])
      this.#tables.withdraw(effect)
      await turns.step()
    }
    this.#onStep('rows')
    for (const effect of effects) {
      this.#tables.apply(effect, entry.revision)
      await turns.step()
    }
    this.#onStep('head')
    this.#tables.setState('head', { revision: entry.revision, hash: entry.hash, digests: entry.digests } satisfies Head)
  }

  #cut(revision: number): void {
    this.#onStep('cut')
    // Another process may have cut it, and further.
    if (revision <= this.#writeLog.checkpoint().revision) return
    const last = this.#writeLog.headAt(revision)
    if (!last) return
    this.#tables.setState('checkpoint', last)
    this.#tables.cut(revision)
  }

  /**
   * Runs the work in a database transaction under the file's lock. 'open' when the commit failed in a way that leaves it to the
   * next recovery whether it counts (a disk that does not confirm a write).
   */
  async #transact<T>(work: () => Promise<T>): Promise<T | 'open'> {
    this.#onStep('begin')
    await whenFree(this.#path, this.#busyTimeoutMs, () => this.#write.exec('BEGIN IMMEDIATE'))
    let result: T
    try {
      result = await work()
      this.#onStep('commit')
    } catch (error) {
      this.#rollback()
      throw diskFailure(this.#path, error)
    }
    try {
      this.#write.exec('COMMIT')
      return result
    } catch (error) {
      this.#rollback()
      if (errorNumber(error) !== SQLITE_IOERR) throw diskFailure(this.#path, error)
      return 'open'
    }
  }

  #rollback(): void {
    // SQLite itself rolls back after some failures.
    if (this.#write.isTransaction) this.#write.exec('ROLLBACK')
  }

  /** One after the other: the writing connection has one transaction at a time. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#writing.then(work)
    // The next one starts after this one in any case; who asked for this one gets its failure.
    this.#writing = result.catch(() => undefined)
    return result
  }

  #checkKeys(): void {
    const known = this.#writeLog.state<Record<string, string>>('keys') ?? {}
    for (const [id, checkValue] of Object.entries(known)) {
      // Throws KEY_MISSING with the id.
      if (this.#keyring.checkValue(id) !== checkValue)
        throw new GatewayError(
          'KEY_WRONG',
          `the key "${id}" in the keyring is not the one that ${this.#path} was written with`,
        )
    }
    const { newestId } = this.#keyring
    if (known[newestId] === undefined)
      this.#tables.setState('keys', { ...known, [newestId]: this.#keyring.checkValue(newestId) })
  }
}

async function* noRows(): AsyncIterable<Row> {}
