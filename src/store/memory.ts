/**
 * The configuration store in memory: for a gateway that runs from a declarative file, and for tests. What it keeps are frozen
 * copies; its log is sealed like everyone's, its rows are kept open, because they are in this process's memory either way.
 */
import { GatewayError } from '#core/errors.ts'
import type { Change, Document, Row } from '#model/document.ts'
import { frozenCopy } from './canonical.ts'
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
  StateReader,
  Transaction,
} from './contract.ts'
import { computeEffects } from './effects.ts'
import { sealEntry, type SealedEffect } from './entry.ts'
import type { Keyring } from './keyring.ts'
import { MemoryRows } from './memory-rows.ts'
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

class MemoryStore implements ConfigStore {
  readonly #secrets: Secrets
  readonly #projection: Projection
  readonly #rows: MemoryRows
  readonly #nowMs: () => number
  readonly #listeners = new Set<() => void>()
  readonly #revisions = new Map<string, number>()
  /** Entries after the checkpoint, in order. */
  #log: LogEntry[] = []
  #checkpoint: Head = { revision: 0, hash: GENESIS_HASH, digests: {} }
  #head: Head = this.#checkpoint
  #appending: Promise<unknown> = Promise.resolve()

  constructor({ definitions, keyring, nowMs }: MemoryStoreOptions) {
    this.#secrets = new Secrets(definitions, keyring)
    this.#projection = new Projection(definitions.entities, this.#secrets)
    this.#rows = new MemoryRows(this.#projection)
    this.#nowMs = nowMs
  }

  async head(): Promise<Head> {
    return this.#head
  }

  async get(kind: string, id: string): Promise<Row | undefined> {
    return this.#rows.get(kind, id, this.#nowMs())
  }

  async lookup(kind: string, field: string, value: unknown, workspace: string): Promise<Row | undefined> {
    return this.#rows.lookup(kind, field, value, workspace, this.#nowMs())
  }

  async list(kind: string, filter: Filter, page: Page): Promise<PageOfRows> {
    return this.#rows.list(kind, filter, page, this.#nowMs())
  }

  append(transaction: Transaction, expectedRevision: number): Promise<AppendResult> {
    const result = this.#appending.then(() => this.#append(transaction, expectedRevision))
    // The next append starts after this one in any case; who called this one gets its failure.
    this.#appending = result.catch(() => undefined)
    return result
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
    const revision = typeof revisionOrTxid === 'number' ? revisionOrTxid : this.#revisions.get(revisionOrTxid)
    return revision === undefined ? undefined : this.#log[revision - this.#checkpoint.revision - 1]
  }

  async load(kinds: readonly string[]): Promise<{ head: Head; rows: AsyncIterable<Row> }> {
    const rows = kinds.flatMap((kind) => this.#rows.all(kind, this.#nowMs()))
    return { head: this.#head, rows: each(rows) }
  }

  open(change: Change): Change {
    return change.document ? { ...change, document: this.#secrets.open(change.kind, change.document) } : change
  }

  async expired(atMs: number, limit: number) {
    return this.#rows.expired(atMs, limit)
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
    const done = await this.entry(transaction.txid)
    if (done) return { outcome: 'appended', entry: done }
    const head = this.#head
    if (head.revision !== expectedRevision) return { outcome: 'conflict', head: head.revision }
    const effects = await computeEffects(this.#everything(), this.#projection, transaction, head.revision + 1)
    if (!effects.ok) return { outcome: 'refused', violation: effects.violation }
    const sealed = await sealEntry(head, transaction, effects.effects, this.#secrets, (kind, id) =>
      this.#rows.stored(kind, id),
    )
    if (!sealed.ok) return { outcome: 'refused', violation: sealed.violation }
    const entry = frozenCopy(sealed.entry)
    sealed.effects.forEach((effect, index) =>
      this.#apply(effect, entry.effects[index]?.document ?? null, entry.revision),
    )
    this.#log.push(entry)
    for (const name of [entry.txid, ...(entry.members ?? []).map(({ txid }) => txid)])
      this.#revisions.set(name, entry.revision)
    this.#head = { revision: entry.revision, hash: entry.hash, digests: entry.digests }
    for (const listener of this.#listeners) queueMicrotask(listener)
    return { outcome: 'appended', entry }
  }

  #apply({ effect: { kind, workspace, id }, sealed }: SealedEffect, document: Document | null, revision: number): void {
    if (document === null || sealed === null) return this.#rows.delete(kind, id)
    const open = this.#secrets.open(kind, document)
    // A document without secrets is the same open and sealed: it is kept once.
    const row = { kind, workspace, document: open === document ? document : frozenCopy(open), revision }
    this.#rows.put(Object.freeze(row), open === document ? null : sealed)
  }

  /** The rows with those whose time to live is over, as validation has to see them. */
  #everything(): StateReader {
    const rows = this.#rows
    return {
      get: async (kind, id) => rows.get(kind, id, -Infinity),
      lookup: async (kind, field, value, workspace) => rows.lookup(kind, field, value, workspace, -Infinity),
      list: async (kind, filter, page) => rows.list(kind, filter, page, -Infinity),
    }
  }
}

async function* each(rows: readonly Row[]): AsyncIterable<Row> {
  yield* rows
}
