/** Writes the tables of the embedded store. Every method is part of a transaction that its caller has begun. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Document } from '#model/document.ts'
import { canonicalJson } from './canonical.ts'
import type { LogEntry } from './contract.ts'
import type { StoredRow } from './digest.ts'
import type { SealedEffect } from './entry.ts'
import { expiryMs, tagsOf, type Projection } from './projection.ts'
import type { FileKind } from './sqlite-file.ts'
import type { EntryText } from './sqlite-log.ts'

/**
 * log, log_effects and transactions are the log; the other tables follow from it. Documents are sealed canonical JSON, values of
 * unique keys canonical JSON or, of secrets, their look-up keys. log_effects.before is what an effect replaced.
 */
const TABLES = `
  CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE log (revision INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, bytes INTEGER NOT NULL, entry TEXT NOT NULL) STRICT;
  CREATE TABLE log_effects (
    revision INTEGER NOT NULL, position INTEGER NOT NULL,
    kind TEXT NOT NULL, workspace TEXT NOT NULL, id TEXT NOT NULL,
    document TEXT, before TEXT, document_digest TEXT, before_digest TEXT,
    PRIMARY KEY (revision, position)
  ) STRICT;
  CREATE TABLE transactions (txid TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX transactions_by_revision ON transactions (revision);

  CREATE TABLE entities (
    kind TEXT NOT NULL, id TEXT NOT NULL, workspace TEXT NOT NULL, revision INTEGER NOT NULL, expires_at_ms REAL, document TEXT NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT;
  CREATE INDEX entities_by_workspace ON entities (kind, workspace, id);
  CREATE INDEX entities_by_expiry ON entities (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
  CREATE TABLE unique_keys (
    kind TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, workspace TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (kind, field, value, workspace)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE entity_refs (
    kind TEXT NOT NULL, field TEXT NOT NULL, foreign_id TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (kind, field, foreign_id, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE entity_tags (
    kind TEXT NOT NULL, tag TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (kind, tag, id)
  ) STRICT, WITHOUT ROWID;
`

/** 'MRDN' in ASCII. */
export const CONFIG_FILE: FileKind = { applicationId: 0x4d52444e, format: 1, tables: TABLES }

/** The rows of one derived table: the statement's values, without the id. */
type Derived = Readonly<Record<DerivedTable, readonly (readonly string[])[]>>
type DerivedTable = (typeof DERIVED)[number]
const DERIVED = ['unique_keys', 'entity_refs', 'entity_tags'] as const

export class SqliteTables {
  readonly #projection: Projection
  readonly #setState: StatementSync
  readonly #addEntry: StatementSync
  readonly #addEffect: StatementSync
  readonly #addTransaction: StatementSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #add: Readonly<Record<DerivedTable, StatementSync>>
  readonly #remove: Readonly<Record<DerivedTable, StatementSync>>
  readonly #cut: readonly StatementSync[]
  readonly #clear: readonly StatementSync[]
  readonly #clearDerived: readonly StatementSync[]
  readonly #endFilling: StatementSync

  constructor(database: DatabaseSync, projection: Projection) {
    this.#projection = projection
    this.#setState = database.prepare(
      'INSERT INTO state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    )
    this.#addEntry = database.prepare('INSERT INTO log (revision, at_ms, bytes, entry) VALUES (?, ?, ?, ?)')
    this.#addEffect = database.prepare(
      `INSERT INTO log_effects (revision, position, kind, workspace, id, document, before, document_digest, before_digest)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#addTransaction = database.prepare('INSERT INTO transactions (txid, revision) VALUES (?, ?)')
    this.#put = database.prepare(
      `INSERT INTO entities (kind, id, workspace, revision, expires_at_ms, document) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (kind, id) DO UPDATE SET
         workspace = excluded.workspace, revision = excluded.revision, expires_at_ms = excluded.expires_at_ms, document = excluded.document`,
    )
    this.#delete = database.prepare('DELETE FROM entities WHERE kind = ? AND id = ?')
    this.#add = {
      unique_keys: database.prepare(
        'INSERT INTO unique_keys (kind, field, value, workspace, id) VALUES (?, ?, ?, ?, ?)',
      ),
      entity_refs: database.prepare('INSERT INTO entity_refs (kind, field, foreign_id, id) VALUES (?, ?, ?, ?)'),
      entity_tags: database.prepare('INSERT INTO entity_tags (kind, tag, id) VALUES (?, ?, ?)'),
    }
    this.#remove = {
      unique_keys: database.prepare(
        'DELETE FROM unique_keys WHERE kind = ? AND field = ? AND value = ? AND workspace = ? AND id = ?',
      ),
      entity_refs: database.prepare(
        'DELETE FROM entity_refs WHERE kind = ? AND field = ? AND foreign_id = ? AND id = ?',
      ),
      entity_tags: database.prepare('DELETE FROM entity_tags WHERE kind = ? AND tag = ? AND id = ?'),
    }
    this.#clear = ['log', 'log_effects', 'transactions', 'entities', ...DERIVED].map((table) =>
      database.prepare(`DELETE FROM ${table}`),
    )
    this.#clearDerived = DERIVED.map((table) => database.prepare(`DELETE FROM ${table} WHERE kind = ?`))
    this.#endFilling = database.prepare(
      "DELETE FROM state WHERE name = 'filling' OR (name >= 'gone ' AND name < 'gone!')",
    )
    this.#cut = ['log', 'log_effects', 'transactions'].map((table) =>
      database.prepare(`DELETE FROM ${table} WHERE revision <= ?`),
    )
  }

  setState(name: string, value: unknown): void {
    this.#setState.run(name, canonicalJson(value))
  }

  /** A row of a copy that is being filled is deleted: its name stays until the end of that. */
  addGone(kind: string, id: string, revision: number): void {
    this.setState(goneName(kind, id), revision)
  }

  endFilling(): void {
    this.#endFilling.run()
  }

  addEntry(entry: LogEntry, bytes: number): void {
    const { effects: _effects, before: _before, payloads: _payloads, ...text } = entry
    this.#addEntry.run(entry.revision, entry.atMs, bytes, canonicalJson(text satisfies EntryText))
    this.#addTransaction.run(entry.txid, entry.revision)
    for (const { txid } of entry.members ?? []) this.#addTransaction.run(txid, entry.revision)
  }

  addEffect(
    revision: number,
    position: number,
    { effect, sealed, stored }: SealedEffect,
    digests: LogEntry['payloads'][number],
  ): void {
    const { kind, workspace, id } = effect
    this.#addEffect.run(
      revision,
      position,
      kind,
      workspace,
      id,
      sealed,
      stored?.sealed ?? null,
      digests.after,
      digests.before,
    )
  }

  /** Writes an entry with its effects and leaves the rows alone. */
  addDecided(entry: LogEntry): void {
    const sealed = (document: Document | null | undefined) => (document ? canonicalJson(document) : null)
    const texts = entry.effects.map(({ document }, i) => ({ after: sealed(document), before: sealed(entry.before[i]) }))
    this.addEntry(
      entry,
      texts.reduce((sum, { after, before }) => sum + (after?.length ?? 0) + (before?.length ?? 0), 0),
    )
    for (const [position, { kind, workspace, id }] of entry.effects.entries()) {
      const { after = null, before = null } = texts[position] ?? {}
      const digests = entry.payloads[position]
      this.#addEffect.run(
        entry.revision,
        position,
        kind,
        workspace,
        id,
        after,
        before,
        digests?.after ?? null,
        digests?.before ?? null,
      )
    }
  }

  /** Writes a row without what follows from it. */
  putRow({ kind, id, workspace, revision, sealed }: StoredRow, document: Document): void {
    this.#put.run(kind, id, workspace, revision, expiryMs(document), sealed)
  }

  deleteRow(kind: string, id: string): void {
    this.#delete.run(kind, id)
  }

  /** Takes back what followed from all rows of a kind. */
  clearDerived(kind: string): void {
    for (const statement of this.#clearDerived) statement.run(kind)
  }

  /** Empties log and rows; the state and notes stay. */
  clear(): void {
    for (const statement of this.#clear) statement.run()
  }

  /** Takes back what followed from the old document; done for all effects before any `apply`, since entities swap values. */
  withdraw({ effect: { kind, workspace, id, before, after } }: SealedEffect): void {
    if (!before) return
    const old = this.#derived(kind, workspace, before.document)
    const kept = after && this.#derived(kind, workspace, after)
    for (const table of DERIVED)
      for (const values of without(old[table], kept?.[table])) this.#remove[table].run(...values, id)
  }

  apply({ effect: { kind, workspace, id, before, after }, sealed }: SealedEffect, revision: number): void {
    if (after === null || sealed === null) {
      this.#delete.run(kind, id)
      return
    }
    this.#put.run(kind, id, workspace, revision, expiryMs(after), sealed)
    const old = before && this.#derived(kind, workspace, before.document)
    const next = this.#derived(kind, workspace, after)
    for (const table of DERIVED)
      for (const values of without(next[table], old?.[table])) this.#add[table].run(...values, id)
  }

  /** Adds what follows from a row, when derived tables are made anew. */
  derive(kind: string, workspace: string, document: Document): void {
    const derived = this.#derived(kind, workspace, document)
    for (const table of DERIVED) for (const values of derived[table]) this.#add[table].run(...values, document.id)
  }

  /** Deletes the entries up to a revision. */
  cut(revision: number): void {
    for (const statement of this.#cut) statement.run(revision)
  }

  #derived(kind: string, workspace: string, document: Document): Derived {
    // A kind that a newer node knows: its rows are kept, what follows from them is made once it is known here.
    if (!this.#projection.knows(kind)) return { unique_keys: [], entity_refs: [], entity_tags: [] }
    const uniqueKeys = this.#projection.uniqueKeys(kind, workspace, document)
    const references = this.#projection.references(kind, document)
    return {
      unique_keys: uniqueKeys.map((key) => [kind, key.field, key.value, key.workspace]),
      entity_refs: references.map(({ rule, id }) => [kind, rule.field, id]),
      entity_tags: [...new Set(tagsOf(document))].map((tag) => [kind, tag]),
    }
  }
}

/** In the table of states. */
export function goneName(kind: string, id: string): string {
  return `gone ${kind} ${id}`
}

function without(
  rows: readonly (readonly string[])[],
  others: readonly (readonly string[])[] = [],
): readonly (readonly string[])[] {
  if (others.length === 0) return rows
  const known = new Set(others.map((values) => values.join('\0')))
  return rows.filter((values) => !known.has(values.join('\0')))
}
