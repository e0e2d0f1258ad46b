/** The store's port on a real cluster: prepared statements made from the tables' definitions. */
import { LEFT_OUT, type Bound, type CassandraDriver, type StatementResult } from './driver.ts'
import {
  CassandraFailure,
  type CassandraPort,
  type Conditional,
  type ConditionalOptions,
  type Selection,
  type Table,
  type TableRow,
  type WriteOptions,
} from './port.ts'
import { createStatements, type Statements } from './statements.ts'

export interface DriverPortOptions {
  readonly driver: CassandraDriver
  readonly keyspace: string
}

const PAGE_ROWS = 1000

export function createDriverPort(options: DriverPortOptions): CassandraPort {
  return new DriverPort(options)
}

class DriverPort implements CassandraPort {
  readonly #driver: CassandraDriver
  readonly #statements: Statements

  constructor({ driver, keyspace }: DriverPortOptions) {
    this.#driver = driver
    this.#statements = createStatements(keyspace)
  }

  async select(table: Table, { partition, equals = {}, after, limit, consistency }: Selection): Promise<TableRow[]> {
    const { text, columns } = this.#statements.select(table, Object.keys(equals), after?.column)
    const values = [
      ...columns.map((column) => valueOf(table, { ...partition, ...equals }, column)),
      ...(after === undefined ? [] : [after.value]),
      limit,
    ]
    const rows: TableRow[] = []
    let pageState: string | null = null
    do {
      const page: StatementResult = await this.#driver.execute(text, values, {
        kind: 'read',
        consistency,
        pageSize: Math.min(limit, PAGE_ROWS),
        ...(pageState !== null && { pageState }),
      })
      rows.push(...page.rows)
      ;({ pageState } = page)
    } while (pageState !== null && rows.length < limit)
    return rows
  }

  async insert(table: Table, row: TableRow, options: WriteOptions): Promise<void> {
    const { statement, values } = this.#insertOf(table, row, options)
    await this.#driver.execute(statement, values, { kind: 'write', consistency: options.consistency })
  }

  async insertAll(table: Table, rows: readonly TableRow[], options: WriteOptions): Promise<void> {
    if (rows.length === 0) return
    const statements = rows.map((row) => this.#insertOf(table, row, options))
    await this.#driver.executeAll(statements, { kind: 'write', consistency: options.consistency })
  }

  async insertIfAbsent(
    table: Table,
    row: TableRow,
    { serial, commit, ttlSeconds }: ConditionalOptions & { readonly ttlSeconds?: number },
  ): Promise<Conditional> {
    const { text, columns } = this.#statements.insertIfAbsent(table, ttlSeconds !== undefined)
    // Nothing stands there, so nothing has to be covered: a null that is written would be a tombstone, read again and again.
    const values = columns.map((column) => valueOf(table, row, column) ?? LEFT_OUT)
    if (ttlSeconds !== undefined) values.push(ttlSeconds)
    const { rows } = await this.#driver.execute(text, values, { kind: 'conditional', consistency: commit, serial })
    return isApplied(rows) ? { isApplied: true } : { isApplied: false, row: standing(table, rows) }
  }

  async replaceIf(
    table: Table,
    row: TableRow,
    expected: TableRow,
    { serial, commit, ttlSeconds }: ConditionalOptions & { readonly ttlSeconds?: number },
  ): Promise<Conditional> {
    const conditions = Object.keys(expected)
    const { text, columns, key } = this.#statements.replaceIf(table, conditions, ttlSeconds !== undefined)
    const values: Bound[] = [...columns, ...key].map((column) => valueOf(table, row, column))
    if (ttlSeconds !== undefined) values.unshift(ttlSeconds)
    values.push(...conditions.map((column) => expected[column] ?? null))
    const { rows } = await this.#driver.execute(text, values, { kind: 'conditional', consistency: commit, serial })
    if (isApplied(rows)) return { isApplied: true }
    return { isApplied: false, row: await this.#standingAt(table, row, serial) }
  }

  async deleteIfPresent(table: Table, row: TableRow, { serial, commit }: ConditionalOptions): Promise<boolean> {
    const { text, key } = this.#statements.deleteIfPresent(table)
    const values = key.map((column) => valueOf(table, row, column))
    const { rows } = await this.#driver.execute(text, values, { kind: 'conditional', consistency: commit, serial })
    return isApplied(rows)
  }

  #insertOf(table: Table, row: TableRow, options: WriteOptions): { statement: string; values: readonly Bound[] } {
    const { timestamp, ttlSeconds } = options
    const { text, columns } = this.#statements.insert(table, timestamp !== undefined, ttlSeconds !== undefined)
    const values: Bound[] = columns.map((column) => valueOf(table, row, column))
    if (timestamp !== undefined) values.push(timestamp === 'revision' ? valueOf(table, row, 'revision') : timestamp)
    if (ttlSeconds !== undefined) values.push(ttlSeconds)
    return { statement: text, values }
  }

  /** A conditional UPDATE answers with the columns of its conditions only; the rest is read, at least as new. */
  async #standingAt(table: Table, row: TableRow, serial: ConditionalOptions['serial']): Promise<TableRow | null> {
    const pick = (columns: Readonly<Record<string, unknown>>): TableRow =>
      Object.fromEntries(Object.keys(columns).map((column) => [column, row[column] ?? null]))
    const [found] = await this.select(table, {
      partition: pick(table.partition),
      equals: pick(table.clustering),
      limit: 1,
      consistency: serial,
    })
    return found ?? null
  }
}

function valueOf(table: Table, row: TableRow, column: string): Bound {
  const value = row[column]
  if (value === undefined) throw new CassandraFailure('invalid', `${table.name}: expected a value for ${column}`, true)
  return value
}

const APPLIED = '[applied]'

function isApplied(rows: StatementResult['rows']): boolean {
  return rows[0]?.[APPLIED] === true
}

/** The row that a conditional INSERT met. */
function standing(table: Table, rows: StatementResult['rows']): TableRow | null {
  const [found] = rows
  const columns = [...Object.keys(table.partition), ...Object.keys(table.clustering), ...Object.keys(table.columns)]
  if (found === undefined || !columns.some((column) => column in found)) return null
  return Object.fromEntries(columns.map((column) => [column, found[column] ?? null]))
}
