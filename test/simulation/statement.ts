/** What a cluster refuses before it does anything: statements that do not fit their table. */
import { CassandraFailure, type Selection, type Table, type TableRow, type Value } from '#store/cassandra/port.ts'

export function checkRows(table: Table, rows: readonly TableRow[]): void {
  for (const row of rows) {
    checkKey(table, row)
    for (const column of Object.keys(table.partition))
      if (row[column] !== rows[0]?.[column]) invalid(`${table.name}: rows of one write are of one partition`)
    for (const column of Object.keys(table.columns))
      if (row[column] === undefined) invalid(`${table.name}: ${column} has no value`)
    for (const column of Object.keys(row))
      if (!(column in table.partition) && !(column in table.clustering) && !(column in table.columns))
        invalid(`${table.name} has no column ${column}`)
  }
}

/** The whole key of a row. */
export function checkKey(table: Table, key: TableRow): void {
  for (const column of [...Object.keys(table.partition), ...Object.keys(table.clustering)])
    checkValue(table, column, key[column])
}

export function checkSelection(table: Table, { partition, equals = {}, after }: Selection): void {
  for (const column of Object.keys(table.partition)) checkValue(table, column, partition[column])
  const clustering = Object.keys(table.clustering)
  const given = Object.keys(equals)
  if (given.some((column) => !clustering.slice(0, given.length).includes(column)))
    invalid(`${table.name}: rows are read by the first columns of ${clustering.join(', ')}`)
  if (after && after.column !== clustering[given.length])
    invalid(`${table.name}: rows are read after a value of ${clustering[given.length]} only`)
}

function checkValue(table: Table, column: string, value: Value | undefined): void {
  if (value === undefined || value === null) invalid(`${table.name}: ${column} has no value`)
}

function invalid(message: string): never {
  throw new CassandraFailure('invalid', message, true)
}
