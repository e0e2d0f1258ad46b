/** CQL from the tables' definitions: each statement names its columns, and is made once. */
import type { Table } from './port.ts'

/** A statement, and the columns that its first parameters stand for. */
export interface Statement {
  readonly text: string
  readonly columns: readonly string[]
}
export interface KeyedStatement extends Statement {
  /** The columns of the key, whose parameters follow. */
  readonly key: readonly string[]
}

export interface Statements {
  /** By the partition key and the first clustering columns, then after a value of the next one; last the limit. */
  select(table: Table, equals: readonly string[], after: string | undefined): Statement
  /** Every column, then the timestamp, then the time to live. */
  insert(table: Table, hasTimestamp: boolean, hasTtl: boolean): Statement
  insertIfAbsent(table: Table, hasTtl: boolean): Statement
  /** The time to live, every other column, the key, the conditions. */
  replaceIf(table: Table, conditions: readonly string[], hasTtl: boolean): KeyedStatement
  deleteIfPresent(table: Table): KeyedStatement
}

export function createStatements(keyspace: string): Statements {
  const made = new Map<string, Statement>()
  const once = <S extends Statement>(name: string, make: () => S): S => {
    const known = made.get(name)
    if (known !== undefined) return known as S
    const statement = make()
    made.set(name, statement)
    return statement
  }
  const place = (table: Table): string => `${keyspace}.${table.name}`

  return {
    select: (table, equals, after) =>
      once(`select ${table.name} ${equals.join()} ${after}`, () => {
        const clustering = Object.keys(table.clustering)
        const isPrefix = equals.every((column) => clustering.indexOf(column) < equals.length)
        if (!isPrefix || (after !== undefined && clustering[equals.length] !== after))
          throw new Error(`${table.name}: no part of it begins with ${[...equals, after].join(', ')}`)
        const columns = [...Object.keys(table.partition), ...equals]
        const conditions = [...columns.map(equal), ...(after === undefined ? [] : [`${after} > ?`])]
        const text = `SELECT ${allColumns(table).join(', ')} FROM ${place(table)} WHERE ${conditions.join(' AND ')} LIMIT ?`
        return { text, columns }
      }),

    insert: (table, hasTimestamp, hasTtl) =>
      once(`insert ${table.name} ${hasTimestamp} ${hasTtl}`, () => {
        const using = [...(hasTimestamp ? ['TIMESTAMP ?'] : []), ...(hasTtl ? ['TTL ?'] : [])]
        return {
          text: `${insertInto(place(table), table)}${using.length > 0 ? ` USING ${using.join(' AND ')}` : ''}`,
          columns: allColumns(table),
        }
      }),

    insertIfAbsent: (table, hasTtl) =>
      once(`insertIfAbsent ${table.name} ${hasTtl}`, () => ({
        text: `${insertInto(place(table), table)} IF NOT EXISTS${hasTtl ? ' USING TTL ?' : ''}`,
        columns: allColumns(table),
      })),

    replaceIf: (table, conditions, hasTtl) =>
      once(`replaceIf ${table.name} ${conditions.join()} ${hasTtl}`, () => {
        const columns = Object.keys(table.columns)
        const key = keyColumns(table)
        const using = hasTtl ? ' USING TTL ?' : ''
        const text = `UPDATE ${place(table)}${using} SET ${columns.map(equal).join(', ')} WHERE ${key.map(equal).join(' AND ')} IF ${conditions.map(equal).join(' AND ')}`
        return { text, columns, key }
      }),

    deleteIfPresent: (table) =>
      once(`deleteIfPresent ${table.name}`, () => {
        const key = keyColumns(table)
        const text = `DELETE FROM ${place(table)} WHERE ${key.map(equal).join(' AND ')} IF EXISTS`
        return { text, columns: [], key }
      }),
  }
}

function insertInto(place: string, table: Table): string {
  const columns = allColumns(table)
  return `INSERT INTO ${place} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`
}

function keyColumns(table: Table): string[] {
  return [...Object.keys(table.partition), ...Object.keys(table.clustering)]
}

function allColumns(table: Table): string[] {
  return [...keyColumns(table), ...Object.keys(table.columns)]
}

function equal(column: string): string {
  return `${column} = ?`
}
