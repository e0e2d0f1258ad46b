/** Reads head, checkpoint and entries of the log of the embedded store. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { GatewayError } from '#core/errors.ts'
import type { Change, Document } from '#model/document.ts'
import { GENESIS_HASH } from './chain.ts'
import type { Head, LogEntry, PayloadDigests } from './contract.ts'

const GENESIS: Head = { revision: 0, hash: GENESIS_HASH, digests: {} }
/** Documents that one answer of `changes` holds at most, if it has more than one entry. */
const BATCH_BYTES = 64 * 1024 * 1024

/** What an entry says besides its effects, as it stands in the column `entry`. */
export type EntryText = Omit<LogEntry, 'effects' | 'before' | 'payloads'>

interface EffectColumns {
  readonly revision: number
  readonly kind: string
  readonly workspace: string
  readonly id: string
  readonly document: string | null
  readonly before: string | null
  readonly document_digest: string | null
  readonly before_digest: string | null
}

export class SqliteLog {
  readonly #database: DatabaseSync
  readonly #state: StatementSync
  readonly #entries: StatementSync
  readonly #effects: StatementSync
  readonly #revisionOf: StatementSync
  readonly #firstYounger: StatementSync
  readonly #dataVersion: StatementSync

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#state = database.prepare('SELECT value FROM state WHERE name = ?')
    this.#entries = database.prepare(
      'SELECT revision, bytes, entry FROM log WHERE revision > ? ORDER BY revision LIMIT ?',
    )
    this.#effects = database.prepare(
      'SELECT * FROM log_effects WHERE revision BETWEEN ? AND ? ORDER BY revision, position',
    )
    this.#revisionOf = database.prepare('SELECT revision FROM transactions WHERE txid = ?')
    this.#dataVersion = database.prepare('PRAGMA data_version')
    this.#firstYounger = database.prepare('SELECT revision FROM log WHERE at_ms > ? ORDER BY revision LIMIT 1')
  }

  head(): Head {
    return this.state<Head>('head') ?? GENESIS
  }

  /** What the log starts after. */
  checkpoint(): Head {
    return this.state<Head>('checkpoint') ?? GENESIS
  }

  state<T>(name: string): T | undefined {
    const found = this.#state.get(name) as { value: string } | undefined
    return found && (JSON.parse(found.value) as T)
  }

  changes(after: number, limit: number): readonly LogEntry[] {
    // One read transaction: another process that cuts the log meanwhile must not leave entries without their effects.
    this.#database.exec('BEGIN')
    try {
      const { revision } = this.checkpoint()
      if (after < revision)
        throw new GatewayError(
          'LOG_TRUNCATED',
          `the log starts after revision ${revision}, asked for changes after ${after}`,
        )
      return this.#read(after, limit)
    } finally {
      this.#database.exec('COMMIT')
    }
  }

  entry(revision: number): LogEntry | undefined {
    return revision > this.checkpoint().revision ? this.changes(revision - 1, 1)[0] : undefined
  }

  revisionOf(txid: string): number | undefined {
    return (this.#revisionOf.get(txid) as { revision: number } | undefined)?.revision
  }

  /** The first revision that was committed after a moment. */
  firstYounger(atMs: number): number | undefined {
    return (this.#firstYounger.get(atMs) as { revision: number } | undefined)?.revision
  }

  /** Revision, hash and digests as an entry left them. */
  headAt(revision: number): Head | undefined {
    const found = this.#entries.get(revision - 1, 1) as { entry: string } | undefined
    const entry = found && (JSON.parse(found.entry) as EntryText)
    return entry?.revision === revision ? { revision, hash: entry.hash, digests: entry.digests } : undefined
  }

  dataVersion(): number {
    return (this.#dataVersion.get() as { data_version: number }).data_version
  }

  #read(after: number, limit: number): readonly LogEntry[] {
    const found: EntryText[] = []
    let bytes = 0
    for (const row of this.#entries.iterate(after, limit)) {
      bytes += row.bytes as number
      if (found.length > 0 && bytes > BATCH_BYTES) break
      found.push(JSON.parse(row.entry as string) as EntryText)
    }
    const first = found[0]
    const last = found.at(-1)
    return first && last ? this.#withEffects(found, first.revision, last.revision) : []
  }

  #withEffects(entries: readonly EntryText[], from: number, to: number): readonly LogEntry[] {
    const effects = new Map<number, { effects: Change[]; before: (Document | null)[]; payloads: PayloadDigests[] }>()
    for (const entry of entries) effects.set(entry.revision, { effects: [], before: [], payloads: [] })
    for (const found of this.#effects.iterate(from, to)) {
      const { revision, kind, workspace, id, document, before, document_digest, before_digest } =
        found as unknown as EffectColumns
      const entry = effects.get(revision)
      entry?.effects.push({ kind, workspace, id, document: parse(document) })
      entry?.before.push(parse(before))
      entry?.payloads.push({ after: document_digest, before: before_digest })
    }
    return entries.map((entry) => ({
      ...entry,
      ...(effects.get(entry.revision) as Pick<LogEntry, 'effects' | 'before' | 'payloads'>),
    }))
  }
}

function parse(text: string | null): Document | null {
  return text === null ? null : (JSON.parse(text) as Document)
}
