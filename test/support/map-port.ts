/** A Cassandra of one map: no replicas and no faults, for tests of what stands above the port. */
import {
  CassandraFailure,
  type CassandraPort,
  type Conditional,
  type Selection,
  type Table,
  type TableRow,
  type WriteOptions,
} from '#store/cassandra/port.ts'

/** Where the clock of writes without a timestamp begins: above every revision. */
const CLOCK_START = 1e15

export class MapPort implements CassandraPort {
  readonly #tables = new Map<string, Map<string, { readonly row: TableRow; readonly timestamp: number }>>()
  #clock = CLOCK_START
  /** Set: every statement fails with it. */
  failure: CassandraFailure | null = null

  async select(table: Table, { partition, equals = {}, after, limit }: Selection): Promise<readonly TableRow[]> {
    this.#answer()
    const isWanted = (row: TableRow) =>
      [partition, equals].every((part) => Object.entries(part).every(([column, value]) => row[column] === value)) &&
      (!after || compare(row[after.column], after.value) > 0)
    const rows = [...this.#rows(table).values()].map(({ row }) => row).filter(isWanted)
    const columns = Object.keys(table.clustering)
    rows.sort((a, b) => columns.map((column) => compare(a[column], b[column])).find((order) => order !== 0) ?? 0)
    return rows.slice(0, limit)
  }

  async insert(table: Table, row: TableRow, options: WriteOptions): Promise<void> {
    this.#answer()
    const key = keyOf(table, row)
    const given = options.timestamp === 'revision' ? (row.revision as number) : options.timestamp
    const timestamp = given ?? this.#clock++
    if ((this.#rows(table).get(key)?.timestamp ?? 0) <= timestamp) this.#rows(table).set(key, { row, timestamp })
  }

  async insertAll(table: Table, rows: readonly TableRow[], options: WriteOptions): Promise<void> {
    for (const row of rows) await this.insert(table, row, options)
  }

  async insertIfAbsent(table: Table, row: TableRow): Promise<Conditional> {
    this.#answer()
    const there = this.#rows(table).get(keyOf(table, row))
    if (there) return { isApplied: false, row: there.row }
    this.#rows(table).set(keyOf(table, row), { row, timestamp: this.#clock++ })
    return { isApplied: true }
  }

  async replaceIf(table: Table, row: TableRow, expected: TableRow): Promise<Conditional> {
    this.#answer()
    const there = this.#rows(table).get(keyOf(table, row))
    const isExpected = there && Object.entries(expected).every(([column, value]) => there.row[column] === value)
    if (!isExpected) return { isApplied: false, row: there?.row ?? null }
    this.#rows(table).set(keyOf(table, row), { row, timestamp: this.#clock++ })
    return { isApplied: true }
  }

  async deleteIfPresent(table: Table, key: TableRow): Promise<boolean> {
    this.#answer()
    return this.#rows(table).delete(keyOf(table, key))
  }

  #answer(): void {
    if (this.failure) throw this.failure
  }

  #rows(table: Table) {
    let rows = this.#tables.get(table.name)
    if (!rows) this.#tables.set(table.name, (rows = new Map()))
    return rows
  }
}

function keyOf(table: Table, row: TableRow): string {
  const columns = [...Object.keys(table.partition), ...Object.keys(table.clustering)]
  for (const column of columns)
    if (row[column] === undefined) throw new CassandraFailure('invalid', `${table.name}: no ${column}`, true)
  return JSON.stringify(columns.map((column) => row[column]))
}

function compare(a: unknown, b: unknown): number {
  return (a as string) < (b as string) ? -1 : (a as string) > (b as string) ? 1 : 0
}
