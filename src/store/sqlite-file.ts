/** The file of the embedded store: how it is opened, its tables, and the versions of both. */
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'
import { GatewayError } from '#core/errors.ts'

/** The format that this version writes. A change that older versions would misread raises it, with a step that converts. */
export const FORMAT = 1
/** 'MRDN' as SQLite's application id: a database of something else is refused and not filled with tables. */
const APPLICATION_ID = 0x4d52444e
/** Between two attempts to get a lock that another process holds. */
const RETRY_MS = 10
const SQLITE_BUSY = 5
const SQLITE_NOTADB = 26

/** Opens the file for reading and for writing, after making it, or checking that it is ours. Throws `STORE_FORMAT`, `STORE_BUSY`. */
export async function openFile(
  path: string,
  timeoutMs: number,
): Promise<readonly [read: DatabaseSync, write: DatabaseSync]> {
  createPrivately(path)
  const write = openConnection(path)
  try {
    await prepareFile(write, path, timeoutMs)
    return [openConnection(path), write]
  } catch (cause) {
    write.close()
    if (errorNumber(cause) !== SQLITE_NOTADB) throw cause
    throw new GatewayError('STORE_FORMAT', `${path}: expected a store of Meridian, got a file of another kind`, {
      cause,
    })
  }
}

/**
 * One more connection: durable at each commit (an acknowledged transaction survives a power cut), and never waiting inside
 * SQLite for longer than a moment, because that would hold up the whole thread; `whenFree` waits outside.
 */
export function openConnection(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: RETRY_MS })
  database.exec('PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384')
  return database
}

/** Repeats what fails because another process has the lock, until it works; throws `STORE_BUSY` when that takes too long. */
export async function whenFree<T>(path: string, timeoutMs: number, attempt: () => T): Promise<T> {
  // A count and not a clock: a clock that is set forward must not cut the wait short.
  for (let waitedMs = 0; ; waitedMs += 2 * RETRY_MS) {
    try {
      return attempt()
    } catch (cause) {
      if (errorNumber(cause) !== SQLITE_BUSY) throw cause
      if (waitedMs >= timeoutMs)
        throw new GatewayError(
          'STORE_BUSY',
          `${path}: expected the lock within ${timeoutMs} ms, another process holds it`,
          { cause },
        )
      await sleep(RETRY_MS)
    }
  }
}

/** The primary result code of an SQLite error, or 0. */
export function errorNumber(error: unknown): number {
  const { errcode } = error as { errcode?: unknown }
  return typeof errcode === 'number' ? errcode & 0xff : 0
}

/** SQLite gives its other files the mode of this one. Never opens a file that is there: closing it would drop SQLite's locks. */
function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, 'ax', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Makes the tables in a new file; refuses a file that is not ours or that a later version wrote. */
async function prepareFile(database: DatabaseSync, path: string, timeoutMs: number): Promise<void> {
  await whenFree(path, timeoutMs, () => {
    checkFormat(database, path)
    database.exec('PRAGMA journal_mode = WAL')
  })
  await whenFree(path, timeoutMs, () => database.exec('BEGIN IMMEDIATE'))
  try {
    // Asked again under the lock: another process may have made them meanwhile.
    if (checkFormat(database, path) === 'new') {
      database.exec(TABLES)
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`)
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function checkFormat(database: DatabaseSync, path: string): 'new' | 'known' {
  const application = pragma(database, 'application_id')
  const format = pragma(database, 'user_version')
  if (application === 0 && format === 0) {
    const { tables } = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number }
    if (tables === 0) return 'new'
  }
  if (application !== APPLICATION_ID)
    throw new GatewayError('STORE_FORMAT', `${path}: expected a store of Meridian, got a database of another program`)
  if (format > FORMAT) {
    throw new GatewayError(
      'STORE_FORMAT',
      `${path}: expected format ${FORMAT} or lower, got ${format}, which a later version wrote`,
    )
  }
  return 'known'
}

function pragma(database: DatabaseSync, name: string): number {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0] as number
}

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
