/**
 * Answers for a copy that is not whole yet, and makes it whole. What is asked for is read from the projection of this data center and
 * taken over first: the row alone where its workspace is known or guessed, else the part that it is in. A row is only ever answered from the copy, into
 * which every entry up to its head was applied: a projection that is behind, or ahead, can't bring another state than the head's.
 */
import { GatewayError } from '#core/errors.ts'
import { DEFAULT_WORKSPACE, type Row } from '#model/document.ts'
import type { Filter, Page, PageOfRows, StateReader } from '../contract.ts'
import type { StoredRow } from '../digest.ts'
import { notWhole, referenceEntry, type Filling } from '../filling.ts'
import type { LocalCopy } from '../local-copy.ts'
import { CassandraFailure } from './port.ts'
import type { ProjectedRow, ProjectionTables } from './projection-tables.ts'
import { RowGatherer } from './row-gatherer.ts'

export interface FillerOptions {
  readonly copy: LocalCopy
  readonly projection: ProjectionTables
  /** The epoch that the copy follows; null until that is noted, when the projection of none may be taken for its own. */
  readonly epoch: () => number | null
  /** Resolves when the copy has reached the revision; rejects when it does not in time. */
  readonly reach: (revision: number) => Promise<void>
}

export interface FillProgress {
  readonly parts: number
  readonly done: number
  readonly rows: number
}

/** Rows that are taken over in one transaction of the copy: what else it has to take over waits so long. */
const ROWS_AT_ONCE = 500
/** Parts read at the same time, for look-ups; in the background it is one. */
const PARTS_AT_ONCE = 6
/** When a look-up finds more than so many, the parts that they are in are read instead of each by itself. */
const SINGLE_ROWS = 64

export class Filler {
  readonly #options: FillerOptions
  /** Parts that are being taken over. */
  readonly #parts = new Map<string, Promise<void>>()
  /** Look-ups by name under way. */
  readonly #names = new Map<string, Promise<void>>()
  readonly #single: RowGatherer
  /** In which the last single row was found: who asks for an entity by its id does not say where it is. */
  #likelyWorkspace = DEFAULT_WORKSPACE

  constructor(options: FillerOptions) {
    this.#options = options
    this.#single = new RowGatherer(() => this.#filling)
  }

  /** Null when the copy is whole. */
  get progress(): FillProgress | null {
    const filling = this.#filling
    if (!filling) return null
    const parts = [...filling.kinds].reduce((sum, kind) => sum + this.#options.projection.bucketsOf(kind), 0)
    return { parts, done: filling.done, rows: filling.rows }
  }

  /** Whether the copy can't answer for the kind by itself. */
  isMissing(kind: string): boolean {
    return this.#filling?.kinds.has(kind) === true
  }

  async get(kind: string, id: string): Promise<Row | undefined> {
    await this.#take(kind, id, this.#likelyWorkspace)
    return this.#reader.get(kind, id)
  }

  async lookup(kind: string, field: string, value: unknown, workspace: string): Promise<Row | undefined> {
    const found = await this.#reader.lookup(kind, field, value, workspace)
    const entry = this.#options.copy.uniqueEntry(kind, field, value, workspace)
    if (found || entry === undefined) return found
    await this.#takeNamed(kind, entry, workspace)
    return this.#reader.lookup(kind, field, value, workspace)
  }

  /** By a reference or a unique value; rejects with `STORE_UNAVAILABLE` for a list of all, which only a whole copy has. */
  async list(kind: string, filter: Filter, page: Page): Promise<PageOfRows> {
    const { reference, equals, workspace } = filter
    if (reference) await this.#takeNamed(kind, referenceEntry(kind, reference.field, reference.id), workspace)
    else if (equals && workspace !== undefined) await this.lookup(kind, equals.field, equals.value, workspace)
    else if (this.isMissing(kind)) throw notWhole(kind)
    return this.#reader.list(kind, filter, page)
  }

  /** Takes over the next part; false when there is none left. */
  async next(): Promise<boolean> {
    const filling = this.#filling
    if (!filling) return false
    for (const kind of filling.kinds) {
      for (let part = 0; part < this.#options.projection.bucketsOf(kind); part++) {
        if (filling.isDone(kind, part)) continue
        await this.#takePart(kind, part)
        return true
      }
    }
    return false
  }

  get #filling(): Filling | null {
    return this.#options.copy.filling
  }

  get #reader(): StateReader {
    return this.#filling?.partial ?? this.#options.copy
  }

  /** What has this name is in the copy afterwards. */
  async #takeNamed(kind: string, entry: string, workspace?: string): Promise<void> {
    const place = `${kind} ${entry}`
    let taking = this.#names.get(place)
    if (!taking) {
      taking = this.#takeNamedNow(kind, entry, workspace).finally(() => this.#names.delete(place))
      this.#names.set(place, taking)
    }
    await taking
  }

  async #takeNamedNow(kind: string, entry: string, workspace = this.#likelyWorkspace): Promise<void> {
    const { projection, reach } = this.#options
    const epoch = this.#epochFor(kind)
    const names = await asked(() => projection.named(epoch, kind, entry))
    // A name that is newer than the copy may have been another row's at the head.
    await reach(names.reduce((newest, { revision }) => Math.max(newest, revision), 0))
    const alive = names.filter(({ isDeleted }) => !isDeleted)
    if (alive.length > SINGLE_ROWS)
      for (const { id } of alive) await this.#takePart(kind, projection.bucketOf(kind, id))
    else await Promise.all(alive.map(({ id }) => this.#take(kind, id, workspace)))
  }

  /** The row alone, where it is in that workspace; else its part. */
  async #take(kind: string, id: string, workspace: string): Promise<void> {
    const part = this.#options.projection.bucketOf(kind, id)
    // In this order: a part may be done between a look into the copy and the question whether it is.
    if (this.#filling?.isDone(kind, part) !== false || (await this.#reader.get(kind, id))) return
    if (!(await this.#takeRow(kind, id, workspace))) await this.#takePart(kind, part)
  }

  /** False when the projection has none in that workspace; a deleted one may have moved to another. */
  async #takeRow(kind: string, id: string, workspace: string): Promise<boolean> {
    const { projection, reach } = this.#options
    const epoch = this.#epochFor(kind)
    const row = await asked(() => projection.row(epoch, kind, workspace, id))
    if (!row || !isAlive(row)) return false
    await reach(row.revision)
    await this.#single.add(row)
    this.#likelyWorkspace = row.workspace
    return true
  }

  #epochFor(kind: string): number {
    const epoch = this.#options.epoch()
    if (epoch === null) throw notWhole(kind)
    return epoch
  }

  async #takePart(kind: string, part: number): Promise<void> {
    const place = `${kind} ${part}`
    while (!this.#parts.has(place) && this.#parts.size >= PARTS_AT_ONCE)
      await Promise.race([...this.#parts.values()].map((taking) => taking.catch(() => undefined)))
    let taking = this.#parts.get(place)
    if (!taking) {
      if (this.#filling?.isDone(kind, part) !== false) return
      taking = this.#takePartNow(kind, part).finally(() => this.#parts.delete(place))
      this.#parts.set(place, taking)
    }
    await taking
  }

  async #takePartNow(kind: string, part: number): Promise<void> {
    const { projection, reach } = this.#options
    const epoch = this.#epochFor(kind)
    const rows = await asked(() => projection.part(epoch, kind, part, 'LOCAL_QUORUM'))
    // From there on the entries have brought what was newer than the copy.
    await reach(rows.reduce((newest, { revision }) => Math.max(newest, revision), 0))
    const alive = rows.filter(isAlive)
    for (let start = 0; ; start += ROWS_AT_ONCE) {
      const isLast = start + ROWS_AT_ONCE >= alive.length
      await this.#filling?.fill(kind, alive.slice(start, start + ROWS_AT_ONCE), isLast ? part : null)
      if (isLast) return
    }
  }
}

function isAlive(row: ProjectedRow): row is ProjectedRow & StoredRow {
  return row.sealed !== null
}

/** Who asked for an entity hears that the store can't be asked; never that the entity is not there. */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof CassandraFailure)) throw error
    throw new GatewayError(
      'STORE_UNAVAILABLE',
      `this node has just started and still copies the configuration, and Cassandra can not be asked: ${error.message}`,
      { cause: error },
    )
  }
}
