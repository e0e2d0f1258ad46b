/** Whole states read from the embedded store while it goes on: each on a connection of its own, which holds one state until it is read. */
import type { DatabaseSync } from 'node:sqlite'
import { Turns } from '#core/turns.ts'
import type { Row } from '#model/document.ts'
import type { Head } from './contract.ts'
import type { StoredRow } from './digest.ts'
import type { Projection } from './projection.ts'
import type { Secrets } from './secrets.ts'
import { openConnection } from './sqlite-file.ts'
import { SqliteLog } from './sqlite-log.ts'
import { SqliteRows } from './sqlite-rows.ts'

/** Rows between two turns of the event loop: about 5 ms. */
const ROWS_PER_TURN = 500

export class SqliteSnapshots {
  readonly #path: string
  readonly #projection: Projection
  readonly #secrets: Secrets
  readonly #open = new Set<DatabaseSync>()

  constructor(path: string, projection: Projection, secrets: Secrets) {
    this.#path = path
    this.#projection = projection
    this.#secrets = secrets
  }

  /** The rows of the kinds that are still there at a moment, opened, with the head that they belong to. */
  opened(kinds: readonly string[], nowMs: number): { head: Head; rows: AsyncIterable<Row> } {
    return this.#read((rows) => kinds.values().flatMap((kind) => rows.all(kind, nowMs)))
  }

  /** Every row as it is stored. */
  stored(): { head: Head; rows: AsyncIterable<StoredRow> } {
    return this.#read((rows) => rows.allStored())
  }

  close(): void {
    for (const database of this.#open) database.close()
    this.#open.clear()
  }

  #read<T>(rowsOf: (rows: SqliteRows) => Iterable<T>): { head: Head; rows: AsyncIterable<T> } {
    const database = openConnection(this.#path, 'read')
    this.#open.add(database)
    database.exec('BEGIN')
    return { head: new SqliteLog(database).head(), rows: this.#rows(database, rowsOf) }
  }

  async *#rows<T>(database: DatabaseSync, rowsOf: (rows: SqliteRows) => Iterable<T>): AsyncIterable<T> {
    try {
      const turns = new Turns(ROWS_PER_TURN)
      for (const row of rowsOf(new SqliteRows(database, this.#projection, this.#secrets))) {
        yield row
        await turns.step()
      }
    } finally {
      if (this.#open.delete(database)) database.close()
    }
  }
}
