import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { ColumnType, Table } from './port.ts'
import { TABLES } from './tables.ts'

const FOLDER = path.resolve(import.meta.dirname, '../../../cql')

const files = globSync('*.cql', { cwd: FOLDER })
  .toSorted()
  .map((name) => ({ name, text: readFileSync(path.join(FOLDER, name), 'utf8').replaceAll(/^--.*\n/gm, '') }))

/** The migrations' own tables. */
const OWN = ['migrations', 'leases']

function parseTable(text: string): Table {
  const [, name = '', body = '', partition = '', clustering = ''] =
    /^CREATE TABLE IF NOT EXISTS (\w+) \(\n([^]*?)\n {2}PRIMARY KEY \(\(([\w, ]+)\)((?:, \w+)*)\)\n\) WITH /.exec(
      text,
    ) ?? assert.fail(text)
  const types = new Map(
    body.split('\n').map((line) => {
      const [, column = '', type = ''] = /^ {2}(\w+) (\w+),$/.exec(line) ?? assert.fail(line)
      return [column, type as ColumnType]
    }),
  )
  const take = (names: string) => {
    const columns: Record<string, ColumnType> = {}
    for (const column of names.split(', ').filter((one) => one !== '')) {
      columns[column] = types.get(column) ?? assert.fail(`${name}.${column}`)
      types.delete(column)
    }
    return columns
  }
  return { name, partition: take(partition), clustering: take(clustering), columns: Object.fromEntries(types) }
}

test('the files make the tables that the store reads and writes, column by column', () => {
  const made = files.map(({ text }) => parseTable(text)).filter(({ name }) => !OWN.includes(name))
  assert.deepEqual(made, TABLES)
  // The order of keys counts: it is the order of the key.
  assert.equal(JSON.stringify(made), JSON.stringify(TABLES))
})

test('the files are numbered without a hole, named after their tables, and have one statement each', () => {
  assert.deepEqual(
    files.map(({ name }) => name),
    files.map(({ text }, index) => `${String(index + 1).padStart(3, '0')}_${parseTable(text).name}.cql`),
  )
  for (const { name, text } of files) assert.equal(text.match(/;/g)?.length, 1, name)
})

test('only tables whose rows have a time to live forget their tombstones early', () => {
  const early = files.filter(({ text }) => text.includes('gc_grace_seconds')).map(({ text }) => parseTable(text).name)
  assert.deepEqual(early, ['nodes', 'runtime', 'counters'])
})
