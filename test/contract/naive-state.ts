/**
 * What a transaction does, written down a second time as plainly as possible: a list of rows, every rule a search through all
 * of it. The judge of the stores in the random tests.
 */
import type { Row } from '#model/document.ts'
import type { EntityDefinition } from '#model/schema.ts'
import type { Operation } from '#store/contract.ts'

export class NaiveState {
  readonly #entities: ReadonlyMap<string, EntityDefinition>
  rows: readonly Row[] = []
  revision = 0

  constructor(entities: ReadonlyMap<string, EntityDefinition>) {
    this.#entities = entities
  }

  /** Applies the operations as the next revision; false, and unchanged, when they break a rule. */
  apply(operations: readonly Operation[]): boolean {
    const before = this.rows
    let rows = [...before]
    for (const operation of operations) {
      const workspace = this.#entities.get(operation.kind)?.workspaceable ? operation.workspace : ''
      if (operation.op === 'delete') {
        const row = find(rows, operation.kind, operation.id)
        if (row?.workspace === workspace) rows = this.#without(rows, row)
        continue
      }
      const { kind, document, insert } = operation
      const existing = find(rows, kind, document.id)
      if (existing && (insert || existing.workspace !== workspace)) return false
      rows = rows.filter((row) => row !== existing)
      rows.push({ kind, workspace, document, revision: this.revision + 1 })
    }
    if (!rows.every((row) => this.#isValid(row, rows))) return false
    this.rows = rows.map((row) => {
      const old = find(before, row.kind, row.document.id)
      return old && old.workspace === row.workspace && same(old.document, row.document) ? old : row
    })
    this.revision++
    return true
  }

  #without(rows: readonly Row[], gone: Row): Row[] {
    let left = rows.filter((row) => row !== gone)
    for (const { kind, field, onDelete } of this.#referrers(gone.kind)) {
      for (const row of left.filter((one) => one.kind === kind && refersTo(one, field, gone.document.id))) {
        if (onDelete === 'cascade' && left.includes(row)) left = this.#without(left, row)
        if (onDelete === 'null') {
          const emptied = { ...row, document: { ...row.document, [field]: null }, revision: this.revision + 1 }
          left = left.map((one) => (one === row ? emptied : one))
        }
      }
    }
    return left
  }

  #isValid(row: Row, rows: readonly Row[]): boolean {
    const definition = this.#entities.get(row.kind) as EntityDefinition
    const others = rows.filter((other) => other.kind === row.kind && other !== row)
    for (const [name, field] of Object.entries(definition.fields)) {
      const value = row.document[name] ?? null
      if (value === null) continue
      if (
        field.unique &&
        others.some(
          (other) => (field.unique_across_ws || other.workspace === row.workspace) && same(other.document[name], value),
        )
      ) {
        return false
      }
      if (field.type === 'foreign') {
        const target = find(rows, field.reference as string, (value as { id: string }).id)
        if (!target || (target.workspace !== '' && row.workspace !== '' && target.workspace !== row.workspace))
          return false
      }
    }
    const together = definition.cache_key ?? []
    const isSame = (other: Row) =>
      other.workspace === row.workspace &&
      together.every((name) => same(other.document[name] ?? null, row.document[name] ?? null))
    return together.length < 2 || !others.some(isSame)
  }

  #referrers(kind: string) {
    return [...this.#entities.values()].flatMap((definition) =>
      Object.entries(definition.fields)
        .filter(([, field]) => field.type === 'foreign' && field.reference === kind)
        .map(([field, { on_delete }]) => ({ kind: definition.kind, field, onDelete: on_delete ?? 'restrict' })),
    )
  }
}

function find(rows: readonly Row[], kind: string, id: string): Row | undefined {
  return rows.find((row) => row.kind === kind && row.document.id === id)
}

function refersTo(row: Row, field: string, id: string): boolean {
  return (row.document[field] as { id?: string } | null | undefined)?.id === id
}

/** Equal as JSON; the documents of the tests have their fields in one order. */
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
