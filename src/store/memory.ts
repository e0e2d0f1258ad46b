/**
 * The configuration store in memory: for a gateway that runs from a declarative file, and for tests. What it keeps are frozen
 * copies; its log is sealed like everyone's, its rows are kept open, because they are in this process's memory either way.
 */
import { GatewayError } from '#core/errors.ts'
import type { Change, Document, Row } from '#model/document.ts'
import { canonicalJson, frozenCopy } from './canonical.ts'
import { GENESIS_HASH } from './chain.ts'
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
import { DigestSum, type StoredRow } from './digest.ts'
import { effectsOf, headAfter, type SealedEffect } from './entry.ts'
import { digestsOf, entriesOf, notWhole, uniqueEntry, type Filling } from './filling.ts'
import type { Keyring } from './keyring.ts'
import type { CopiedState, LocalCopy, Prepared } from './local-copy.ts'
import { MemoryFilling } from './memory-filling.ts'
import { MemoryRows } from './memory-rows.ts'
import { prepareEntry, type PreparingStore } from './prepare-entry.ts'
import { Projection } from './projection.ts'
import { Secrets, type Definitions } from './secrets.ts'

export interface MemoryStoreOptions {
  readonly definitions: Definitions
  readonly keyring: Keyring
  readonly nowMs: () => number
}

export function createMemoryStore(options: MemoryStoreOptions): ConfigStore {
  return new MemoryStore(options)
}

/** A copy that is kept as long as the process lives: for tests and simulations. */
export function createMemoryCopy(options: MemoryStoreOptions): LocalCopy {
  return new MemoryStore(options)
}

class MemoryStore implements LocalCopy {
  readonly #secrets: Secrets
  readonly #projection: Projection
  #rows: MemoryRows
  readonly #nowMs: () => number
  readonly #listeners = new Set<() => void>()
  #revisions = new Map<string, number>()
  /** Entries after the checkpoint, in order. */
  #log: LogEntry[] = []
  #checkpoint: Head = { revision: 0, hash: GENESIS_HASH, digests: {} }
  #head: Head = this.#checkpoint
  #appending: Promise<unknown> = Promise.resolve()
  readonly #notes = new Map<string, string>()
  #filling: MemoryFilling | null = null
  readonly #preparing: PreparingStore

  constructor({ definitions, keyring, nowMs }: MemoryStoreOptions) {
    this.#secrets = new Secrets(definitions, keyring)
    this.#projection = new Projection(definitions.entities, this.#secrets)
    this.#rows = new MemoryRows(this.#projection)
    this.#nowMs = nowMs
    this.#preparing = {
      projection: this.#projection,
      secrets: this.#secrets,
      head: () => this.#head,
      done: (txid) => this.#entry(txid),
      rows: () => ({
        get: (kind, ...how) => this.#whole(kind).get(kind, ...how),
        lookup: (kind, ...how) => this.#whole(kind).lookup(kind, ...how),
        list: (kind, ...how) => this.#whole(kind).list(kind, ...how),
        stored: (kind, id) => this.#rows.stored(kind, id),
      }),
    }
  }

  async head(): Promise<Head> {
    return this.#head
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

  #whole(kind: string): MemoryRows {
    if (this.#filling?.kinds.has(kind)) throw notWhole(kind)
    return this.#rows
  }

  append(transaction: Transaction, expectedRevision: number): Promise<AppendResult> {
    return this.#exclusively(() => this.#append(transaction, expectedRevision))
  }

  prepare(transaction: Transaction, expectedRevision: number): Promise<Prepared> {
    return prepareEntry(this.#preparing, transaction, expectedRevision)
  }

  adopt(entries: readonly LogEntry[]): Promise<void> {
    return this.#exclusively(async () => {
      const before = { head: this.#head, log: this.#log, rows: this.#rows, revisions: new Map(this.#revisions) }
      const takeBack = this.#filling?.savepoint()
      this.#log = [...this.#log]
      if (entries.length > 1) this.#rows = this.#copyOfRows()
      try {
        for (const entry of entries) {
          const stored = (kind: string, id: string) => this.#rows.stored(kind, id)
          this.#commit(entry, effectsOf(this.#head, entry, this.#secrets, stored, this.#filling))
          this.#filling?.noteGone(entry)
        }
      } catch (error) {
        this.#head = before.head
        this.#log = before.log
        this.#rows = before.rows
        this.#revisions = before.revisions
        takeBack?.()
        throw error
      }
      this.#notify()
    })
  }

  replace({ checkpoint, rows, entries }: CopiedState, later: readonly string[] = []): Promise<Head> {
    return this.#exclusively(async () => {
      const filling = later.length > 0 ? this.#newFilling(new Set(later)) : null
      const found = new Map<string, StoredRow>()
      for await (const row of rows) found.set(`${row.kind}\0${row.id}`, row)
      const log: LogEntry[] = []
      let head = checkpoint
      for await (const entry of entries) {
        head = headAfter(head, entry)
        log.push(frozenCopy(entry))
        replay(found, entry)
        filling?.noteGone(entry)
      }
      const sum = new DigestSum()
      for (const row of found.values()) (filling?.kinds.has(row.kind) ? filling.digests : sum).add(row)
      if (!sum.equals(digestsOf(head.digests, new Set(later), false)))
        throw new GatewayError(
          'COPY_DIVERGED',
          `revision ${head.revision}: the rows that were read are not those of its digests`,
        )
      const made = new MemoryRows(this.#projection)
      for (const row of found.values()) made.put(...this.#kept(row))
      this.#rows = made
      this.#filling = filling
      this.#checkpoint = checkpoint
      this.#head = head
      this.#log = []
      this.#revisions = new Map()
      for (const entry of log) this.#record(entry)
      this.#notify()
      return head
    })
  }

  async stored() {
    const [unfilled] = this.#filling?.kinds ?? []
    if (unfilled !== undefined) throw notWhole(unfilled)
    const rows = this.#projection
      .kinds()
      .flatMap((kind) => this.#rows.all(kind, -Infinity).map(({ document }) => this.#rows.stored(kind, document.id)!))
    return { head: this.#head, rows: each(rows) }
  }

  note(name: string): string | null {
    return this.#notes.get(name) ?? null
  }

  async setNote(name: string, value: string): Promise<void> {
    this.#notes.set(name, value)
  }

  async changes(after: number, limit: number): Promise<readonly LogEntry[]> {
    const start = after - this.#checkpoint.revision
    if (start < 0)
      throw new GatewayError(
        'LOG_TRUNCATED',
        `the log starts after revision ${this.#checkpoint.revision}, asked for changes after ${after}`,
      )
    return this.#log.slice(start, start + limit)
  }

  async entry(revisionOrTxid: number | string): Promise<LogEntry | undefined> {
    return this.#entry(revisionOrTxid)
  }

  #entry(revisionOrTxid: number | string): LogEntry | undefined {
    const revision = typeof revisionOrTxid === 'number' ? revisionOrTxid : this.#revisions.get(revisionOrTxid)
    return revision === undefined ? undefined : this.#log[revision - this.#checkpoint.revision - 1]
  }

  async logStart(): Promise<number> {
    return this.#checkpoint.revision
  }

  async load(kinds: readonly string[]): Promise<{ head: Head; rows: AsyncIterable<Row> }> {
    const rows = kinds.flatMap((kind) => this.#whole(kind).all(kind, this.#nowMs()))
    return { head: this.#head, rows: each(rows) }
  }

  open(change: Change): Change {
    return change.document ? { ...change, document: this.#secrets.open(change.kind, change.document) } : change
  }

  async expired(atMs: number, limit: number) {
    const rows = this.#rows.expired(atMs, this.#filling ? Infinity : limit)
    return rows.filter(({ kind }) => !this.#filling?.kinds.has(kind)).slice(0, limit)
  }

  async truncate({ revisions, ageMs, nowMs, neededAfter = Infinity }: Retention): Promise<number> {
    const young = this.#log.findIndex((entry) => entry.atMs > nowMs - ageMs)
    const old = young < 0 ? this.#log.length : young
    const cut = Math.min(old, this.#log.length - revisions, neededAfter - this.#checkpoint.revision)
    const last = this.#log[cut - 1]
    if (!last) return this.#checkpoint.revision
    for (const { txid, members } of this.#log.splice(0, cut)) {
      for (const name of [txid, ...(members ?? []).map((member) => member.txid)]) this.#revisions.delete(name)
    }
    this.#checkpoint = { revision: last.revision, hash: last.hash, digests: last.digests }
    return last.revision
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    await this.#appending
    this.#listeners.clear()
  }

  async #append(transaction: Transaction, expectedRevision: number): Promise<AppendResult> {
    const prepared = await this.prepare(transaction, expectedRevision)
    if (prepared.outcome !== 'prepared') return prepared
    const entry = this.#commit(prepared.entry, prepared.effects)
    this.#notify()
    return { outcome: 'appended', entry }
  }

  #commit(decided: LogEntry, effects: readonly SealedEffect[]): LogEntry {
    const entry = frozenCopy(decided)
    effects.forEach((effect, index) => this.#apply(effect, entry.effects[index]?.document ?? null, entry.revision))
    this.#record(entry)
    this.#head = { revision: entry.revision, hash: entry.hash, digests: entry.digests }
    return entry
  }

  #record(entry: LogEntry): void {
    this.#log.push(entry)
    for (const name of [entry.txid, ...(entry.members ?? []).map(({ txid }) => txid)])
      this.#revisions.set(name, entry.revision)
  }

  #notify(): void {
    for (const listener of this.#listeners) queueMicrotask(listener)
  }

  /** One after the other: each sees what those before have done. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#appending.then(work)
    // The next one starts after this one in any case; who called this one gets its failure.
    this.#appending = result.catch(() => undefined)
    return result
  }

  #newFilling(kinds: ReadonlySet<string>): MemoryFilling {
    return new MemoryFilling(kinds, {
      partial: {
        get: async (kind, id) => this.#rows.get(kind, id, this.#nowMs()),
        lookup: async (kind, field, value, workspace) =>
          this.#rows.lookup(kind, field, value, workspace, this.#nowMs()),
        list: async (kind, filter, page) => this.#rows.list(kind, filter, page, this.#nowMs()),
      },
      head: () => this.#head,
      has: (kind, id) => this.#rows.stored(kind, id) !== undefined,
      put: (row) => this.#rows.put(...this.#kept(row)),
      end: () => {
        this.#filling = null
      },
      exclusively: (work) => this.#exclusively(work),
    })
  }

  #copyOfRows(): MemoryRows {
    const copy = new MemoryRows(this.#projection)
    for (const kind of this.#projection.kinds()) {
      for (const { document } of this.#rows.all(kind, -Infinity)) {
        const row = this.#rows.stored(kind, document.id)
        if (row) copy.put(...this.#kept(row))
      }
    }
    return copy
  }

  #apply({ effect: { kind, workspace, id }, sealed }: SealedEffect, document: Document | null, revision: number): void {
    if (document === null || sealed === null) return this.#rows.delete(kind, id)
    this.#rows.put(...this.#kept({ kind, workspace, id, revision, sealed }, document))
  }

  #kept(stored: StoredRow, document?: Document): [Row, string | null] {
    const { kind, workspace, revision, sealed } = stored
    const closed = document ?? frozenCopy(JSON.parse(sealed) as Document)
    const open = this.#secrets.open(kind, closed)
    // A document without secrets is the same open and sealed: it is kept once.
    const row = { kind, workspace, document: open === closed ? closed : frozenCopy(open), revision }
    return [Object.freeze(row), open === closed ? null : sealed]
  }
}

async function* each<T>(rows: readonly T[]): AsyncIterable<T> {
  yield* rows
}

/** Applies an entry to rows that may be newer than it; those stay. */
function replay(rows: Map<string, StoredRow>, entry: LogEntry): void {
  for (const { kind, workspace, id, document } of entry.effects) {
    const place = `${kind}\0${id}`
    const row = rows.get(place)
    if (row && row.revision >= entry.revision) continue
    if (document) rows.set(place, { kind, workspace, id, revision: entry.revision, sealed: canonicalJson(document) })
    else if (row?.workspace === workspace) rows.delete(place)
  }
}
