/** Reads the rows of the embedded store. `nowMs` decides which rows are still there: -Infinity shows all. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Row } from '#model/document.ts'
import type { Filter, Page, PageOfRows } from './contract.ts'
import type { StoredRow } from './digest.ts'
import { offsetAfter, startOf } from './offset.ts'
import type { Projection } from './projection.ts'
import type { Secrets } from './secrets.ts'

const COLUMNS = 'e.kind, e.workspace, e.id, e.revision, e.document'
const ALIVE = '(e.expires_at_ms IS NULL OR e.expires_at_ms > ?)'
/** Prepared statements of lists, one per form of filter; the number of tags makes forms without end. */
const STATEMENTS_KEPT = 64

export interface RowColumns {
  readonly kind: string
  readonly workspace: string
  readonly id: string
  readonly revision: number
  readonly document: string
}

export class SqliteRows {
  readonly #database: DatabaseSync
  readonly #projection: Projection
  readonly #secrets: Secrets
  readonly #get: StatementSync
  readonly #lookup: StatementSync
  readonly #stored: StatementSync
  readonly #expired: StatementSync
  readonly #all: StatementSync
  readonly #everyRow: StatementSync
  readonly #everyRowOf: StatementSync
  readonly #lists = new Map<string, StatementSync>()

  constructor(database: DatabaseSync, projection: Projection, secrets: Secrets) {
    this.#database = database
    this.#projection = projection
    this.#secrets = secrets
    this.#get = database.prepare(`SELECT ${COLUMNS} FROM entities e WHERE e.kind = ? AND e.id = ? AND ${ALIVE}`)
    this.#lookup = database.prepare(
      `SELECT ${COLUMNS} FROM unique_keys k CROSS JOIN entities e ON e.kind = k.kind AND e.id = k.id
       WHERE k.kind = ? AND k.field = ? AND k.value = ? AND k.workspace = ? AND ${ALIVE}`,
    )
    this.#stored = database.prepare(`SELECT ${COLUMNS} FROM entities e WHERE e.kind = ? AND e.id = ?`)
    this.#all = database.prepare(`SELECT ${COLUMNS} FROM entities e WHERE e.kind = ? AND ${ALIVE} ORDER BY e.id`)
    this.#everyRow = database.prepare(`SELECT ${COLUMNS} FROM entities e`)
    this.#everyRowOf = database.prepare(`SELECT ${COLUMNS} FROM entities e WHERE e.kind = ?`)
    this.#expired = database.prepare(
      'SELECT kind, workspace, id FROM entities WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?',
    )
  }

  get(kind: string, id: string, nowMs: number): Row | undefined {
    return this.row(this.#get.get(kind, id, nowMs))
  }

  lookup(kind: string, field: string, value: unknown, workspace: string, nowMs: number): Row | undefined {
    const key = this.#projection.lookupKey(kind, field, value, workspace)
    return key && this.row(this.#lookup.get(key.kind, key.field, key.value, key.workspace, nowMs))
  }

  list(kind: string, filter: Filter, page: Page, nowMs: number): PageOfRows {
    const query = this.#query(kind, filter, startOf(page), nowMs)
    if (!query) return { rows: [] }
    const found = this.#statement(query.text).all(...query.values, page.size + 1)
    const rows = found.slice(0, page.size).map((columns) => this.row(columns) as Row)
    const last = rows.at(-1)
    return found.length > page.size && last ? { rows, offset: offsetAfter(last.document.id) } : { rows }
  }

  stored(kind: string, id: string): StoredRow | undefined {
    const columns = this.#stored.get(kind, id) as RowColumns | undefined
    return columns && { kind, workspace: columns.workspace, id, revision: columns.revision, sealed: columns.document }
  }

  expired(atMs: number, limit: number): readonly { kind: string; workspace: string; id: string }[] {
    const found = this.#expired.all(atMs, limit) as unknown as { kind: string; workspace: string; id: string }[]
    return found.map(({ kind, workspace, id }) => ({ kind, workspace, id }))
  }

  /** Every row of a kind, read as the iteration goes on. */
  *all(kind: string, nowMs: number): IterableIterator<Row> {
    for (const found of this.#all.iterate(kind, nowMs)) yield this.row(found) as Row
  }

  /** Every row as it is stored, of a kind or of all. */
  *allStored(of?: string): IterableIterator<StoredRow> {
    for (const found of of === undefined ? this.#everyRow.iterate() : this.#everyRowOf.iterate(of)) {
      const { kind, workspace, id, revision, document } = found as unknown as RowColumns
      yield { kind, workspace, id, revision, sealed: document }
    }
  }

  row(found: Record<string, unknown> | undefined): Row | undefined {
    if (!found) return undefined
    const { kind, workspace, revision, document } = found as unknown as RowColumns
    return { kind, workspace, revision, document: this.#secrets.open(kind, JSON.parse(document)) }
  }

  /** One part of the filter gives the ids, in order and only as far as they are needed; the others are conditions on the rows. */
  #query(kind: string, filter: Filter, start: string, nowMs: number): Query | undefined {
    const { reference, equals, tags } = filter
    const workspace = filter.workspace === undefined ? undefined : this.#projection.workspaceOf(kind, filter.workspace)
    const sources: Source[] = []
    if (equals) {
      const key = this.#projection.lookupKey(kind, equals.field, equals.value, workspace ?? '')
      if (!key) return undefined
      sources.push({ from: 'unique_keys', where: 'd.field = ? AND d.value = ?', anyOf: [[key.field, key.value]] })
    }
    if (reference) {
      sources.push({
        from: 'entity_refs',
        where: 'd.field = ? AND d.foreign_id = ?',
        anyOf: [[reference.field, reference.id]],
      })
    }
    const tagSource = (values: readonly string[]): Source => ({
      from: 'entity_tags',
      where: 'd.tag = ?',
      anyOf: values.map((tag) => [tag]),
    })
    if (tags?.match === 'any' && tags.values.length === 0) return undefined
    if (tags?.match === 'any') sources.push(tagSource(tags.values))
    if (tags?.match === 'all') sources.push(...tags.values.map((tag) => tagSource([tag])))

    const [first, ...others] = sources
    const conditions = others.map((source) => {
      const some = source.anyOf.map(() => `(${source.where})`).join(' OR ')
      return `EXISTS (SELECT 1 FROM ${source.from} d WHERE d.kind = e.kind AND d.id = e.id AND (${some}))`
    })
    const values: SQLInputValue[] = others.flatMap(({ anyOf }) => anyOf.flat())
    if (workspace !== undefined) {
      // The plus keeps SQLite from the index by workspace where the ids come from another table.
      conditions.push(first ? '+e.workspace = ?' : 'e.workspace = ?')
      values.push(workspace)
    }
    const rest = [...conditions, ALIVE].join(' AND ')
    values.push(nowMs)
    if (!first) {
      const text = `SELECT ${COLUMNS} FROM entities e WHERE e.kind = ? AND e.id > ? AND ${rest} ORDER BY e.id LIMIT ?`
      return { text, values: [kind, start, ...values] }
    }
    const branch = `SELECT d.id FROM ${first.from} d WHERE d.kind = ? AND ${first.where} AND d.id > ?`
    const ids = `${first.anyOf.map(() => branch).join(' UNION ')} ORDER BY 1`
    const text = `SELECT ${COLUMNS} FROM (${ids}) d CROSS JOIN entities e ON e.kind = ? AND e.id = d.id WHERE ${rest} ORDER BY d.id LIMIT ?`
    return { text, values: [...first.anyOf.flatMap((some) => [kind, ...some, start]), kind, ...values] }
  }

  #statement(text: string): StatementSync {
    let statement = this.#lists.get(text)
    if (!statement) {
      if (this.#lists.size >= STATEMENTS_KEPT) this.#lists.clear()
      this.#lists.set(text, (statement = this.#database.prepare(text)))
    }
    return statement
  }
}

interface Query {
  readonly text: string
  readonly values: readonly SQLInputValue[]
}
/** Ids of the rows in a derived table for which the condition holds with one of the lists of values. */
interface Source {
  readonly from: 'unique_keys' | 'entity_refs' | 'entity_tags'
  readonly where: string
  readonly anyOf: readonly (readonly string[])[]
}
