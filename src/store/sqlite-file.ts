/** The files of the embedded stores: how they are opened, and how one is told from another and a newer from an older. */
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'
import { GatewayError } from '#core/errors.ts'

/** What a file holds. SQLite keeps two numbers in a file's head for this, so that no other database is taken for one of ours. */
export interface FileKind {
  readonly applicationId: number
  /** The format that this version writes. A change that older versions would misread raises it, with a step that converts. */
  readonly format: number
  /** The statements that make the tables of a new file. */
  readonly tables: string
}

/** Between two attempts to get a lock that another process holds. */
const RETRY_MS = 10
/** Recovering a write-ahead log of 64 MB takes less. */
const RECOVERY_MS = 1000
const SQLITE_BUSY = 5
const SQLITE_NOTADB = 26

/** Opens the file after making it, or checking that it is of this kind. Throws `STORE_FORMAT` or `STORE_BUSY`. */
export async function openFile(path: string, kind: FileKind, timeoutMs: number): Promise<DatabaseSync> {
  createPrivately(path)
  const database = openConnection(path, 'write')
  try {
    await prepareFile(database, path, kind, timeoutMs)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * A connection, durable at each commit: an acknowledged transaction survives a power cut. One that reads waits inside SQLite, and
 * holds up its thread, only while another process recovers the file after a crash; one that writes meets locks all the time, so
 * it gives up after a moment and waits outside, in `whenFree`.
 */
export function openConnection(path: string, use: 'read' | 'write'): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: use === 'read' ? RECOVERY_MS : RETRY_MS })
  try {
    database.exec('PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384')
    return database
  } catch (cause) {
    database.close()
    if (errorNumber(cause) !== SQLITE_NOTADB) throw cause
    throw new GatewayError('STORE_FORMAT', `${path}: expected a store of Meridian, got a file of another kind`, {
      cause,
    })
  }
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
const SQLITE_READONLY = 8
/** The disk could not read or write. */
export const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13

/** What SQLite says about disk and file, as a failure that tells the operator where to look; other errors as they are. */
export function diskFailure(path: string, error: unknown): unknown {
  if (![SQLITE_IOERR, SQLITE_FULL, SQLITE_READONLY, SQLITE_CORRUPT].includes(errorNumber(error))) return error
  return new GatewayError('STORE_UNAVAILABLE', `${path}: ${(error as Error).message}`, { cause: error })
}

async function prepareFile(database: DatabaseSync, path: string, kind: FileKind, timeoutMs: number): Promise<void> {
  await whenFree(path, timeoutMs, () => {
    checkFormat(database, path, kind)
    database.exec('PRAGMA journal_mode = WAL')
  })
  await whenFree(path, timeoutMs, () => database.exec('BEGIN IMMEDIATE'))
  try {
    // Asked again under the lock: another process may have made them meanwhile.
    if (checkFormat(database, path, kind) === 'new') {
      database.exec(kind.tables)
      database.exec(`PRAGMA application_id = ${kind.applicationId}; PRAGMA user_version = ${kind.format}`)
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function checkFormat(database: DatabaseSync, path: string, kind: FileKind): 'new' | 'known' {
  const application = pragma(database, 'application_id')
  const format = pragma(database, 'user_version')
  if (application === 0 && format === 0) {
    const { tables } = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number }
    if (tables === 0) return 'new'
  }
  if (application !== kind.applicationId)
    throw new GatewayError('STORE_FORMAT', `${path}: expected a store of Meridian, got a database of another program`)
  if (format > kind.format) {
    throw new GatewayError(
      'STORE_FORMAT',
      `${path}: expected format ${kind.format} or lower, got ${format}, which a later version wrote`,
    )
  }
  return 'known'
}

function pragma(database: DatabaseSync, name: string): number {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0] as number
}
