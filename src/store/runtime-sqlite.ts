/**
 * The runtime store on a file of its own: apart from the configuration, so that a backup of one is not a backup of the other and
 * a burst of sessions does not wait for a commit of the configuration. Each statement is atomic and durable by itself, also
 * between processes: of two that take a value at once only one gets it.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { RuntimeStore } from './contract.ts'
import type { Keyring } from './keyring.ts'
import { RuntimeSeal } from './runtime.ts'
import { openFile, whenFree, type FileKind } from './sqlite-file.ts'

export interface SqliteRuntimeOptions {
  readonly path: string
  readonly keyring: Keyring
  readonly nowMs: () => number
  readonly busyTimeoutMs?: number
}

/** Expired rows that a put deletes on its way: more than one, so that they never pile up. */
const SWEPT_PER_PUT = 20

/** Throws `STORE_FORMAT` or `STORE_BUSY`. */
export async function openSqliteRuntimeStore(options: SqliteRuntimeOptions): Promise<RuntimeStore> {
  const { path, busyTimeoutMs = 5000 } = options
  const database = await openFile(path, RUNTIME_FILE, busyTimeoutMs)
  return new SqliteRuntimeStore(options, database, busyTimeoutMs)
}

const TABLES = `
  CREATE TABLE runtime (space TEXT NOT NULL, key TEXT NOT NULL, expires_at_ms REAL NOT NULL, value TEXT NOT NULL, PRIMARY KEY (space, key)) STRICT, WITHOUT ROWID;
  CREATE INDEX runtime_by_expiry ON runtime (expires_at_ms);
`
/** 'MRDR' in ASCII. */
const RUNTIME_FILE: FileKind = { applicationId: 0x4d524452, format: 1, tables: TABLES }

class SqliteRuntimeStore implements RuntimeStore {
  readonly #path: string
  readonly #seal: RuntimeSeal
  readonly #nowMs: () => number
  readonly #busyTimeoutMs: number
  readonly #database: DatabaseSync
  readonly #put: StatementSync
  readonly #putIfAbsent: StatementSync
  readonly #get: StatementSync
  readonly #take: StatementSync
  readonly #sweep: StatementSync

  constructor({ path, keyring, nowMs }: SqliteRuntimeOptions, database: DatabaseSync, busyTimeoutMs: number) {
    this.#path = path
    this.#seal = new RuntimeSeal(keyring)
    this.#nowMs = nowMs
    this.#busyTimeoutMs = busyTimeoutMs
    this.#database = database
    const insert = 'INSERT INTO runtime (space, key, expires_at_ms, value) VALUES (?, ?, ?, ?) ON CONFLICT (space, key)'
    const replace = 'DO UPDATE SET expires_at_ms = excluded.expires_at_ms, value = excluded.value'
    this.#put = database.prepare(`${insert} ${replace}`)
    this.#putIfAbsent = database.prepare(`${insert} ${replace} WHERE runtime.expires_at_ms <= ?`)
    this.#get = database.prepare('SELECT value FROM runtime WHERE space = ? AND key = ? AND expires_at_ms > ?')
    this.#take = database.prepare('DELETE FROM runtime WHERE space = ? AND key = ? RETURNING value, expires_at_ms')
    this.#sweep = database.prepare(
      'DELETE FROM runtime WHERE (space, key) IN (SELECT space, key FROM runtime WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?)',
    )
  }

  async put(space: string, key: string, value: unknown, ttlMs: number): Promise<void> {
    const hashed = this.#seal.keyOf(space, key)
    const sealed = this.#seal.seal(space, hashed, value)
    await this.#whenFree(() => {
      const nowMs = this.#nowMs()
      this.#put.run(space, hashed, nowMs + ttlMs, sealed)
      this.#sweep.run(nowMs, SWEPT_PER_PUT)
    })
  }

  async putIfAbsent(space: string, key: string, value: unknown, ttlMs: number): Promise<boolean> {
    const hashed = this.#seal.keyOf(space, key)
    const sealed = this.#seal.seal(space, hashed, value)
    return this.#whenFree(() => {
      const nowMs = this.#nowMs()
      return this.#putIfAbsent.run(space, hashed, nowMs + ttlMs, sealed, nowMs).changes === 1
    })
  }

  async get(space: string, key: string): Promise<unknown> {
    const hashed = this.#seal.keyOf(space, key)
    const found = this.#get.get(space, hashed, this.#nowMs()) as { value: string } | undefined
    return found && this.#seal.open(space, hashed, found.value)
  }

  async take(space: string, key: string): Promise<unknown> {
    const hashed = this.#seal.keyOf(space, key)
    // `all` and not `get`: only a statement that ran to its end has told whether its commit failed.
    const [found] = (await this.#whenFree(() => this.#take.all(space, hashed))) as {
      value: string
      expires_at_ms: number
    }[]
    return found && found.expires_at_ms > this.#nowMs() ? this.#seal.open(space, hashed, found.value) : undefined
  }

  async delete(space: string, key: string): Promise<void> {
    const hashed = this.#seal.keyOf(space, key)
    await this.#whenFree(() => this.#take.all(space, hashed))
  }

  async close(): Promise<void> {
    this.#database.close()
  }

  #whenFree<T>(attempt: () => T): Promise<T> {
    return whenFree(this.#path, this.#busyTimeoutMs, attempt)
  }
}
