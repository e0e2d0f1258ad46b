/** The migrations of `cql/`, and what is sent of them. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { nameBasedUuid } from '#core/name-based-uuid.ts'

export interface Migration {
  readonly number: number
  /** `003_epochs`. */
  readonly name: string
  /** Without comments, names without their keyspace. */
  readonly statement: string
  /** SHA-256 of the statement. */
  readonly checksum: string
}

/** In the order of their numbers. */
export function readMigrations(folder = fileURLToPath(new URL('../../../cql', import.meta.url))): readonly Migration[] {
  return readdirSync(folder)
    .filter((file) => /^\d{3}_\w+\.cql$/.test(file))
    .toSorted()
    .map((file) => {
      const statement = readFileSync(path.join(folder, file), 'utf8')
        .replaceAll(/^--.*\n/gm, '')
        .replace(/;\s*$/, '')
        .trim()
      return {
        number: Number(file.slice(0, 3)),
        name: path.basename(file, '.cql'),
        statement,
        checksum: createHash('sha256').update(statement).digest('hex'),
      }
    })
}

/** Of ids of tables: drawn once. */
const NAME_SPACE = '6f0ab1f5-6b0d-4d0b-9d0e-0b6a5f5f4c3a'

/**
 * The statement for a keyspace. A table's id follows from keyspace and name: two processes that make it at the same moment make one
 * table, where Cassandra would else choose two ids, and what was written under one of them would be gone.
 */
export function statementFor({ name, statement }: Migration, keyspace: string): string {
  const table = /^CREATE TABLE IF NOT EXISTS (\w+) \(/.exec(statement)?.[1]
  if (table !== undefined) {
    const id = nameBasedUuid(NAME_SPACE, `${keyspace}.${table}`)
    const placed = statement.replace(/^CREATE TABLE IF NOT EXISTS /, `$&${keyspace}.`)
    return placed.replace(/\n\) WITH /, `$&id = ${id} AND `)
  }
  if (/^ALTER TABLE \w+ /.test(statement)) return statement.replace(/^ALTER TABLE /, `$&${keyspace}.`)
  throw new Error(`${name}: expected CREATE TABLE IF NOT EXISTS or ALTER TABLE`)
}
