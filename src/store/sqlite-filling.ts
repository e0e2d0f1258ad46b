/** The filling of a copy on the disk. What it counts is kept beside the rows, in the same database transactions. */
import { GatewayError } from '#core/errors.ts'
import { Turns } from '#core/turns.ts'
import type { Document } from '#model/document.ts'
import { canonicalJson } from './canonical.ts'
import type { LogEntry, StateReader } from './contract.ts'
import { DigestSum, type StoredRow } from './digest.ts'
import type { Unfilled } from './entry.ts'
import { digestsOf, partName, type Filling, type FillingRecord } from './filling.ts'
import type { Secrets } from './secrets.ts'
import type { SqliteLog } from './sqlite-log.ts'
import type { SqliteRows } from './sqlite-rows.ts'
import { goneName, type SqliteTables } from './sqlite-tables.ts'

export interface FilledFile {
  readonly partial: StateReader
  /** These see what the transaction under way has written. */
  readonly rows: SqliteRows
  readonly log: SqliteLog
  readonly tables: SqliteTables
  readonly secrets: Secrets
  readonly commit: (work: () => Promise<void>) => Promise<void>
  readonly end: () => void
}

/** Rows between two turns of the event loop: about 5 ms. */
const ROWS_PER_TURN = 100

export class SqliteFilling implements Filling, Unfilled {
  readonly kinds: ReadonlySet<string>
  digests: DigestSum
  rows: number
  readonly #file: FilledFile
  #done: Set<string>

  constructor({ kinds, done, rows, digests }: FillingRecord, file: FilledFile) {
    this.kinds = new Set(kinds)
    this.digests = new DigestSum(digests)
    this.rows = rows
    this.#done = new Set(done)
    this.#file = file
  }

  get done(): number {
    return this.#done.size
  }

  get partial(): StateReader {
    return this.#file.partial
  }

  isDone(kind: string, part: number): boolean {
    return this.#done.has(partName(kind, part))
  }

  /** What takes back the changes from now on, when the transaction that they belong to is not committed. */
  savepoint(): () => void {
    const { rows } = this
    const digests = this.digests.digests()
    return () => {
      this.digests = new DigestSum(digests)
      this.rows = rows
    }
  }

  /** Part of the transaction under way, like the two that follow. */
  save(done = this.#done): void {
    const { kinds, rows, digests } = this
    this.#file.tables.setState('filling', {
      kinds: [...kinds],
      done: [...done],
      rows,
      digests: digests.digests(),
    } satisfies FillingRecord)
  }

  /** A row that is read later than this entry was applied must not come back. */
  noteGone({ revision, effects }: LogEntry): void {
    for (const { kind, id, document } of effects)
      if (document === null && this.kinds.has(kind)) this.#file.tables.addGone(kind, id, revision)
  }

  async fill(kind: string, rows: readonly StoredRow[], whole: number | null): Promise<void> {
    const { rows: there, log, tables, secrets } = this.#file
    const done = () => (whole === null ? this.#done : this.#done.union(new Set([partName(kind, whole)])))
    await this.#file.commit(async () => {
      const turns = new Turns(ROWS_PER_TURN)
      for (const row of rows) {
        const goneAt = log.state<number>(goneName(kind, row.id)) ?? 0
        if (goneAt >= row.revision || there.stored(kind, row.id)) continue
        const document = secrets.open(kind, JSON.parse(row.sealed) as Document)
        tables.putRow(row, document)
        tables.derive(kind, row.workspace, document)
        this.digests.add(row)
        this.rows++
        await turns.step()
      }
      this.save(done())
    })
    // Not before: until the commit no reader sees these rows.
    this.#done = done()
  }

  async finish(): Promise<void> {
    const { log, tables, commit, end } = this.#file
    await commit(async () => {
      const { revision, digests } = log.head()
      if (canonicalJson(this.digests.digests()) !== canonicalJson(digestsOf(digests, this.kinds, true)))
        throw new GatewayError(
          'COPY_DIVERGED',
          `revision ${revision}: the rows that were filled are not those of its digests`,
        )
      tables.endFilling()
    })
    end()
  }
}
